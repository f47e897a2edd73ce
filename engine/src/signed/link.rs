//! The link through which an attendee moves or cancels one booking.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::keys::{Purpose, SigningKeys};
use crate::ids::{AccountId, BookingId};

/// Bytes of the signature kept in a link.
const SIGNATURE_LEN: usize = 16;
const LEN: usize = 32 + SIGNATURE_LEN;

/// What a link is for: one booking, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManageLink {
    /// The booking's account.
    pub account_id: AccountId,
    /// The booking.
    pub booking_id: BookingId,
}

impl ManageLink {
    /// The token that stands for it in an address.
    pub fn token(&self, keys: &SigningKeys) -> String {
        let (account, booking) = (self.account_id.as_uuid(), self.booking_id.as_uuid());
        let signature = keys.sign(Purpose::ManageLink, &[account.as_bytes(), booking.as_bytes()]);
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(account.as_bytes());
        bytes.extend_from_slice(booking.as_bytes());
        bytes.extend_from_slice(&signature[..SIGNATURE_LEN]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a token stands for; `None` where it was not made by one of these keys.
    pub fn verify(token: &str, keys: &SigningKeys) -> Option<Self> {
        let bytes: [u8; LEN] = super::decode(token)?.try_into().ok()?;
        let (account, rest) = bytes.split_at(16);
        let (booking, signature) = rest.split_at(16);
        let parts: [&[u8]; 2] = [account, booking];
        let mut known = keys.candidates(Purpose::ManageLink, &parts);
        if !known.any(|expected| bool::from(expected[..SIGNATURE_LEN].ct_eq(signature))) {
            return None;
        }
        let id = |bytes: &[u8]| Uuid::from_slice(bytes).ok();
        Some(Self { account_id: AccountId::from_uuid(id(account)?), booking_id: BookingId::from_uuid(id(booking)?) })
    }
}
