//! Why an instant can, or cannot, be booked: the examiner's verdict on one start, rule by rule, with what each rests on.

use super::examiner::{Examiner, HostView, StartSpan};
use super::obstacles::{ObstacleKind, day_load};
use super::{Decision, HostVerdict, Question, Reason};
use crate::facts::Knowledge;
use crate::ids::{CalendarId, UserId};
use crate::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};

/// How far around a start windows are looked for, in days.
const WINDOWS_REACH_DAYS: i64 = 8;

/// What speaks for and against a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The time it would take, without buffers.
    pub range: TimeRange,
    /// One per host, in the order of the question.
    pub hosts: Vec<HostExplanation>,
}

/// What speaks for and against one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostExplanation {
    /// The host.
    pub user_id: UserId,
    /// What each rule says.
    pub findings: Vec<Finding>,
    /// Every calendar the host reads, as far as its facts could be had.
    pub calendars: Vec<CalendarSeen>,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What speaks against the start, ascending, none twice. Empty: the rule speaks for it.
    pub against: Vec<Reason>,
    /// What that rests on.
    pub evidence: Evidence,
}

/// What a rule looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The host's and the event type's windows. Ends more than eight days away may be cut.
    Windows {
        /// The window that holds all of the meeting.
        holding: Option<TimeRange>,
        /// The last one that begins at or before the start.
        before: Option<TimeRange>,
        /// The first one that begins after the start.
        after: Option<TimeRange>,
    },
    /// The slots of the window, whatever stands in their way. Looked at only inside a window.
    SlotGrid {
        /// Where counting begins: the window's start; for a collective that of everybody's common window.
        counted_from: Timestamp,
        /// The last slot at or before the start.
        before: Timestamp,
        /// The first slot after the start, where the window has one.
        after: Option<Timestamp>,
    },
    /// What the meeting, with its buffers, meets: events, bookings and live holds, ascending.
    Obstacles(Vec<Met>),
    /// The notice.
    Notice {
        /// The first start that keeps it.
        earliest: Timestamp,
    },
    /// The booking window.
    BookingWindow {
        /// The last start inside.
        latest: Timestamp,
    },
    /// The daily limit; not looked at where there is none.
    DailyLimit {
        /// Bookings and live holds of the event type on the day of the start, in the host's zone.
        used: u32,
        /// How many there may be.
        limit: u32,
    },
    /// Whether everything around the start is known; see the calendars.
    Knowledge,
}

/// Something in the way. Says when, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Met {
    /// The time that is taken.
    pub range: TimeRange,
    /// By what sort of thing.
    pub kind: ObstacleKind,
    /// Minutes that must stay free between the two and do not; `None` where they collide.
    pub missed_buffer_minutes: Option<u32>,
}

/// What was known of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarSeen {
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The revision of its facts.
    pub revision: Option<u64>,
    /// How much is known; `None` where its facts could not be had in time.
    pub knowledge: Option<Knowledge>,
}

/// Explains one start for every host. What it says is what [`super::decide`] says.
pub fn explain(question: &Question<'_>, start: Timestamp) -> Explanation {
    let examined = start.clamped();
    let examiner = Examiner::over(question, StartSpan::at(examined));
    let reach_us = WINDOWS_REACH_DAYS * DAY_US;
    let around = StartSpan { first: examined.plus_micros(-reach_us), last: examined.plus_micros(reach_us) };
    let surroundings = Examiner::over(question, around);
    let case = Case { question, examiner: &examiner, surroundings: &surroundings, start };
    let host = |(view, wide): (&HostView<'_>, &HostView<'_>)| HostExplanation {
        user_id: view.host.user.id,
        findings: case.findings(view, wide),
        calendars: calendars(view),
    };
    let hosts = examiner.hosts.iter().zip(&surroundings.hosts).map(host).collect();
    Explanation { range: examiner.range_from(examined), hosts }
}

impl Explanation {
    /// The decision all this amounts to.
    pub fn decision(&self) -> Decision {
        let verdict = |host: &HostExplanation| HostVerdict { user_id: host.user_id, reasons: host.reasons() };
        Decision { range: self.range, verdicts: self.hosts.iter().map(verdict).collect() }
    }
}

impl HostExplanation {
    /// Everything that speaks against the host, ascending, none twice.
    pub fn reasons(&self) -> Vec<Reason> {
        sorted(self.findings.iter().flat_map(|finding| finding.against.iter().copied()))
    }
}

struct Case<'a> {
    question: &'a Question<'a>,
    examiner: &'a Examiner<'a>,
    /// The same question over some days, to tell what lies beside the start.
    surroundings: &'a Examiner<'a>,
    start: Timestamp,
}

impl Case<'_> {
    fn findings(&self, view: &HostView<'_>, wide: &HostView<'_>) -> Vec<Finding> {
        let examined = self.start.clamped();
        let bookable = self.examiner.bookable;
        let rules = self.examiner.of_rules(view, examined);
        let outside = rules.filter(|reason| *reason == Reason::OutsideRules);
        let beside = rules.filter(|reason| *reason == Reason::NotOnSlotGrid);
        let notice = self.examiner.of_notice(self.start);
        let window = self.examiner.of_booking_window(self.start);
        [
            Some(finding(outside, self.windows(wide, examined))),
            self.slot_grid(wide, examined).filter(|_| outside.is_none()).map(|grid| finding(beside, grid)),
            Some(self.obstacles(view, examined)),
            Some(finding(notice, Evidence::Notice { earliest: bookable.first })),
            Some(finding(window, Evidence::BookingWindow { latest: bookable.last })),
            self.daily_limit(view, examined),
            Some(finding(self.examiner.of_knowledge(view, examined), Evidence::Knowledge)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn windows(&self, wide: &HostView<'_>, start: Timestamp) -> Evidence {
        let range = self.examiner.range_from(start);
        let windows = wide.windows.as_slice();
        let later = windows.partition_point(|window| window.start <= start);
        Evidence::Windows {
            holding: wide.windows.range_around(start).filter(|window| window.covers(&range)),
            before: later.checked_sub(1).map(|index| windows[index]),
            after: windows.get(later).copied(),
        }
    }

    fn slot_grid(&self, wide: &HostView<'_>, start: Timestamp) -> Option<Evidence> {
        let window = self.surroundings.grid_window(wide, start)?;
        let interval_us = self.question.terms.interval_us();
        let before = start.plus_micros(-(start.micros_since(window.start) % interval_us));
        let after = before.plus_micros(interval_us);
        let fits = after.plus_micros(self.question.terms.duration_us()) <= window.end;
        Some(Evidence::SlotGrid { counted_from: window.start, before, after: fits.then_some(after) })
    }

    fn obstacles(&self, view: &HostView<'_>, start: Timestamp) -> Finding {
        let met = view.obstacles.iter().filter(|obstacle| obstacle.kind != ObstacleKind::FullDay);
        let met = met.filter_map(|obstacle| Some((obstacle, obstacle.objection(start)?)));
        let (mut seen, mut against) = (Vec::new(), Vec::new());
        for (obstacle, reason) in met {
            let minutes = obstacle.gap_us(start) / MINUTE_US;
            let missed = (reason == Reason::Buffer).then(|| u32::try_from(minutes).unwrap_or(u32::MAX));
            let range = obstacle.taken(self.question.terms);
            seen.push(Met { range, kind: obstacle.kind, missed_buffer_minutes: missed });
            against.push(reason);
        }
        seen.sort_unstable();
        seen.dedup();
        Finding { against: sorted(against), evidence: Evidence::Obstacles(seen) }
    }

    fn daily_limit(&self, view: &HostView<'_>, start: Timestamp) -> Option<Finding> {
        let (used, limit) = day_load(self.question, view.host, start)?;
        let full = view.obstacles.iter().filter(|obstacle| obstacle.kind == ObstacleKind::FullDay);
        let against = full.filter_map(|obstacle| obstacle.objection(start)).next();
        Some(finding(against, Evidence::DailyLimit { used, limit }))
    }
}

fn finding(against: Option<Reason>, evidence: Evidence) -> Finding {
    Finding { against: against.into_iter().collect(), evidence }
}

fn calendars(view: &HostView<'_>) -> Vec<CalendarSeen> {
    let seen = |calendar_id| {
        let facts = view.host.facts.iter().find(|facts| facts.calendar_id == calendar_id);
        let (revision, knowledge) = (facts.map(|facts| facts.revision), facts.map(|facts| facts.knowledge));
        CalendarSeen { calendar_id, revision, knowledge }
    };
    view.host.user.calendars_read().into_iter().map(seen).collect()
}

fn sorted(reasons: impl IntoIterator<Item = Reason>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = reasons.into_iter().collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}
