//! What comes back with somebody who was sent to consent: proof that we sent them, and for which account.

use uuid::Uuid;

use super::keys::{Purpose, SigningKeys};
use super::pair;
use crate::ids::AccountId;

/// Who was sent to consent. It is good for one attempt, which the store keeps, and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentState {
    /// For which account.
    pub account_id: AccountId,
    /// In which attempt.
    pub attempt_id: Uuid,
}

impl ConsentState {
    /// The text that goes along (`state`, RFC 6749, section 4.1.1): 64 characters.
    pub fn token(&self, keys: &SigningKeys) -> String {
        pair::token(keys, Purpose::ConsentState, [self.account_id.as_uuid(), self.attempt_id])
    }

    /// Who a text stands for; `None` where it was not made by one of these keys.
    pub fn verify(token: &str, keys: &SigningKeys) -> Option<Self> {
        let [account, attempt_id] = pair::verify(token, keys, Purpose::ConsentState)?;
        Some(Self { account_id: AccountId::from_uuid(account), attempt_id })
    }
}
