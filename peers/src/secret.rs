//! The secret all nodes of a cluster share.

use std::fmt;

use http::HeaderValue;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Fewest bytes of a secret.
pub const SECRET_LEN_MIN: usize = 32;
/// What stands before it in the header.
const SCHEME: &str = "Bearer ";

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is short enough to be guessed.
    #[error("the secret between nodes must have at least {SECRET_LEN_MIN} bytes, and has {0}")]
    Len(usize),
    /// It cannot be sent in a header.
    #[error("the secret between nodes must be printable ASCII without spaces")]
    NotPrintable,
}

/// A secret that admits to other nodes. It shows itself to nobody.
#[derive(Clone)]
pub struct PeerSecret {
    header: HeaderValue,
    hash: [u8; 32],
}

impl PeerSecret {
    /// The secret of a text of at least [`SECRET_LEN_MIN`] printable ASCII characters.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        if text.len() < SECRET_LEN_MIN {
            return Err(SecretError::Len(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::NotPrintable);
        }
        let mut header =
            HeaderValue::from_str(&format!("{SCHEME}{text}")).expect("printable ASCII may stand in a header");
        header.set_sensitive(true);
        Ok(Self { hash: Sha256::digest(header.as_bytes()).into(), header })
    }

    /// What to send as `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// Whether an `Authorization` header carries one of the secrets. Takes as long for a wrong one as for a right one: hashes
/// are compared, all of them, and each to its end.
pub(crate) fn is_one_of(secrets: &[PeerSecret], header: &HeaderValue) -> bool {
    let hash: [u8; 32] = Sha256::digest(header.as_bytes()).into();
    let equal = |secret: &PeerSecret| secret.hash.ct_eq(&hash);
    secrets.iter().fold(Choice::from(0), |found, secret| found | equal(secret)).into()
}

impl fmt::Debug for PeerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_or_not_be_sent_is_no_secret() {
        let check = |text: &str, expected| assert_eq!(PeerSecret::new(text).err(), expected, "{text}");
        check("", Some(SecretError::Len(0)));
        check(&"x".repeat(31), Some(SecretError::Len(31)));
        check(&"x".repeat(32), None);
        check(&"x ".repeat(16), Some(SecretError::NotPrintable));
        check(&"x\n".repeat(16), Some(SecretError::NotPrintable));
        check(&"é".repeat(16), Some(SecretError::NotPrintable));
    }

    #[test]
    fn the_right_one_opens_and_nothing_else() {
        let [old, new] = ["o", "n"].map(|letter| PeerSecret::new(&letter.repeat(40)).expect("long enough"));
        let check = |text: &str, expected| {
            let header = HeaderValue::from_str(text).expect("a header");
            assert_eq!(is_one_of(&[new.clone(), old.clone()], &header), expected, "{text}");
        };
        check(&format!("Bearer {}", "n".repeat(40)), true);
        check(&format!("Bearer {}", "o".repeat(40)), true);
        check(&format!("Bearer {}", "n".repeat(41)), false);
        check(&format!("Bearer {}", "n".repeat(39)), false);
        check(&"n".repeat(40), false);
        check("", false);
        assert!(!is_one_of(&[], &new.header()));
    }

    #[test]
    fn it_shows_itself_to_nobody() {
        let secret = PeerSecret::new(&"s".repeat(32)).expect("long enough");
        assert_eq!(format!("{secret:?} {:?}", secret.header()), "PeerSecret(..) Sensitive");
    }
}
