//! The key-encryption keys of an installation, and data keys wrapped by them.

use std::fmt;

use agentcal_engine::ports::Entropy;
use agentcal_engine::signed::{SIGNING_KEY_LEN, SigningKeys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::{Binding, DataKey, KEY_LEN, KeyOwner, Purpose, VaultError};

/// Most keys a ring may hold.
const KEYS_MAX: usize = 32;
/// Parts what signs tokens from what wraps keys.
const SIGNING_LABEL: &[u8] = b"agentcal signing 1";
/// Longest id of a key.
const KEY_ID_LEN_MAX: usize = 64;

/// Why a text is not a key ring. Never repeats key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key in it.
    #[error("there must be at least one encryption key, as `id:base64 of 32 bytes`")]
    Empty,
    /// More keys than [`KEYS_MAX`].
    #[error("there are more than {KEYS_MAX} encryption keys")]
    TooMany,
    /// An entry has no colon, or an id that is empty, too long or not of letters, digits, `-`, `_` and `.`.
    #[error("encryption key {position} must be `id:base64`, its id of letters, digits, `-`, `_` or `.`")]
    Id {
        /// Which entry, from 1.
        position: usize,
    },
    /// What follows the colon is not the base 64 of 32 bytes.
    #[error("encryption key `{id}` must be the base64 of exactly 32 bytes")]
    Key {
        /// The entry's id.
        id: String,
    },
    /// Two entries have the same id.
    #[error("encryption key `{id}` is listed twice")]
    Twice {
        /// The id.
        id: String,
    },
}

/// A data key as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The ring's key it is wrapped with.
    pub key_id: String,
    /// The sealed data key.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey(by {})", self.key_id)
    }
}

/// Key-encryption keys. The first one wraps; all of them unwrap, so that a new key put in front rotates.
pub struct KeyRing {
    keys: Vec<(String, DataKey)>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.key_ids().collect::<Vec<_>>()).finish()
    }
}

impl KeyRing {
    /// Reads `id:base64,id:base64,..`, the form of `AGENTCAL_ENCRYPTION_KEYS`.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let mut ring = Self { keys: Vec::new() };
        for (index, entry) in entries.enumerate() {
            let (id, key) = parse_entry(index + 1, entry)?;
            if ring.find(&id).is_some() {
                return Err(KeyRingError::Twice { id });
            }
            ring.keys.push((id, key));
        }
        match ring.keys.len() {
            0 => Err(KeyRingError::Empty),
            1..=KEYS_MAX => Ok(ring),
            _ => Err(KeyRingError::TooMany),
        }
    }

    /// A ring of one random key.
    pub fn generate(id: &str, entropy: &dyn Entropy) -> Self {
        Self { keys: vec![(id.to_owned(), DataKey::generate(entropy))] }
    }

    /// The ring as [`KeyRing::parse`] reads it. Holds the keys themselves: for a key file, never for a log.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let entries =
            self.keys.iter().map(|(id, key)| Zeroizing::new(format!("{id}:{}", STANDARD.encode(key.bytes()))));
        let mut text = Zeroizing::new(String::new());
        for entry in entries {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&entry);
        }
        text
    }

    /// The ids of its keys, the active one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(id, _)| id.as_str())
    }

    /// Wraps a data key with the active key.
    pub fn wrap(&self, owner: KeyOwner, key: &DataKey, entropy: &dyn Entropy) -> WrappedKey {
        let (id, active) = &self.keys[0];
        let bytes = active.seal(&binding(owner, id), key.bytes(), entropy);
        WrappedKey { key_id: id.clone(), bytes }
    }

    /// Unwraps a data key with whichever key wrapped it.
    pub fn unwrap(&self, owner: KeyOwner, wrapped: &WrappedKey) -> Result<DataKey, VaultError> {
        let key = self.find(&wrapped.key_id).ok_or_else(|| VaultError::UnknownKey(wrapped.key_id.clone()))?;
        DataKey::from_bytes(&key.open(&binding(owner, &wrapped.key_id), &wrapped.bytes)?)
    }

    /// The data key wrapped with the active key, or `None` when it is already.
    pub fn rewrap(
        &self,
        owner: KeyOwner,
        wrapped: &WrappedKey,
        entropy: &dyn Entropy,
    ) -> Result<Option<WrappedKey>, VaultError> {
        if self.keys[0].0 == wrapped.key_id {
            return Ok(None);
        }
        Ok(Some(self.wrap(owner, &self.unwrap(owner, wrapped)?, entropy)))
    }

    /// Keys for signing tokens, one derived from each key of the ring (HMAC-SHA-256 over a label); the active one signs.
    pub fn signing_keys(&self) -> SigningKeys {
        let derive = |(_, key): &(String, DataKey)| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).expect("HMAC takes keys of any length");
            mac.update(SIGNING_LABEL);
            Zeroizing::new(<[u8; SIGNING_KEY_LEN]>::from(mac.finalize().into_bytes()))
        };
        SigningKeys::new(derive(&self.keys[0]), self.keys[1..].iter().map(derive))
    }

    fn find(&self, id: &str) -> Option<&DataKey> {
        self.keys.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }
}

fn binding(owner: KeyOwner, key_id: &str) -> Binding<'_> {
    Binding { owner, purpose: Purpose::DataKey, row: key_id.as_bytes() }
}

fn parse_entry(position: usize, entry: &str) -> Result<(String, DataKey), KeyRingError> {
    let (id, encoded) = entry.split_once(':').ok_or(KeyRingError::Id { position })?;
    let is_id_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > KEY_ID_LEN_MAX || !id.chars().all(is_id_char) {
        return Err(KeyRingError::Id { position });
    }
    let wrong = || KeyRingError::Key { id: id.to_owned() };
    // The decoder's error would name bytes of the key, so it is left behind on purpose.
    let bytes = STANDARD.decode(encoded).map(Zeroizing::new).ok().ok_or_else(wrong)?;
    if bytes.len() != KEY_LEN {
        return Err(wrong());
    }
    Ok((id.to_owned(), DataKey::from_bytes(&bytes).ok().ok_or_else(wrong)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use agentcal_engine::ids::AccountId;
    use uuid::Uuid;

    use super::*;

    /// Bytes that never repeat, for tests.
    #[derive(Default)]
    pub(crate) struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for chunk in buffer.chunks_mut(8) {
                let n = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                chunk.copy_from_slice(&n.to_le_bytes()[..chunk.len()]);
            }
        }
    }

    const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn a_ring_is_read_or_refused_by_entry() {
        let check = |text: &str, expected: Result<&[&str], KeyRingError>| {
            let ring = KeyRing::parse(text);
            let ids = ring.as_ref().map(|ring| ring.key_ids().collect::<Vec<_>>());
            assert_eq!(ids, expected.as_ref().map(|ids| ids.to_vec()), "{text}");
        };
        check(&format!("new:{ZEROS}, old:{ONES}"), Ok(&["new", "old"]));
        check("", Err(KeyRingError::Empty));
        check(" , ", Err(KeyRingError::Empty));
        check(ZEROS, Err(KeyRingError::Id { position: 1 }));
        check(&format!(":{ZEROS}"), Err(KeyRingError::Id { position: 1 }));
        check(&format!("a:{ZEROS},b c:{ONES}"), Err(KeyRingError::Id { position: 2 }));
        check("a:AAAA", Err(KeyRingError::Key { id: "a".into() }));
        check("a:not base64", Err(KeyRingError::Key { id: "a".into() }));
        check(&format!("a:{ZEROS},a:{ONES}"), Err(KeyRingError::Twice { id: "a".into() }));
    }

    #[test]
    fn rotation_rewraps_and_the_old_key_may_then_go() {
        let entropy = Counting::default();
        let owner = KeyOwner::Account(AccountId::from_uuid(Uuid::from_u128(7)));
        let old = KeyRing::parse(&format!("old:{ONES}")).expect("a valid ring");
        let both = KeyRing::parse(&format!("new:{ZEROS},old:{ONES}")).expect("a valid ring");
        let new = KeyRing::parse(&format!("new:{ZEROS}")).expect("a valid ring");

        let key = DataKey::generate(&entropy);
        let wrapped = old.wrap(owner, &key, &entropy);
        assert_eq!(new.unwrap(owner, &wrapped).err(), Some(VaultError::UnknownKey("old".into())));
        let rewrapped = both.rewrap(owner, &wrapped, &entropy).expect("opens").expect("was not active");
        assert_eq!(rewrapped.key_id, "new");
        assert_eq!(new.unwrap(owner, &rewrapped).expect("opens").bytes(), key.bytes());
        assert_eq!(both.rewrap(owner, &rewrapped, &entropy), Ok(None));
    }

    #[test]
    fn a_wrapped_key_opens_for_its_owner_alone() {
        let entropy = Counting::default();
        let ring = KeyRing::generate("k", &entropy);
        let owner = |n| KeyOwner::Account(AccountId::from_uuid(Uuid::from_u128(n)));
        let wrapped = ring.wrap(owner(1), &DataKey::generate(&entropy), &entropy);
        assert!(ring.unwrap(owner(1), &wrapped).is_ok());
        assert_eq!(ring.unwrap(owner(2), &wrapped).err(), Some(VaultError::DoesNotOpen));
    }

    #[test]
    fn nothing_shows_a_key() {
        let ring = KeyRing::parse(&format!("a:{ONES}")).expect("a valid ring");
        assert_eq!(format!("{ring:?}"), r#"KeyRing(["a"])"#);
        assert_eq!(ring.to_secret_text().as_str(), format!("a:{ONES}"));
        let error = KeyRing::parse("a:c2VjcmV0").expect_err("too short");
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }
}
