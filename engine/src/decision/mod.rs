//! The one decision function: is this person free then, on these terms, given these facts?
//!
//! [`decide`] judges one start and gives every reason against it; [`explain`] adds what each rule rests on. [`slots`],
//! [`next_available`] and [`alternatives`] walk the very same examiner along the grid. What decides for availability therefore
//! decides for holds, commits and explanations too.
//!
//! How it works: each thing that stands in the way (an event, a claim, a day at its limit) is turned once into the range
//! of *starts* it forbids, buffers and duration worked in. Judging a start is looking up which of these ranges hold it;
//! finding slots is stepping along the grid of each window over their union, with a cursor that only moves forward.

mod alternatives;
mod choose;
mod examiner;
mod explain;
mod hosts;
mod obstacles;
mod slots;
mod terms;
mod verdict;

use std::sync::Arc;

pub use alternatives::{DayPart, alternatives};
pub use choose::choose_hosts;
pub use explain::{CalendarSeen, Evidence, Explanation, Finding, HostExplanation, Met, explain};
pub use hosts::HostSet;
pub use obstacles::ObstacleKind;
pub use slots::{Slot, SlotSearch, next_available, slots};
pub use terms::{Terms, WINDOW_DAYS};
pub use verdict::{Decision, HostVerdict, Reason};

use crate::facts::CalendarFacts;
use crate::model::{ClaimOwner, User};
use crate::schedule::Schedule;
use crate::time::Timestamp;
use examiner::{Examiner, StartSpan};

/// One host and all facts that judge it.
#[derive(Clone, Debug)]
pub struct Host {
    /// The host.
    pub user: Arc<User>,
    /// When the host can be booked.
    pub rules: Arc<Schedule>,
    /// The facts of every calendar in `user.calendars_read()`. A calendar whose facts are missing makes the host unknown.
    pub facts: Vec<Arc<CalendarFacts>>,
}

/// What is asked: these terms, these hosts, now.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The terms of the meeting.
    pub terms: &'a Terms,
    /// Who might take it, in order of preference. At most [`crate::model::HOSTS_PER_EVENT_TYPE_MAX`].
    pub hosts: &'a [Host],
    /// The present instant by the store's clock.
    pub now: Timestamp,
    /// A reschedule looks past the claims and the displaced events of its own booking, a confirmation past its own hold.
    pub ignoring: Option<ClaimOwner>,
}

/// Judges one start for every host, with all reasons.
pub fn decide(question: &Question<'_>, start: Timestamp) -> Decision {
    let examiner = Examiner::over(question, StartSpan::at(start.clamped()));
    Decision { range: examiner.range_from(start.clamped()), verdicts: examiner.verdicts(start) }
}
