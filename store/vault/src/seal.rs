//! Sealing and opening of values under one data key.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::ports::Entropy;
use uuid::Uuid;
use zeroize::Zeroizing;

/// First byte of every sealed value: which layout follows.
const LAYOUT: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
pub(crate) const KEY_LEN: usize = 32;

/// Why a sealed value did not open. Says nothing about the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Too short, or of a layout this version does not know.
    #[error("the sealed value is malformed")]
    Malformed,
    /// Sealed with another key, for another row, or changed since.
    #[error("the sealed value does not open for this owner, purpose and row")]
    DoesNotOpen,
    /// No key of the ring has the id this data key was wrapped with.
    #[error("the key ring has no key `{0}`")]
    UnknownKey(String),
}

/// Whose data key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// An organization: what stands above its accounts.
    Organization(OrganizationId),
    /// An account.
    Account(AccountId),
}

impl KeyOwner {
    fn bytes(self) -> [u8; 17] {
        let (tag, id): (u8, Uuid) = match self {
            Self::Organization(id) => (b'o', id.as_uuid()),
            Self::Account(id) => (b'a', id.as_uuid()),
        };
        let mut bytes = [tag; 17];
        bytes[1..].copy_from_slice(id.as_bytes());
        bytes
    }
}

/// What a sealed value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A data key under a key-encryption key.
    DataKey,
    /// Credentials of a connection.
    Credentials,
    /// An answer kept under an idempotency key.
    KeptAnswer,
    /// What messages to a webhook endpoint are signed with.
    WebhookSecret,
    /// What proves at the exchange of a code that it was us who asked for it.
    OauthVerifier,
    /// The client an organization brought to an OAuth server.
    OauthClient,
    /// A grant that is to be given back.
    OauthRevocation,
}

impl Purpose {
    const fn tag(self) -> u8 {
        match self {
            Self::DataKey => 1,
            Self::Credentials => 2,
            Self::KeptAnswer => 3,
            Self::WebhookSecret => 4,
            Self::OauthVerifier => 5,
            Self::OauthClient => 6,
            Self::OauthRevocation => 7,
        }
    }
}

/// Where a sealed value belongs; opening asks for the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// Whose it is.
    pub owner: KeyOwner,
    /// What it is for.
    pub purpose: Purpose,
    /// The row it stands in: a connection's id, an idempotency scope.
    pub row: &'a [u8],
}

impl Binding<'_> {
    /// Owner and purpose have fixed lengths and the row comes last, so no two bindings share their bytes.
    fn associated_data(&self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT, self.purpose.tag()];
        bytes.extend_from_slice(&self.owner.bytes());
        bytes.extend_from_slice(self.row);
        bytes
    }
}

/// A key that seals values of one owner. Wiped from memory when dropped.
pub struct DataKey(Zeroizing<[u8; KEY_LEN]>);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// A random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Self(Zeroizing::new([0; KEY_LEN]));
        entropy.fill(key.0.as_mut_slice());
        key
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        let mut key = Self(Zeroizing::new([0; KEY_LEN]));
        if bytes.len() != KEY_LEN {
            return Err(VaultError::Malformed);
        }
        key.0.copy_from_slice(bytes);
        Ok(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals a value for its place: layout, nonce, ciphertext, tag.
    ///
    /// # Panics
    /// Never in practice: AES-GCM refuses only plaintexts above 64 GiB.
    pub fn seal(&self, binding: &Binding<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0u8; NONCE_LEN];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: &binding.associated_data() };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).expect("values are far below AES-GCM's limit");
        let mut value = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        value.push(LAYOUT);
        value.extend_from_slice(&nonce);
        value.extend_from_slice(&sealed);
        value
    }

    /// Opens a value sealed for the same place.
    pub fn open(&self, binding: &Binding<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&layout, rest) = sealed.split_first().ok_or(VaultError::Malformed)?;
        if layout != LAYOUT || rest.len() < NONCE_LEN + TAG_LEN {
            return Err(VaultError::Malformed);
        }
        let (nonce, msg) = rest.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::Malformed)?;
        let payload = Payload { msg, aad: &binding.associated_data() };
        // The cipher's error is deliberately empty, so nothing is lost by naming it anew.
        self.cipher().decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new).or(Err(VaultError::DoesNotOpen))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::tests::Counting;

    fn account(n: u128) -> KeyOwner {
        KeyOwner::Account(AccountId::from_uuid(Uuid::from_u128(n)))
    }

    #[test]
    fn a_value_opens_only_in_its_own_place() {
        let entropy = Counting::default();
        let key = DataKey::generate(&entropy);
        let home = Binding { owner: account(1), purpose: Purpose::Credentials, row: b"row one" };
        let sealed = key.seal(&home, b"hunter2", &entropy);
        let check = |binding: Binding<'_>, expected: Result<&[u8], VaultError>| {
            let opened = key.open(&binding, &sealed);
            assert_eq!(opened.as_ref().map(|plain| plain.as_slice()), expected.as_ref().copied(), "{binding:?}");
        };
        check(home, Ok(b"hunter2"));
        check(Binding { owner: account(2), ..home }, Err(VaultError::DoesNotOpen));
        let organization = KeyOwner::Organization(OrganizationId::from_uuid(Uuid::from_u128(1)));
        check(Binding { owner: organization, ..home }, Err(VaultError::DoesNotOpen));
        check(Binding { purpose: Purpose::KeptAnswer, ..home }, Err(VaultError::DoesNotOpen));
        check(Binding { row: b"row two", ..home }, Err(VaultError::DoesNotOpen));
        assert_eq!(DataKey::generate(&entropy).open(&home, &sealed), Err(VaultError::DoesNotOpen), "another key");
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let entropy = Counting::default();
        let key = DataKey::generate(&entropy);
        let home = Binding { owner: account(1), purpose: Purpose::Credentials, row: b"row" };
        let sealed = key.seal(&home, b"hunter2", &entropy);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open(&home, &changed).is_err(), "byte {place}");
            assert!(key.open(&home, &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn the_same_value_never_seals_to_the_same_bytes() {
        let entropy = Counting::default();
        let key = DataKey::generate(&entropy);
        let home = Binding { owner: account(1), purpose: Purpose::Credentials, row: b"row" };
        assert_ne!(key.seal(&home, b"hunter2", &entropy), key.seal(&home, b"hunter2", &entropy));
        assert_eq!(format!("{key:?}"), "DataKey(..)");
    }
}
