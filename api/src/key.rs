//! API keys: their text, which is shown once, and the hash by which they are kept.

use agentcal_engine::model::{KeyKind, Mode};
use agentcal_engine::ports::Entropy;
use sha2::{Digest, Sha256};

/// Characters after the prefix: 256 bits in base 32.
const SECRET_LEN: usize = 52;
/// Characters of a key that lists may show: the prefix and four more.
const HINT_LEN: usize = 12;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A key that was just made. The text exists here and at the caller, nowhere else.
pub struct MintedKey {
    /// The whole key.
    pub text: String,
    /// What is kept of it.
    pub hash: [u8; 32],
    /// Its first characters, for lists.
    pub hint: String,
}

/// Draws a new key.
pub fn mint(kind: KeyKind, mode: Mode, entropy: &dyn Entropy) -> MintedKey {
    let mut random = [0u8; 33];
    entropy.fill(&mut random);
    let mut text = prefix(kind, mode).to_owned();
    text.extend((0..SECRET_LEN).map(|place| char::from(ALPHABET[usize::from(five_bits(&random, place))])));
    let hash = hash(&text);
    let hint = text[..HINT_LEN].to_owned();
    MintedKey { text, hash, hint }
}

/// What a key begins with.
pub const fn prefix(kind: KeyKind, mode: Mode) -> &'static str {
    match (kind, mode) {
        (KeyKind::Secret, Mode::Live) => "sk_live_",
        (KeyKind::Secret, Mode::Test) => "sk_test_",
        (KeyKind::Publishable, Mode::Live) => "pk_live_",
        (KeyKind::Publishable, Mode::Test) => "pk_test_",
    }
}

/// SHA-256 of the key's text, by which stores keep and find it.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether a text can be a key at all; what cannot is refused without asking the store.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let known = ["sk_live_", "sk_test_", "pk_live_", "pk_test_"];
    known.iter().any(|prefix| {
        text.strip_prefix(prefix).is_some_and(|secret| secret.len() == SECRET_LEN && secret.bytes().all(is_in_alphabet))
    })
}

/// Every request asks this of each character of its key, so the alphabet is not searched.
const fn is_in_alphabet(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'h' | b'j' | b'k' | b'm' | b'n' | b'p'..=b't' | b'v'..=b'z')
}

fn five_bits(bytes: &[u8; 33], place: usize) -> u8 {
    let bit = place * 5;
    let pair = u16::from_be_bytes([bytes[bit / 8], bytes[bit / 8 + 1]]);
    (pair >> (11 - bit % 8) & 31) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn minted_keys_are_well_formed_and_say_what_they_are() {
        for (kind, mode, prefix) in [
            (KeyKind::Secret, Mode::Live, "sk_live_"),
            (KeyKind::Secret, Mode::Test, "sk_test_"),
            (KeyKind::Publishable, Mode::Live, "pk_live_"),
            (KeyKind::Publishable, Mode::Test, "pk_test_"),
        ] {
            let key = mint(kind, mode, &Fixed(0xff));
            assert_eq!(key.text, format!("{prefix}{}", "z".repeat(52)));
            assert!(is_well_formed(&key.text));
            assert_eq!(key.hint, format!("{prefix}zzzz"));
            assert_eq!(key.hash, hash(&key.text));
        }
    }

    #[test]
    fn every_bit_of_chance_is_in_the_text() {
        assert_ne!(
            mint(KeyKind::Secret, Mode::Test, &Fixed(1)).text,
            mint(KeyKind::Secret, Mode::Test, &Fixed(2)).text
        );
        assert_eq!(mint(KeyKind::Secret, Mode::Test, &Fixed(0)).text, format!("sk_test_{}", "0".repeat(52)));
    }

    #[test]
    fn the_alphabet_is_known_by_heart() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_in_alphabet(byte), ALPHABET.contains(&byte), "{byte}");
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_seen_at_once() {
        for text in [
            "",
            "sk_live_",
            "sk_live_abc",
            &format!("sk_prod_{}", "0".repeat(52)),
            &format!("sk_live_{}", "U".repeat(52)),
        ] {
            assert!(!is_well_formed(text), "{text}");
        }
    }
}
