//! What was decided, and on what: kept with every booking, hold and refusal.

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::ids::{AccountId, BookingId, CalendarId, DecisionId, EventTypeId, HoldId, UserId};
use crate::time::Timestamp;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// A new booking.
    Book,
    /// A booking made of a hold.
    Confirm,
    /// A hold.
    Hold,
    /// Another time for a booking.
    Reschedule,
}

/// The facts of one calendar a decision rested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsSeen {
    /// The calendar.
    pub calendar_id: CalendarId,
    /// Its revision.
    pub revision: u64,
    /// As of when they were true; `None` where nothing ages or nothing was known.
    pub as_of: Option<Timestamp>,
    /// When the provider was asked about the very time of the decision, because the facts were too old to book on or told
    /// nothing; `None` where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
}

/// One decision. Holds no titles, names or addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Its id.
    pub id: DecisionId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// What was asked for.
    pub kind: DecisionKind,
    /// The booking made or moved; for a refused move, the one that stayed.
    pub booking_id: Option<BookingId>,
    /// The hold placed or confirmed.
    pub hold_id: Option<HoldId>,
    /// The event type, where there was one.
    pub event_type_id: Option<EventTypeId>,
    /// The configuration the decision rested on: the version of all rules.
    pub config_revision: u64,
    /// The facts it rested on, ascending by calendar, none twice.
    pub facts: Vec<FactsSeen>,
    /// The verdict on every host.
    pub decision: Decision,
    /// Who was taken; empty: refused.
    pub chosen: Vec<UserId>,
    /// When, by the store's clock.
    pub decided_at: Timestamp,
}

impl DecisionRecord {
    /// Whether the answer was yes.
    pub fn is_accepted(&self) -> bool {
        !self.chosen.is_empty()
    }
}
