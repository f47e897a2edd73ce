//! Slots: the examiner, walked along the grid.

use super::examiner::{Examiner, HostView, StartSpan, bookable};
use super::{HostSet, Question};
use crate::busy::BusySet;
use crate::facts::UnknownReason;
use crate::ids::UserId;
use crate::invariants::slots_are_sound;
use crate::model::SchedulingMode;
use crate::time::{DAY_US, TimeRange, Timestamp};

/// Days looked at in one go when only the first slot is wanted.
const STRIDE_DAYS: i64 = 14;
/// Slots there is room for from the beginning: about as many as a week has.
const ROOM: usize = 256;

/// A time somebody can be booked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
    /// Who is free, by index into the question's hosts; for a collective all of them.
    pub hosts: HostSet,
}

/// What a search for slots found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SlotSearch {
    /// The slots, ascending by start, no start twice.
    pub slots: Vec<Slot>,
    /// Hosts whose time is not known for some part of the range that could be booked at all. They are left out whole, and
    /// a collective with one of them has no slots.
    pub unknown: Vec<(UserId, UnknownReason)>,
}

/// The slots that start inside `range`, at most `limit`.
pub fn slots(question: &Question<'_>, range: TimeRange, limit: usize) -> SlotSearch {
    let Some(span) = bookable(question).intersection(&StartSpan::of(range)) else {
        return SlotSearch::default();
    };
    let examiner = Examiner::over(question, span);
    let unknown = question
        .hosts
        .iter()
        .zip(&examiner.hosts)
        .filter_map(|(host, view)| Some((host.user.id, unknown_within(view, span)?)))
        .collect();
    let known_throughout = |view: &HostView<'_>| unknown_within(view, span).is_none().then_some(span);
    let mut slots = Vec::with_capacity(limit.min(ROOM));
    slots.extend(Sweep::new(question, &examiner, known_throughout).take(limit));
    let search = SlotSearch { slots, unknown };
    debug_assert_eq!(slots_are_sound(&search), Ok(()));
    search
}

/// The first start at or after `after` that somebody (of a collective: everybody) can be booked at, up to the end of the
/// booking window.
pub fn next_available(question: &Question<'_>, after: Timestamp) -> Option<Timestamp> {
    let bookable = bookable(question);
    let mut first = bookable.first.max(after);
    while first <= bookable.last {
        let last = first.plus_micros(STRIDE_DAYS * DAY_US).min(bookable.last);
        if let Some(slot) = known_slots(question, StartSpan { first, last }).next() {
            return Some(slot.start);
        }
        first = last.plus_micros(1);
    }
    None
}

/// The slots of a span at which each host that is offered is known, whatever may be unknown elsewhere in the span.
pub(super) fn known_slots(question: &Question<'_>, span: StartSpan) -> impl Iterator<Item = Slot> + use<> {
    let examiner = Examiner::over(question, span);
    Sweep::new(question, &examiner, |view| view.known.ok()?.intersection(&span))
}

fn unknown_within(view: &HostView<'_>, span: StartSpan) -> Option<UnknownReason> {
    match view.known {
        Err(why) => Some(why),
        Ok(known) => (!known.covers(&span)).then_some(UnknownReason::OutsideSyncedWindow),
    }
}

/// Walks all lanes side by side, so that each start comes once, with everybody who is free then.
struct Sweep {
    lanes: Vec<Lane>,
    duration_us: i64,
}

/// Hosts that are free at the same starts: one host, or all of a collective.
struct Lane {
    hosts: HostSet,
    walk: Walk,
    next: Option<Timestamp>,
}

impl Sweep {
    /// `spans` says which starts of a host may be offered; `None` leaves the host out.
    fn new(
        question: &Question<'_>,
        examiner: &Examiner<'_>,
        spans: impl Fn(&HostView<'_>) -> Option<StartSpan>,
    ) -> Self {
        let lanes = match question.terms.scheduling_mode {
            SchedulingMode::Collective => collective_lane(question, examiner, spans).into_iter().collect(),
            SchedulingMode::Individual | SchedulingMode::RoundRobin => {
                let lane = |(index, view)| {
                    let span = spans(view)?;
                    let forbidden = view.obstacles.iter().map(|obstacle| obstacle.starts).collect();
                    let walk = Walk::new(question, examiner.windows(view), forbidden, span);
                    Some(Lane::new(std::iter::once(index).collect(), walk))
                };
                examiner.hosts.iter().enumerate().filter_map(lane).collect()
            }
        };
        Self { lanes, duration_us: question.terms.duration_us() }
    }
}

impl Iterator for Sweep {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let start = self.lanes.iter().filter_map(|lane| lane.next).min()?;
        let mut hosts = HostSet::EMPTY;
        for lane in self.lanes.iter_mut().filter(|lane| lane.next == Some(start)) {
            hosts = hosts.union(lane.hosts);
            lane.next = lane.walk.next();
        }
        Some(Slot { start, end: start.plus_micros(self.duration_us), hosts })
    }
}

impl Lane {
    fn new(hosts: HostSet, mut walk: Walk) -> Self {
        let next = walk.next();
        Self { hosts, walk, next }
    }
}

fn collective_lane(
    question: &Question<'_>,
    examiner: &Examiner<'_>,
    spans: impl Fn(&HostView<'_>) -> Option<StartSpan>,
) -> Option<Lane> {
    let span = examiner.hosts.iter().map(spans).reduce(|all, own| all?.intersection(&own?)).flatten()?;
    let views = examiner.hosts.iter();
    let forbidden = views.flat_map(|view| &view.obstacles).map(|obstacle| obstacle.starts).collect();
    let walk = Walk::new(question, examiner.windows(examiner.hosts.first()?), forbidden, span);
    Some(Lane::new(HostSet::first(examiner.hosts.len()), walk))
}

/// Steps along the grid of each window, over whatever forbids starts. Both cursors only move forward.
struct Walk {
    windows: std::vec::IntoIter<TimeRange>,
    window: Option<TimeRange>,
    forbidden: std::iter::Peekable<std::vec::IntoIter<TimeRange>>,
    /// Nothing before this is offered any more.
    from: Timestamp,
    /// The first start on the window's grid that nobody has looked at.
    start: Timestamp,
    last: Timestamp,
    duration_us: i64,
    interval_us: i64,
}

impl Walk {
    fn new(question: &Question<'_>, windows: &BusySet, forbidden: BusySet, span: StartSpan) -> Self {
        let mut walk = Self {
            windows: windows.clone().into_ranges().into_iter(),
            window: None,
            forbidden: forbidden.into_ranges().into_iter().peekable(),
            from: span.first,
            start: span.first,
            last: span.last,
            duration_us: question.terms.duration_us(),
            interval_us: question.terms.interval_us(),
        };
        walk.enter_next_window();
        walk
    }

    fn enter_next_window(&mut self) {
        self.window = self.windows.next();
        self.skip_to_grid();
    }

    /// Moves to the first start of the window's grid that is not before `from`.
    fn skip_to_grid(&mut self) {
        let Some(window) = self.window else { return };
        let behind_us = self.from.micros_since(window.start).max(0);
        let steps = (behind_us + self.interval_us - 1) / self.interval_us;
        self.start = window.start.plus_micros(steps * self.interval_us);
    }
}

impl Iterator for Walk {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        loop {
            let window = self.window?;
            let start = self.start;
            if start.plus_micros(self.duration_us) > window.end {
                self.enter_next_window();
                continue;
            }
            if start > self.last {
                return None;
            }
            while self.forbidden.next_if(|range| range.end <= start).is_some() {}
            match self.forbidden.peek() {
                Some(range) if range.start <= start => {
                    self.from = range.end;
                    self.skip_to_grid();
                }
                _ => {
                    // A division for each start would be a third of the work.
                    self.start = start.plus_micros(self.interval_us);
                    return Some(start);
                }
            }
        }
    }
}
