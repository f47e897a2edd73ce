//! Hrefs: one resource, many spellings.

use agentcal_engine::ports::ProviderError;
use url::Url;

/// The one spelling of a path under which a resource is known here: each segment decoded and encoded again with
/// everything escaped that need not stand as it is. Servers mix `@` and `%40` between answers.
pub(crate) fn canonical_path(path: &str) -> String {
    let segments = path.split('/').map(|segment| encode(&decode(segment)));
    segments.collect::<Vec<_>>().join("/")
}

/// Where an href leads, seen from where it was found. Another origin is followed only within the same parent domain and
/// over TLS, as some large providers keep calendars on sibling hosts.
pub(crate) fn resolve(base: &Url, href: &str) -> Result<Url, ProviderError> {
    let url = base
        .join(href.trim())
        .map_err(|error| ProviderError::Refused(format!("the server names an address that cannot be read: {error}")))?;
    if url.origin() == base.origin() || is_sibling(base, &url) {
        return Ok(url);
    }
    Err(ProviderError::Refused("the server names an address on another host; give that address instead".to_owned()))
}

fn is_sibling(base: &Url, url: &Url) -> bool {
    let parent =
        |url: &Url| url.domain().and_then(|domain| domain.split_once('.')).map(|(_, parent)| parent.to_owned());
    let (Some(ours), Some(theirs)) = (parent(base), parent(url)) else { return false };
    let same_way = base.scheme() == "https" && url.scheme() == "https";
    same_way && ours == theirs && ours.contains('.') && url.port_or_known_default() == base.port_or_known_default()
}

/// A path segment with everything escaped that may not stand in one, and then some.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(segment: &str) -> Vec<u8> {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| segment.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        let check = |path: &str, expected: &str| assert_eq!(canonical_path(path), expected, "{path}");
        check("/alice/team/a.ics", "/alice/team/a.ics");
        check("/alice%40example.com/a.ics", "/alice%40example.com/a.ics");
        check("/alice@example.com/a.ics", "/alice%40example.com/a.ics");
        check("/a%2fb/c", "/a%2Fb/c");
        check("/a b/%7Ec/%zz", "/a%20b/~c/%25zz");
        check("/%C3%A4/ä", "/%C3%A4/%C3%A4");
    }

    #[test]
    fn hrefs_stay_within_the_host_or_its_siblings() {
        let check = |base: &str, href: &str, expected: Option<&str>| {
            let resolved = resolve(&Url::parse(base).expect("a literal url"), href).ok();
            assert_eq!(resolved.as_ref().map(Url::as_str), expected, "{base} {href}");
        };
        check("https://dav.example.com/x/", "/y/", Some("https://dav.example.com/y/"));
        check("https://dav.example.com/x/", "https://p1-dav.example.com/y/", Some("https://p1-dav.example.com/y/"));
        check("https://dav.example.com/x/", "https://evil.example.org/y/", None);
        check("https://dav.example.com/x/", "http://dav.example.com/y/", None);
        check("https://dav.example.com/x/", "//evil.org/y/", None);
        check("https://example.com/x/", "https://other.com/y/", None);
        check("http://127.0.0.1:5232/", "http://127.0.0.1:8080/", None);
    }
}
