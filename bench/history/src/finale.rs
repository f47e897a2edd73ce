//! What there is at the end: in the store, and at the providers.

use agentcal_engine::ids::{BookingId, CalendarId, UserId};
use agentcal_engine::model::{Booking, Claim, ClaimOwner, Hold};
use agentcal_engine::time::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

/// What there is when the clients are done, or at any moment when no request is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Final {
    /// When it was read, by the store's clock.
    pub at: Timestamp,
    /// Every claim, whether it expired or not.
    pub claims: Vec<Claim>,
    /// Every booking.
    pub bookings: Vec<Booking>,
    /// Every hold, whether active or not.
    pub holds: Vec<Hold>,
    /// Whether the lists above are whole. A test that only reads some bookings back says no: then what is missing from
    /// a list is not held against the store, but what is there is checked.
    pub is_whole: bool,
    /// What the calendars at the providers show; given when all writebacks are through.
    pub provider: Option<ProviderFinal>,
    /// Busy time people kept at the providers during the run; none given, none checked.
    pub truth: Vec<Truth>,
    /// What readers may see late, by [`crate::Allowances::offer_slack_us`]; everything else they must see at once.
    pub late: Vec<Late>,
    /// What was written by nodes that had no right to any more.
    pub superseded: Vec<Superseded>,
}

/// What the calendars at the providers show when all writebacks are through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderFinal {
    /// Events written for bookings.
    pub events: Vec<EventAtProvider>,
    /// Bookings whose events people moved or deleted: theirs may stand anywhere.
    pub touched: Vec<BookingId>,
}

/// Time that was taken without its owner, or by one that could not tell everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Late {
    /// For what.
    pub owner: ClaimOwner,
    /// The time.
    pub range: TimeRange,
    /// What excuses it.
    pub cause: LateCause,
}

/// Why readers may see late what was taken. There is no other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateCause {
    /// It was taken without its owner, who may be the last to hear.
    Ownerless,
    /// Its owner could not write the cache that others read.
    Uncached,
}

/// A transaction of a node that acted as owner of a shard, and was not when it committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// What was written.
    pub what: String,
    /// Who wrote.
    pub writer: String,
    /// The epoch that stood.
    pub epoch: i64,
    /// When it committed, by the store's clock.
    pub at: Timestamp,
}

/// An event written for a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventAtProvider {
    /// Where it stands.
    pub calendar_id: CalendarId,
    /// For which booking.
    pub booking_id: BookingId,
    /// When.
    pub range: TimeRange,
}

/// Busy time of a person at a provider, as it truly was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Whose.
    pub user_id: UserId,
    /// When the person is busy.
    pub range: TimeRange,
    /// Since when the provider told it to whoever asked.
    pub since: Timestamp,
    /// When it was moved or taken away; `None`: still there.
    pub until: Option<Timestamp>,
}
