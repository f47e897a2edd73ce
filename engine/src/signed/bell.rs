//! What a provider says when it notifies us of a change: proof that we asked it to, and of which calendar.

use super::keys::{Purpose, SigningKeys};
use super::pair;
use crate::ids::{AccountId, CalendarId};

/// Whose bell is rung. A provider that is given the token can ring it, and nothing else: a notification carries no truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarBell {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
}

impl CalendarBell {
    /// The token a provider repeats in each notification: 64 characters.
    pub fn token(&self, keys: &SigningKeys) -> String {
        pair::token(keys, Purpose::CalendarBell, [self.account_id.as_uuid(), self.calendar_id.as_uuid()])
    }

    /// Whose bell a token rings; `None` where it was not made by one of these keys.
    pub fn verify(token: &str, keys: &SigningKeys) -> Option<Self> {
        let [account, calendar] = pair::verify(token, keys, Purpose::CalendarBell)?;
        Some(Self { account_id: AccountId::from_uuid(account), calendar_id: CalendarId::from_uuid(calendar) })
    }
}
