//! Addresses mail is sent to and from.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Serialize, Serializer};
use thiserror::Error;
use url::Host;

/// Longest part before the at sign, and longest address (RFC 5321, 4.5.3.1).
const LOCAL_LEN_MAX: usize = 64;
const ADDRESS_LEN_MAX: usize = 254;
/// Characters an unquoted local part may have besides letters and digits (RFC 5322, 3.2.3).
const ATEXT: &str = "!#$%&'*+-/=?^_`{|}~.";
/// What a `mailto:` address has to encode (RFC 6068, 2).
const MAILTO: &AsciiSet = &CONTROLS
    .add(b'%')
    .add(b'#')
    .add(b'?')
    .add(b'&')
    .add(b'/')
    .add(b'=')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An address of mail, in ASCII: an unquoted local part, and a domain or an address in brackets. An international domain
/// is kept as the name system knows it. International local parts are refused, because few servers can be told them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is not an address mail can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is no at sign, or nothing on one of its sides.
    #[error("an address is a name, an at sign and a domain")]
    Shape,
    /// The part before the at sign has characters it may not have.
    #[error("the part before the at sign may have letters, digits, single dots and {ATEXT}")]
    Local,
    /// The domain is none.
    #[error("the domain is not one")]
    Domain,
    /// Too long.
    #[error("an address has at most {ADDRESS_LEN_MAX} characters, {LOCAL_LEN_MAX} of them before the at sign")]
    Length,
}

impl Address {
    /// What follows the at sign.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// As a calendar user is named (RFC 5545, 3.3.3).
    pub(crate) fn to_mailto(&self) -> String {
        format!("mailto:{}@{}", utf8_percent_encode(&self.local, MAILTO), self.domain)
    }

    pub(crate) fn to_lettre(&self) -> lettre::Address {
        lettre::Address::new(&self.local, &self.domain).expect("ours is the stricter check")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(AddressError::Shape)?;
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::Shape);
        }
        let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(is_atext);
        if !local.split('.').all(is_atom) {
            return Err(AddressError::Local);
        }
        let domain = domain_of(domain).ok_or(AddressError::Domain)?;
        if local.len() > LOCAL_LEN_MAX || local.len() + 1 + domain.len() > ADDRESS_LEN_MAX {
            return Err(AddressError::Length);
        }
        Ok(Self { local: local.to_owned(), domain })
    }
}

fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || ATEXT.contains(character)
}

/// A domain as the name system knows it, in lower case.
fn domain_of(text: &str) -> Option<String> {
    if text.starts_with('[') || text.ends_with('.') {
        return None;
    }
    match Host::parse(text).ok()? {
        Host::Domain(domain) if domain.split('.').all(is_label) => Some(domain),
        _ => None,
    }
}

fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    fits && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.local, self.domain)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        let check = |text: &str, expected: Result<&str, AddressError>| {
            let found = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(found.as_deref().map_err(|&error| error), expected, "{text:?}");
        };
        check("ada@example.com", Ok("ada@example.com"));
        check(" Ada.L+cal@Example.COM ", Ok("Ada.L+cal@example.com"));
        check("ada@bücher.example", Ok("ada@xn--bcher-kva.example"));
        check("o'neil/a=b@example.com", Ok("o'neil/a=b@example.com"));
        check("root@localhost", Ok("root@localhost"));
        check("ada", Err(AddressError::Shape));
        check("@example.com", Err(AddressError::Shape));
        check("ada@", Err(AddressError::Shape));
        check("a@b@example.com", Err(AddressError::Local));
        check("jürgen@example.com", Err(AddressError::Local));
        check("a..b@example.com", Err(AddressError::Local));
        check("\"a b\"@example.com", Err(AddressError::Local));
        check("a\r\nRCPT TO:<b@c>@example.com", Err(AddressError::Local));
        check("ada@exa mple.com", Err(AddressError::Domain));
        check("ada@example.com\r\nBcc: b", Err(AddressError::Domain));
        check("ada@-a.example", Err(AddressError::Domain));
        check("ada@[192.0.2.1]", Err(AddressError::Domain));
        check("ada@example.com.", Err(AddressError::Domain));
        check(&format!("{}@example.com", "a".repeat(65)), Err(AddressError::Length));
    }

    /// Whatever is an address here is one for the library that sends, too.
    #[test]
    fn odd_addresses_reach_the_server_as_they_are() {
        for text in ["!#$%&'*+-/=?^_`{|}~@example.com", "a@localhost", "a@xn--bcher-kva.example", "0@0a.b-c.example"] {
            let address: Address = text.parse().expect("an address");
            assert_eq!(address.to_lettre().to_string(), text);
        }
        let odd: Address = "a%b&c@example.com".parse().expect("an address");
        assert_eq!(odd.to_mailto(), "mailto:a%25b%26c@example.com");
    }
}
