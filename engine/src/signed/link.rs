//! The link through which an attendee moves or cancels one booking.

use super::keys::{Purpose, SigningKeys};
use super::pair;
use crate::ids::{AccountId, BookingId};

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
        pair::token(keys, Purpose::ManageLink, [self.account_id.as_uuid(), self.booking_id.as_uuid()])
    }

    /// What a token stands for; `None` where it was not made by one of these keys.
    pub fn verify(token: &str, keys: &SigningKeys) -> Option<Self> {
        let [account, booking] = pair::verify(token, keys, Purpose::ManageLink)?;
        Some(Self { account_id: AccountId::from_uuid(account), booking_id: BookingId::from_uuid(booking) })
    }
}
