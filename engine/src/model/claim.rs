//! A person's time, taken.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use crate::time::{TimeRange, Timestamp};

/// Whether a claim ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Until `expires_at`.
    Hold,
    /// Until cancelled.
    Booking,
}

/// What a claim was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimOwner {
    /// A hold.
    Hold(HoldId),
    /// A booking.
    Booking(BookingId),
}

/// One person's time, taken by a hold or a booking. No two claims of one `(account_id, user_id)` overlap; the store's
/// constraint says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: ClaimId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Whose time it is.
    pub user_id: UserId,
    /// The calendar with whose facts it is published: the user's home calendar.
    pub home_calendar_id: CalendarId,
    /// The time, without buffers.
    pub range: TimeRange,
    /// What took it.
    pub owner: ClaimOwner,
    /// The event type, where there is one; counted by `max_bookings_per_day`.
    pub event_type_id: Option<EventTypeId>,
    /// Minutes this claim wants free before it.
    pub buffer_before_minutes: u32,
    /// Minutes this claim wants free after it.
    pub buffer_after_minutes: u32,
    /// When a hold ends, by the store's clock; `None` for bookings.
    pub expires_at: Option<Timestamp>,
    /// The call that placed a hold, to free all of it at once.
    pub session_id: Option<String>,
}

impl Claim {
    /// Hold or booking.
    pub fn kind(&self) -> ClaimKind {
        match self.owner {
            ClaimOwner::Hold(_) => ClaimKind::Hold,
            ClaimOwner::Booking(_) => ClaimKind::Booking,
        }
    }

    /// The booking it belongs to, unless a hold.
    pub fn booking_id(&self) -> Option<BookingId> {
        match self.owner {
            ClaimOwner::Booking(booking_id) => Some(booking_id),
            ClaimOwner::Hold(_) => None,
        }
    }

    /// Whether it still takes the time at the given instant of the store's clock.
    pub fn is_live(&self, store_now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| store_now < expires_at)
    }
}
