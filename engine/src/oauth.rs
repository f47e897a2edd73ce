//! Where browsers may go that come back from consenting.

use std::fmt;

use url::{Host, Url};

/// Longest address.
pub const REDIRECT_URL_LEN_MAX: usize = 2_048;

/// Names of the parameters that tell how it went; whoever wants to go somewhere cannot use them for itself.
pub const OUTCOME_PARAMETERS: [&str; 3] = ["connection_id", "error", "error_description"];

/// Why an address is none for browsers to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectRefusal {
    /// Longer than [`REDIRECT_URL_LEN_MAX`].
    #[error("is longer than {REDIRECT_URL_LEN_MAX} bytes")]
    TooLong,
    /// No URL, or one of another scheme.
    #[error("is no https address, as in https://app.example.com/calendars (http leads to this machine alone)")]
    NotHttps,
    /// It names a user, a fragment, or, where it is listed, a query.
    #[error("has a part that does not belong there: a user, a fragment, or a query in a list")]
    Part,
    /// Its query has a parameter that is ours.
    #[error("has a parameter named `connection_id`, `error` or `error_description`, which tell how it went")]
    Outcome,
}

/// An address that may be gone to: what counts of it are origin and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUrl(Url);

impl RedirectUrl {
    /// Reads an address for a list, which has no query.
    pub fn parse(text: &str) -> Result<Self, RedirectRefusal> {
        let url = parse(text)?;
        if url.query().is_some() { Err(RedirectRefusal::Part) } else { Ok(Self(url)) }
    }

    /// Whether a target is this address, whatever its query says. Compared as it is, without patterns: what may follow a
    /// prefix is somebody else's page.
    pub fn admits(&self, target: &RedirectTarget) -> bool {
        self.0.origin() == target.0.origin() && self.0.path() == target.0.path()
    }
}

impl fmt::Display for RedirectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Where somebody wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectTarget(Url);

impl RedirectTarget {
    /// Reads where somebody wants to go; a query comes along.
    pub fn parse(text: &str) -> Result<Self, RedirectRefusal> {
        let url = parse(text)?;
        let is_ours = |name: &str| OUTCOME_PARAMETERS.contains(&name);
        if url.query_pairs().any(|(name, _)| is_ours(&name)) { Err(RedirectRefusal::Outcome) } else { Ok(Self(url)) }
    }

    /// Whether it is reached without encryption, on the browser's own machine.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address with these parameters behind its own.
    pub fn telling<'a>(&self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

fn parse(text: &str) -> Result<Url, RedirectRefusal> {
    if text.len() > REDIRECT_URL_LEN_MAX {
        return Err(RedirectRefusal::TooLong);
    }
    let url = Url::parse(text).ok().filter(is_web).ok_or(RedirectRefusal::NotHttps)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if plain { Ok(url) } else { Err(RedirectRefusal::Part) }
}

/// Encrypted, or not leaving the machine (RFC 8252, section 7.3).
fn is_web(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let check = |text: &str, expected: Result<&str, RedirectRefusal>| {
            let read = RedirectTarget::parse(text).map(|target| target.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        };
        check("https://App.example.com/done?session=7", Ok("https://app.example.com/done?session=7"));
        check("http://127.0.0.1:3000/done", Ok("http://127.0.0.1:3000/done"));
        check("http://[::1]/done", Ok("http://[::1]/done"));
        check("http://localhost/done", Ok("http://localhost/done"));
        check("http://app.example.com/done", Err(RedirectRefusal::NotHttps));
        check("http://127.0.0.1.example.com/", Err(RedirectRefusal::NotHttps));
        check("javascript:alert(1)", Err(RedirectRefusal::NotHttps));
        check("/done", Err(RedirectRefusal::NotHttps));
        check("https://user@app.example.com/", Err(RedirectRefusal::Part));
        check("https://app.example.com/#x", Err(RedirectRefusal::Part));
        check("https://app.example.com/?error=no", Err(RedirectRefusal::Outcome));
        check(&format!("https://a.example/{}", "x".repeat(REDIRECT_URL_LEN_MAX)), Err(RedirectRefusal::TooLong));
        assert_eq!(RedirectUrl::parse("https://a.example/?x=1"), Err(RedirectRefusal::Part));
    }

    #[test]
    fn origin_and_path_are_compared_exactly() {
        let check = |listed: &str, target: &str, expected: bool| {
            let listed = RedirectUrl::parse(listed).expect("an address");
            let target = RedirectTarget::parse(target).expect("an address");
            assert_eq!(listed.admits(&target), expected, "{listed} {target}");
        };
        check("https://a.example/done", "https://a.example/done", true);
        check("https://a.example/done", "https://A.example:443/done?session=7", true);
        check("https://a.example/done", "https://a.example/done/", false);
        check("https://a.example/done", "https://a.example/x/../done", true);
        check("https://a.example/done", "https://a.example/Done", false);
        check("https://a.example/done", "https://a.example.evil.example/done", false);
        check("https://a.example/done", "https://b.example/done", false);
        check("https://a.example/done", "https://a.example:8443/done", false);
        check("http://localhost:3000/done", "https://localhost:3000/done", false);
    }

    #[test]
    fn outcomes_are_told_behind_what_was_there() {
        let target = RedirectTarget::parse("https://a.example/done?session=7").expect("an address");
        let told = target.telling([("error", "access_denied"), ("error_description", "no & thanks")]);
        assert_eq!(told, "https://a.example/done?session=7&error=access_denied&error_description=no+%26+thanks");
    }
}
