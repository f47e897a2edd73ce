//! The whole check, and what came of it.

use agentcal_engine::model::ClaimOwner;
use agentcal_engine::time::{SECOND_US, Timestamp};
use serde::Serialize;

use crate::certain::Certain;
use crate::checks;
use crate::ledger::Ledger;
use crate::{Event, Final, LateCause, Violation};

/// How much is allowed before it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowances {
    /// How far the clients' clock, the store's and the provider's may lie apart, in microseconds, together with what
    /// answers round away.
    pub clock_slack_us: i64,
    /// For how long after an answer others may still be offered what it took, where that may be seen late
    /// ([`Final::late`]), in microseconds.
    pub offer_slack_us: i64,
    /// Whether an answer that offers what may be seen late must not be called `complete`.
    pub late_is_stale: bool,
    /// Whether clients sent everything with a key until it was answered, so that all of it must have been.
    pub retries_are_through: bool,
    /// Oldest facts a booking or hold may rest on, in microseconds; `None`: not checked.
    pub facts_age_max_us: Option<i64>,
}

impl Default for Allowances {
    /// One second between the clocks, none for offers, facts of any age, and not everything was answered.
    fn default() -> Self {
        Self {
            clock_slack_us: SECOND_US,
            offer_slack_us: 0,
            late_is_stale: true,
            retries_are_through: false,
            facts_age_max_us: None,
        }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events.
    pub events: usize,
    /// Writes whose outcome nobody knows.
    pub in_doubt: usize,
    /// Bookings acknowledged.
    pub bookings_acknowledged: usize,
    /// Moves acknowledged.
    pub moves_acknowledged: usize,
    /// Cancellations acknowledged.
    pub cancels_acknowledged: usize,
    /// Holds acknowledged.
    pub holds_acknowledged: usize,
    /// Holds confirmed.
    pub holds_confirmed: usize,
    /// Answers with slots.
    pub questions: usize,
    /// Slots in them.
    pub slots: usize,
    /// Slots that were compared with time certainly taken.
    pub slots_beside_taken: usize,
    /// Slots that were compared with busy time at providers.
    pub slots_beside_truth: usize,
    /// Offers of what was taken, and may be seen late.
    pub offered_late: usize,
    /// Those in answers that were called `complete`.
    pub offered_late_as_complete: usize,
    /// Pairs of answers under one key.
    pub replays: usize,
    /// Keys of requests that were not answered at first, and were in the end.
    pub healed: usize,
    /// Reads of bookings.
    pub reads: usize,
    /// Claims in the store.
    pub claims: usize,
    /// Bookings in the store.
    pub bookings: usize,
    /// Holds in the store.
    pub holds: usize,
    /// Bookings compared with calendars at providers.
    pub shown: usize,
}

/// An offer of what was taken, and may be seen late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LateOffer {
    /// The question it answers, by its place in the history.
    pub event: usize,
    /// For what the time was taken.
    pub owner: ClaimOwner,
    /// When that was told.
    pub since: Timestamp,
    /// From then until the question was asked, in microseconds.
    pub late_us: i64,
    /// Why it may be.
    pub cause: LateCause,
    /// Whether the answer was called `complete`.
    pub is_complete: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// How much was looked at.
    pub counts: Counts,
    /// Each of [`Counts::offered_late`].
    pub late_offers: Vec<LateOffer>,
}

impl Report {
    /// Whether nothing is wrong. Look at the counts, too: nothing is wrong with an empty history.
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Compares what clients saw with what there is.
pub fn check(events: &[Event], finale: &Final, allowances: &Allowances) -> Report {
    let mut report = Report::default();
    let ledger = Ledger::of(events);
    let certain = Certain::of(&ledger, finale, allowances);
    report.counts.events = events.len();
    checks::asked::check(events, finale, &mut report);
    checks::bookings::check(events, &ledger, finale, &mut report);
    checks::holds::check(events, &ledger, finale, allowances, &mut report);
    checks::claims::check(finale, &mut report);
    checks::overlaps::check(&certain, finale, &mut report);
    checks::offers::check(events, &certain, finale, allowances, &mut report);
    checks::replays::check(events, &mut report);
    checks::healed::check(events, allowances, &mut report);
    checks::epochs::check(finale, &mut report);
    checks::provider::check(finale, &mut report);
    report
}
