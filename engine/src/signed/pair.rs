//! A token about two ids: an account, and something in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::keys::{Purpose, SigningKeys};

/// Bytes of the signature kept in a token.
const SIGNATURE_LEN: usize = 16;
const LEN: usize = 32 + SIGNATURE_LEN;

/// The token for this purpose: 64 characters of base 64 (RFC 4648, section 5).
pub(super) fn token(keys: &SigningKeys, purpose: Purpose, ids: [Uuid; 2]) -> String {
    let signature = keys.sign(purpose, &[ids[0].as_bytes(), ids[1].as_bytes()]);
    let mut bytes = Vec::with_capacity(LEN);
    for id in &ids {
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.extend_from_slice(&signature[..SIGNATURE_LEN]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The ids of a token; `None` where it was not made for this purpose by one of these keys.
pub(super) fn verify(token: &str, keys: &SigningKeys, purpose: Purpose) -> Option<[Uuid; 2]> {
    let bytes: [u8; LEN] = super::decode(token)?.try_into().ok()?;
    let (first, rest) = bytes.split_at(16);
    let (second, signature) = rest.split_at(16);
    let parts: [&[u8]; 2] = [first, second];
    let mut known = keys.candidates(purpose, &parts);
    if !known.any(|expected| bool::from(expected[..SIGNATURE_LEN].ct_eq(signature))) {
        return None;
    }
    Some([Uuid::from_slice(first).ok()?, Uuid::from_slice(second).ok()?])
}
