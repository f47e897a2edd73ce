//! The keys tokens are signed with.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a signing key.
pub const SIGNING_KEY_LEN: usize = 32;

/// What a key signs; part of every derivation, so that a token of one kind is never one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Offer,
    ManageLink,
    CalendarBell,
    ConsentState,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Offer => b"agentcal offer 1",
            Self::ManageLink => b"agentcal manage link 1",
            Self::CalendarBell => b"agentcal calendar bell 1",
            Self::ConsentState => b"agentcal consent state 1",
        }
    }
}

/// Signing keys: the first signs, all of them verify, so that a new key put in front rotates.
pub struct SigningKeys {
    keys: Vec<Zeroizing<[u8; SIGNING_KEY_LEN]>>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.keys.len())
    }
}

impl SigningKeys {
    /// Keys, the one that signs first.
    pub fn new(
        signing: Zeroizing<[u8; SIGNING_KEY_LEN]>,
        older: impl IntoIterator<Item = Zeroizing<[u8; SIGNING_KEY_LEN]>>,
    ) -> Self {
        Self { keys: std::iter::once(signing).chain(older).collect() }
    }

    /// The signature of the key that signs.
    pub(super) fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.keys[0], purpose, parts)
    }

    /// The signatures that count, the one of the key that signs first.
    pub(super) fn candidates<'a>(
        &'a self,
        purpose: Purpose,
        parts: &'a [&'a [u8]],
    ) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.keys.iter().map(move |key| mac(key, purpose, parts))
    }
}

/// HMAC-SHA-256 (RFC 2104) over the purpose and the parts, each with its length in front.
fn mac(key: &[u8; SIGNING_KEY_LEN], purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in std::iter::once(&purpose.label()).chain(parts) {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
