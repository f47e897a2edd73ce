//! What one calendar contributes to a decision: external busy time and the claims published with it.
//!
//! Facts are versioned and written by the calendar's actor alone. They hold no titles and no addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::busy::BusySet;
use crate::ids::{AccountId, BookingId, CalendarId, ClaimId};
use crate::model::Claim;
use crate::shard::Epoch;
use crate::time::{TimeRange, Timestamp};

/// One instance of an event at the provider that concerns us: it blocks, or it is ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalInstance {
    /// The time.
    pub range: TimeRange,
    /// The booking this event was written for, where it is ours.
    pub booking_id: Option<BookingId>,
    /// Whether it blocks: opaque, not cancelled, not declined by the calendar's owner.
    pub blocks: bool,
}

/// Where a booking was last written while a move or a cancellation of it still waits to be written. An event of ours that
/// stands there is the old echo of a known booking, not somebody's busy time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PendingEcho {
    /// The booking.
    pub booking_id: BookingId,
    /// Where its event was last written.
    pub range: TimeRange,
}

/// Why a calendar's busy time is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// Connected, but its first sync has not ended.
    NotSynced,
    /// The provider says it no longer exists, or it was disconnected.
    CalendarGone,
    /// The provider refuses the credentials.
    ReauthorizationRequired,
    /// It keeps failing; the connection shows why.
    ProviderError,
    /// The time asked about lies outside the synced window.
    OutsideSyncedWindow,
    /// Its facts could not be had within the deadline.
    DeadlineExceeded,
}

/// What is known of a calendar's external busy time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Knowledge {
    /// An internal calendar: there is no provider, so there is nothing not to know.
    Internal,
    /// True as of an instant, inside a window; outside it nothing is known.
    Synced {
        /// When the provider was last asked, successfully, before the answer came.
        as_of: Timestamp,
        /// The instants synced.
        window: TimeRange,
        /// Until when the provider rings for changes after that; `None` where it is asked at intervals.
        #[serde(default)]
        watched_until: Option<Timestamp>,
    },
    /// Nothing.
    Unknown(UnknownReason),
}

/// How old facts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    /// Of a calendar whose provider is asked at intervals.
    pub polled: Duration,
    /// Of a calendar whose provider rings.
    pub watched: Duration,
}

impl MaxAge {
    /// The more patient of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { polled: self.polled.max(other.polled), watched: self.watched.max(other.watched) }
    }
}

impl From<Duration> for MaxAge {
    /// The same, whether or not somebody rings.
    fn from(age: Duration) -> Self {
        Self { polled: age, watched: age }
    }
}

/// The published facts of one calendar, in the form the decision reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarFacts {
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The ownership under which these facts were published.
    pub epoch: Epoch,
    /// The calendar's revision in the store that these facts equal.
    pub revision: u64,
    /// How much is known.
    pub knowledge: Knowledge,
    /// Busy time of others: merged, disjoint, ascending.
    pub external: Vec<TimeRange>,
    /// Events of ours that block because they do not coincide with their claim, ascending. Kept apart so that moving that
    /// very booking can look past them.
    pub displaced: Vec<(BookingId, TimeRange)>,
    /// Claims published with this calendar, ascending by start; expired holds may still be among them.
    pub claims: Vec<Claim>,
}

impl CalendarFacts {
    /// Builds the published form: merges busy time, drops each event of ours that coincides with a claim of its booking in
    /// `claims` or stands where a waiting move or cancellation last wrote it, and keeps every other as displaced.
    pub fn assemble(source: FactSource) -> Self {
        let FactSource { calendar_id, account_id, epoch, revision, knowledge, instances, mut claims, echoes } = source;
        claims.sort_by_key(Self::order_of);
        let is_echo = |booking_id: BookingId, range: TimeRange| {
            claims.iter().any(|claim| claim.booking_id() == Some(booking_id) && claim.range == range)
                || echoes.contains(&PendingEcho { booking_id, range })
        };
        let mut external = Vec::new();
        let mut displaced = Vec::new();
        for instance in instances.into_iter().filter(|instance| instance.blocks) {
            match instance.booking_id {
                Some(booking_id) if is_echo(booking_id, instance.range) => {}
                Some(booking_id) => displaced.push((booking_id, instance.range)),
                None => external.push(instance.range),
            }
        }
        displaced.sort_by_key(|&(booking_id, range)| (range, booking_id));
        let external = BusySet::from_ranges(external).into_ranges();
        Self { calendar_id, account_id, epoch, revision, knowledge, external, displaced, claims }
    }

    /// Whether they are older than they may be at an instant. What has no age never is.
    pub fn is_older_than(&self, max_age: MaxAge, now: Timestamp) -> bool {
        match self.knowledge {
            Knowledge::Synced { as_of, watched_until, .. } => {
                let is_watched = watched_until.is_some_and(|until| now < until);
                let max_age = if is_watched { max_age.watched } else { max_age.polled };
                now.saturating_since(as_of) > max_age
            }
            Knowledge::Internal | Knowledge::Unknown(_) => false,
        }
    }

    /// What claims are ordered by.
    pub(crate) fn order_of(claim: &Claim) -> (Timestamp, ClaimId) {
        (claim.range.start, claim.id)
    }

    /// As of when these facts are true; `None` where there is no provider or nothing is known.
    pub fn as_of(&self) -> Option<Timestamp> {
        match self.knowledge {
            Knowledge::Synced { as_of, .. } => Some(as_of),
            Knowledge::Internal | Knowledge::Unknown(_) => None,
        }
    }
}

/// What [`CalendarFacts::assemble`] works from: the rows of one calendar as the store keeps them.
#[derive(Clone, Debug)]
pub struct FactSource {
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The ownership under which the facts will be published.
    pub epoch: Epoch,
    /// The calendar's revision the rows were read at.
    pub revision: u64,
    /// How much is known.
    pub knowledge: Knowledge,
    /// Instances of the current generation, in any order.
    pub instances: Vec<ExternalInstance>,
    /// Claims whose home is this calendar, in any order.
    pub claims: Vec<Claim>,
    /// Where bookings with waiting changes were last written.
    pub echoes: Vec<PendingEcho>,
}
