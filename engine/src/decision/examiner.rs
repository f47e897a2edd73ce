//! The examiner: everything about a question that does not depend on the start, worked out once.

use super::obstacles::{self, Obstacle};
use super::{Host, HostVerdict, Question, Reason};
use crate::busy::BusySet;
use crate::facts::{Knowledge, UnknownReason};
use crate::model::SchedulingMode;
use crate::time::{TimeRange, Timestamp};

/// Starts from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StartSpan {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl StartSpan {
    pub(super) const fn at(start: Timestamp) -> Self {
        Self { first: start, last: start }
    }

    /// Every start inside a range.
    pub(super) fn of(range: TimeRange) -> Self {
        Self { first: range.start, last: range.end.plus_micros(-1) }
    }

    pub(super) fn contains(&self, start: Timestamp) -> bool {
        self.first <= start && start <= self.last
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The starts both spans have; `None` where they have none.
    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        let span = Self { first: self.first.max(other.first), last: self.last.min(other.last) };
        (span.first <= span.last).then_some(span)
    }

    pub(super) fn range(&self) -> TimeRange {
        TimeRange { start: self.first, end: self.last.plus_micros(1) }
    }
}

/// Starts that notice and booking window leave. May be empty.
pub(super) fn bookable(question: &Question<'_>) -> StartSpan {
    let now = question.now;
    StartSpan {
        first: now.plus_micros(question.terms.notice_us()).max(Timestamp::EARLIEST),
        last: now.plus_micros(question.terms.window_us()).min(Timestamp::LATEST),
    }
}

/// One host, made ready for judging starts within a span.
pub(super) struct HostView<'a> {
    pub(super) host: &'a Host,
    /// The host's rules and the event type's, intersected.
    pub(super) windows: BusySet,
    pub(super) obstacles: Vec<Obstacle>,
    /// For which starts every calendar is known, or why for none.
    pub(super) known: Result<StartSpan, UnknownReason>,
}

/// A question, made ready for judging starts within a span.
pub(super) struct Examiner<'a> {
    question: &'a Question<'a>,
    pub(super) hosts: Vec<HostView<'a>>,
    /// The windows from whose starts slots are counted where they are not each host's own.
    common: Option<BusySet>,
    pub(super) bookable: StartSpan,
}

impl<'a> Examiner<'a> {
    /// Works out all that matters to starts within `span`.
    pub(super) fn over(question: &'a Question<'a>, span: StartSpan) -> Self {
        let needed = TimeRange { start: span.first, end: span.last.plus_micros(question.terms.duration_us()) };
        let shared = question.terms.rules.as_ref().map(|rules| rules.windows(needed, question.now));
        let view = |host: &'a Host| {
            let own = host.rules.windows(needed, question.now);
            HostView {
                host,
                windows: match &shared {
                    Some(shared) => own.intersect(shared),
                    None => own,
                },
                obstacles: obstacles::of_host(question, host, span),
                known: known_starts(question, host),
            }
        };
        let hosts: Vec<HostView<'a>> = question.hosts.iter().map(view).collect();
        let common = (question.terms.scheduling_mode == SchedulingMode::Collective)
            .then(|| hosts.iter().map(|host| host.windows.clone()).reduce(|all, own| all.intersect(&own)))
            .map(Option::unwrap_or_default);
        Self { question, hosts, common, bookable: bookable(question) }
    }

    /// The time a meeting from `start` takes.
    pub(super) fn range_from(&self, start: Timestamp) -> TimeRange {
        TimeRange { start, end: start.plus_micros(self.question.terms.duration_us()) }
    }

    /// Every reason of every host against a start.
    pub(super) fn verdicts(&self, start: Timestamp) -> Vec<HostVerdict> {
        let verdict = |view: &HostView<'a>| {
            let mut reasons = self.reasons(view, start);
            reasons.sort_unstable();
            reasons.dedup();
            HostVerdict { user_id: view.host.user.id, reasons }
        };
        self.hosts.iter().map(verdict).collect()
    }

    /// The windows a host's slots are counted from.
    pub(super) fn windows<'v>(&'v self, view: &'v HostView<'a>) -> &'v BusySet {
        self.common.as_ref().unwrap_or(&view.windows)
    }

    fn reasons(&self, view: &HostView<'a>, start: Timestamp) -> Vec<Reason> {
        let examined = start.clamped();
        let rules = [
            self.of_rules(view, examined),
            self.of_notice(start),
            self.of_booking_window(start),
            self.of_knowledge(view, examined),
        ];
        let obstacles = view.obstacles.iter().filter_map(|each| each.objection(examined));
        obstacles.chain(rules.into_iter().flatten()).collect()
    }

    /// What the rules have against a start: outside, or beside the grid.
    pub(super) fn of_rules(&self, view: &HostView<'a>, start: Timestamp) -> Option<Reason> {
        let range = self.range_from(start);
        if !view.windows.covers(&range) {
            return Some(Reason::OutsideRules);
        }
        let grid = self.grid_window(view, start)?;
        let steps_us = start.micros_since(grid.start) % self.question.terms.interval_us();
        (steps_us != 0).then_some(Reason::NotOnSlotGrid)
    }

    /// What the notice has against a start.
    pub(super) fn of_notice(&self, start: Timestamp) -> Option<Reason> {
        (start < self.bookable.first).then_some(Reason::TooSoon)
    }

    /// What the booking window has against a start.
    pub(super) fn of_booking_window(&self, start: Timestamp) -> Option<Reason> {
        (start > self.bookable.last).then_some(Reason::BeyondBookingWindow)
    }

    /// What the state of knowledge has against a start.
    pub(super) fn of_knowledge(&self, view: &HostView<'a>, start: Timestamp) -> Option<Reason> {
        match view.known {
            Err(why) => Some(Reason::Unknown(why)),
            Ok(known) if known.contains(start) => None,
            Ok(_) => Some(Reason::Unknown(UnknownReason::OutsideSyncedWindow)),
        }
    }

    /// The window a start's slots are counted from. Where hosts meet together and the range is not inside all their
    /// windows there is nothing to count from; whoever it lies outside of says so.
    pub(super) fn grid_window(&self, view: &HostView<'a>, start: Timestamp) -> Option<TimeRange> {
        let range = self.range_from(start);
        self.windows(view).range_around(start).filter(|window| window.covers(&range))
    }
}

/// For which starts every calendar the host reads is known, buffers included; or why it is known for none.
fn known_starts(question: &Question<'_>, host: &Host) -> Result<StartSpan, UnknownReason> {
    let terms = question.terms;
    let mut known = StartSpan { first: Timestamp::from_micros(i64::MIN), last: Timestamp::from_micros(i64::MAX) };
    for calendar_id in host.user.calendars_read() {
        let facts = host.facts.iter().find(|facts| facts.calendar_id == calendar_id);
        match facts.map(|facts| facts.knowledge) {
            None => return Err(UnknownReason::DeadlineExceeded),
            Some(Knowledge::Unknown(why)) => return Err(why),
            Some(Knowledge::Internal) => {}
            Some(Knowledge::Synced { window, .. }) => {
                known.first = known.first.max(window.start.plus_micros(terms.buffer_before_us()));
                let after_us = terms.duration_us() + terms.buffer_after_us();
                known.last = known.last.min(window.end.plus_micros(-after_us));
            }
        }
    }
    Ok(known)
}
