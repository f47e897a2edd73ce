//! A slot kept for somebody for a short time.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, BookingId, EventTypeId, HoldId, UserId};
use crate::time::{TimeRange, Timestamp};

/// Shortest hold, in seconds.
pub const HOLD_TTL_SECONDS_MIN: u32 = 30;
/// Longest hold, in seconds; also the furthest an extension reaches from the moment it is asked for.
pub const HOLD_TTL_SECONDS_MAX: u32 = 900;
/// Length of a hold where none is asked for, in seconds.
pub const HOLD_TTL_SECONDS_DEFAULT: u32 = 120;

/// Where a hold is in its life, as it is stored. `expired` is not stored: see [`Hold::state_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Takes the time, until it expires.
    Active,
    /// Was given back.
    Released,
    /// Became this booking.
    Confirmed(BookingId),
    /// Ran out, by the store's clock.
    Expired,
}

/// A slot kept for somebody. Its claims are what takes the time; this row outlives them, so that a late caller hears
/// what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// What is held; `None` for a meeting without an event type.
    pub event_type_id: Option<EventTypeId>,
    /// When.
    pub range: TimeRange,
    /// Whose time: one claim each.
    pub user_ids: Vec<UserId>,
    /// The call that placed it, to free everything of a call at once.
    pub session_id: Option<String>,
    /// Stored state: active, released or confirmed.
    pub state: HoldState,
    /// When it ends by itself, by the store's clock.
    pub expires_at: Timestamp,
    /// When it was placed, by the store's clock.
    pub created_at: Timestamp,
}

impl Hold {
    /// The state at an instant of the store's clock: an active hold whose time has come is expired.
    pub fn state_at(&self, store_now: Timestamp) -> HoldState {
        match self.state {
            HoldState::Active if self.expires_at <= store_now => HoldState::Expired,
            state => state,
        }
    }
}
