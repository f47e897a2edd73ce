//! Which server, and how it is spoken to.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use thiserror::Error;
use url::{Host, Url};

/// Where `smtp://` and `smtps://` lead without a port (RFC 6409; RFC 8314).
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;
/// Connections at once, unless said otherwise.
const CONNECTIONS_MAX: usize = 4;

/// How the conversation is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// From the first byte.
    Implicit,
    /// Begins in the clear, and is encrypted before anything else; a server that cannot is not used.
    StartTls,
    /// Not at all. Only to this machine.
    None,
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    pub(super) login: Option<Login>,
    /// An authority besides the well-known ones that may vouch for the server, as PEM.
    pub authority: Option<Vec<u8>>,
    /// What this machine calls itself to the server.
    pub hello_name: String,
    /// Most connections at once.
    pub connections_max: usize,
    /// How long is waited for what.
    pub timeouts: SmtpTimeouts,
}

/// Who we are to the server.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: SecretString,
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpTimeouts {
    /// For a connection, and for each address of the server.
    pub connect: Duration,
    /// For each answer before the mail, the greeting included.
    pub command: Duration,
    /// For a mail to be sent, and then for its answer. Long, because who stops waiting does not know what became of it.
    pub mail: Duration,
    /// How long a connection is kept that nothing needs.
    pub idle: Duration,
}

impl Default for SmtpTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            command: Duration::from_secs(60),
            mail: Duration::from_secs(300),
            idle: Duration::from_secs(30),
        }
    }
}

/// What is wrong with the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SmtpSettingsError {
    /// It is none.
    #[error("write smtp://user:password@host:587, or smtps://user:password@host:465")]
    Shape,
    /// An encryption that there is not.
    #[error("`tls` may be `required`, or `none` for a server on this machine")]
    Tls,
    /// Something follows that has no meaning.
    #[error("nothing but `?tls=` may follow the host and the port")]
    Tail,
    /// A name without a password, or a password without a name.
    #[error("a user name and a password go together")]
    Login,
    /// A password would be sent in the clear.
    #[error("a server elsewhere is only spoken to encrypted")]
    Clear,
}

impl SmtpSettings {
    /// Reads `smtp://` (encrypted by STARTTLS; in the clear to this machine, unless `?tls=required`) or `smtps://`
    /// (encrypted from the start), with name and password percent-encoded.
    ///
    /// # Errors
    /// When it is not such an address. The message never repeats it.
    pub fn parse(text: &str) -> Result<Self, SmtpSettingsError> {
        // Only the schemes it knows have their hosts read as such.
        let (scheme, rest) = text.trim().split_once("://").ok_or(SmtpSettingsError::Shape)?;
        let url = Url::parse(&format!("http://{rest}")).ok().ok_or(SmtpSettingsError::Shape)?;
        let host = url.host().ok_or(SmtpSettingsError::Shape)?;
        let written_port = url.port().or_else(|| is_port_80(rest).then_some(80));
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpSettingsError::Tail);
        }
        let encryption = encryption_of(scheme, url.query(), is_loopback(&host))?;
        let default_port = if encryption == Encryption::Implicit { SUBMISSIONS_PORT } else { SUBMISSION_PORT };
        Ok(Self {
            host: host_name(&host),
            port: written_port.unwrap_or(default_port),
            encryption,
            login: login_of(&url)?,
            authority: None,
            hello_name: "localhost".to_owned(),
            connections_max: CONNECTIONS_MAX,
            timeouts: SmtpTimeouts::default(),
        })
    }
}

/// Of what follows the scheme: whether port 80 is written, which the parser takes for no port.
fn is_port_80(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.ends_with(":80")
}

fn encryption_of(scheme: &str, query: Option<&str>, is_loopback: bool) -> Result<Encryption, SmtpSettingsError> {
    match (scheme, query) {
        ("smtps", None | Some("tls=required")) => Ok(Encryption::Implicit),
        ("smtp", None) if is_loopback => Ok(Encryption::None),
        ("smtp", None | Some("tls=required")) => Ok(Encryption::StartTls),
        ("smtp", Some("tls=none")) if is_loopback => Ok(Encryption::None),
        ("smtp", Some("tls=none")) => Err(SmtpSettingsError::Clear),
        ("smtp" | "smtps", Some(query)) if query.starts_with("tls=") => Err(SmtpSettingsError::Tls),
        ("smtp" | "smtps", Some(_)) => Err(SmtpSettingsError::Tail),
        _ => Err(SmtpSettingsError::Shape),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// As it is resolved and named in a certificate: addresses of version 6 without their brackets.
fn host_name(host: &Host<&str>) -> String {
    match host {
        Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    }
}

fn login_of(url: &Url) -> Result<Option<Login>, SmtpSettingsError> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(SmtpSettingsError::Login),
        (username, Some(password)) => {
            let username = decoded(username).ok_or(SmtpSettingsError::Login)?;
            let password = decoded(password).filter(|text| !text.is_empty()).ok_or(SmtpSettingsError::Login)?;
            Ok(Some(Login { username, password: SecretString::from(password) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn addresses_of_servers_are_read_or_refused() {
        use SmtpSettingsError::{Clear, Login, Shape, Tail, Tls};
        let check = |text: &str, expected: Result<(&str, u16, Encryption), SmtpSettingsError>| {
            let found = SmtpSettings::parse(text);
            let found = found.as_ref().map(|it| (it.host.as_str(), it.port, it.encryption)).map_err(Clone::clone);
            assert_eq!(found, expected, "{text}");
        };
        check("smtp://u:p@mail.example.com", Ok(("mail.example.com", 587, Encryption::StartTls)));
        check("smtp://mail.example.com:2525/", Ok(("mail.example.com", 2525, Encryption::StartTls)));
        check("smtp://mail.example.com:80", Ok(("mail.example.com", 80, Encryption::StartTls)));
        check("smtps://u:p@mail.example.com", Ok(("mail.example.com", 465, Encryption::Implicit)));
        check("smtp://127.0.0.1:1025", Ok(("127.0.0.1", 1025, Encryption::None)));
        check("smtp://[::1]:1025", Ok(("::1", 1025, Encryption::None)));
        check("smtp://localhost?tls=required", Ok(("localhost", 587, Encryption::StartTls)));
        check("smtp://localhost?tls=none", Ok(("localhost", 587, Encryption::None)));
        check("smtp://mail.example.com?tls=none", Err(Clear));
        check("smtps://localhost?tls=none", Err(Tls));
        check("smtp://mail.example.com?tls=perhaps", Err(Tls));
        check("smtp://mail.example.com?timeout=1", Err(Tail));
        check("smtp://mail.example.com/a", Err(Tail));
        check("smtp://u@mail.example.com", Err(Login));
        check("smtp://:p@mail.example.com", Err(Login));
        check("http://mail.example.com", Err(Shape));
        check("mail.example.com:25", Err(Shape));
        check("smtp://", Err(Shape));
    }

    #[test]
    fn passwords_are_decoded_and_never_shown() {
        let settings = SmtpSettings::parse("smtps://a%40b:p%2Fw%C3%B6rd%3F@mail.example.com").expect("an address");
        let login = settings.login.as_ref().expect("a login");
        assert_eq!((login.username.as_str(), login.password.expose_secret()), ("a@b", "p/wörd?"));
        assert!(!format!("{settings:?}").contains("rd?"), "{settings:?}");
    }
}
