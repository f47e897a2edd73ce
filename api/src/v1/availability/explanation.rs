//! How an explanation is written.

use agentcal_engine::decision::{
    CalendarSeen, Evidence, Explanation, Finding, HostExplanation, Met, ObstacleKind, Reason,
};
use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use super::freshness::{Basis, reason_name};
use super::{Freshness, FreshnessState, LeftOut};
use crate::instant::rfc3339;

/// What speaks for and against an instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationView {
    /// The event type asked about; null where none was named.
    #[schema(required = true)]
    event_type_id: Option<String>,
    /// The zone of every instant here.
    timezone: &'static str,
    /// The instant asked about.
    #[schema(format = DateTime)]
    start_time: String,
    /// When a meeting from then ends.
    #[schema(format = DateTime)]
    end_time: String,
    /// Whether it can be booked: with somebody; a collective with everybody.
    bookable: bool,
    /// Everybody who might take it.
    users: Vec<UserView>,
    /// How fresh what is known is.
    freshness: Freshness,
}

/// What speaks for and against one person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedUser)]
struct UserView {
    /// Who.
    user_id: String,
    /// What all rules together say.
    verdict: Verdict,
    /// Everything that speaks against it, as in a refusal.
    reasons: Vec<&'static str>,
    /// Why the user's time is not known; null where it is.
    #[schema(required = true)]
    unknown_reason: Option<&'static str>,
    /// What each rule says. The grid is left out outside all windows, the daily limit where there is none.
    rules: Vec<RuleView>,
    /// Every calendar the user is judged by, and how old what is known of it is.
    calendars: Vec<CalendarView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Nothing speaks against it.
    Bookable,
    /// Something does.
    NotBookable,
    /// Nothing known does, but not everything is known; unknown is never free.
    Unknown,
}

/// What one rule says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedRule)]
struct RuleView {
    /// Whether it speaks for the instant.
    verdict: RuleVerdict,
    /// What speaks against it.
    reasons: Vec<&'static str>,
    #[serde(flatten)]
    evidence: EvidenceView,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RuleVerdict {
    For,
    Against,
}

/// A rule, and what it rests on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[schema(as = ExplainedEvidence)]
enum EvidenceView {
    /// The user's and the event type's availability rules. Ends more than eight days away may be cut.
    Windows {
        /// The window that holds all of the meeting.
        #[schema(required = true)]
        window: Option<RangeView>,
        /// The last one that begins at or before the instant.
        #[schema(required = true)]
        previous: Option<RangeView>,
        /// The first one that begins after it.
        #[schema(required = true)]
        next: Option<RangeView>,
    },
    /// The slots of the window, whatever stands in their way.
    SlotGrid {
        /// Where they are counted from.
        #[schema(format = DateTime)]
        counted_from: String,
        /// The last one at or before the instant.
        #[schema(format = DateTime)]
        previous: String,
        /// The first one after it in this window.
        #[schema(format = DateTime, required = true)]
        next: Option<String>,
    },
    /// Events, bookings and live holds.
    Busy {
        /// Those in the way, buffers included.
        obstacles: Vec<ObstacleView>,
    },
    /// `min_notice_hours`.
    Notice {
        /// The first instant that keeps it.
        #[schema(format = DateTime)]
        earliest: String,
    },
    /// `booking_window_days`.
    BookingWindow {
        /// The last instant inside.
        #[schema(format = DateTime)]
        latest: String,
    },
    /// `max_bookings_per_day`.
    DailyLimit {
        /// Bookings and live holds of the event type on that day, in the user's zone.
        used: u32,
        /// How many there may be.
        limit: u32,
    },
    /// Whether all calendars are known around the instant.
    Knowledge,
}

/// A stretch of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedRange)]
struct RangeView {
    /// When it begins.
    #[schema(format = DateTime)]
    start_time: String,
    /// When it ends.
    #[schema(format = DateTime)]
    end_time: String,
}

/// Something in the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedObstacle)]
struct ObstacleView {
    /// What sort of thing.
    kind: &'static str,
    #[serde(flatten)]
    range: RangeView,
    /// Minutes that must stay free between the two and do not; null where they overlap.
    #[schema(required = true)]
    missed_buffer_minutes: Option<u32>,
}

/// What is known of one calendar.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedCalendar)]
struct CalendarView {
    /// Which; null for users without a calendar, whose bookings are kept here alone.
    #[schema(required = true)]
    calendar_id: Option<String>,
    /// `synced`, `internal` or `unknown`.
    state: &'static str,
    /// Why it is not known; null where it is.
    #[schema(required = true)]
    unknown_reason: Option<&'static str>,
    /// When it was last looked at; null where nothing ages or nothing is known.
    #[schema(format = DateTime, required = true)]
    as_of: Option<String>,
    /// Seconds since then.
    #[schema(required = true)]
    age_seconds: Option<u64>,
    /// The stretch of time that is known of; null where that is all or nothing.
    #[schema(required = true)]
    known: Option<RangeView>,
    /// The version of what is known.
    #[schema(required = true)]
    revision: Option<u64>,
}

/// An explanation, and what is told with it.
pub(super) struct Explained<'a> {
    pub(super) event_type_id: Option<EventTypeId>,
    pub(super) zone: Tz,
    pub(super) bookable: bool,
    pub(super) basis: Basis,
    pub(super) unknown: &'a [(UserId, UnknownReason)],
    /// How many people were asked about.
    pub(super) everybody: usize,
    pub(super) now: Timestamp,
}

impl Explained<'_> {
    pub(super) fn view(&self, explanation: &Explanation) -> ExplanationView {
        ExplanationView {
            event_type_id: self.event_type_id.map(|id| id.to_string()),
            timezone: self.zone.name(),
            start_time: self.instant(explanation.range.start),
            end_time: self.instant(explanation.range.end),
            bookable: self.bookable,
            users: explanation.hosts.iter().map(|host| self.user(host)).collect(),
            freshness: self.freshness(),
        }
    }

    fn freshness(&self) -> Freshness {
        let nobody_known = self.unknown.len() == self.everybody;
        let left_out = |(user_id, reason): &(UserId, UnknownReason)| LeftOut {
            user_id: user_id.to_string(),
            reason: reason_name(*reason),
        };
        Freshness {
            state: if nobody_known { FreshnessState::Unavailable } else { self.basis.state },
            as_of: (!nobody_known).then(|| self.instant(self.basis.as_of)),
            users: self.unknown.iter().map(left_out).collect(),
        }
    }

    fn user(&self, host: &HostExplanation) -> UserView {
        let reasons = host.reasons();
        let unknown = reasons.iter().find_map(|reason| match reason {
            Reason::Unknown(why) => Some(*why),
            _ => None,
        });
        let verdict = match (reasons.len(), unknown) {
            (0, _) => Verdict::Bookable,
            (1, Some(_)) => Verdict::Unknown,
            _ => Verdict::NotBookable,
        };
        UserView {
            user_id: host.user_id.to_string(),
            verdict,
            reasons: names(&reasons),
            unknown_reason: unknown.map(reason_name),
            rules: host.findings.iter().map(|finding| self.rule(finding)).collect(),
            calendars: host.calendars.iter().map(|seen| self.calendar(seen)).collect(),
        }
    }

    fn rule(&self, finding: &Finding) -> RuleView {
        RuleView {
            verdict: if finding.against.is_empty() { RuleVerdict::For } else { RuleVerdict::Against },
            reasons: names(&finding.against),
            evidence: self.evidence(&finding.evidence),
        }
    }

    fn evidence(&self, evidence: &Evidence) -> EvidenceView {
        match evidence {
            Evidence::Windows { holding, before, after } => EvidenceView::Windows {
                window: holding.map(|range| self.range(range)),
                previous: before.map(|range| self.range(range)),
                next: after.map(|range| self.range(range)),
            },
            Evidence::SlotGrid { counted_from, before, after } => EvidenceView::SlotGrid {
                counted_from: self.instant(*counted_from),
                previous: self.instant(*before),
                next: after.map(|after| self.instant(after)),
            },
            Evidence::Obstacles(met) => {
                EvidenceView::Busy { obstacles: met.iter().map(|met| self.obstacle(met)).collect() }
            }
            Evidence::Notice { earliest } => EvidenceView::Notice { earliest: self.instant(*earliest) },
            Evidence::BookingWindow { latest } => EvidenceView::BookingWindow { latest: self.instant(*latest) },
            Evidence::DailyLimit { used, limit } => EvidenceView::DailyLimit { used: *used, limit: *limit },
            Evidence::Knowledge => EvidenceView::Knowledge,
        }
    }

    fn obstacle(&self, met: &Met) -> ObstacleView {
        let kind = match met.kind {
            ObstacleKind::External => "external_event",
            ObstacleKind::Displaced => "displaced_event",
            ObstacleKind::Booking => "booking",
            ObstacleKind::Hold => "hold",
            ObstacleKind::FullDay => "full_day",
        };
        ObstacleView { kind, range: self.range(met.range), missed_buffer_minutes: met.missed_buffer_minutes }
    }

    fn calendar(&self, seen: &CalendarSeen) -> CalendarView {
        let (state, unknown, as_of, known) = match seen.knowledge {
            Some(Knowledge::Internal) => ("internal", None, None, None),
            Some(Knowledge::Synced { as_of, window, .. }) => ("synced", None, Some(as_of), Some(window)),
            Some(Knowledge::Unknown(why)) => ("unknown", Some(why), None, None),
            None => ("unknown", Some(UnknownReason::DeadlineExceeded), None, None),
        };
        CalendarView {
            calendar_id: (state != "internal").then(|| seen.calendar_id.to_string()),
            state,
            unknown_reason: unknown.map(reason_name),
            as_of: as_of.map(|as_of| self.instant(as_of)),
            age_seconds: as_of.map(|as_of| self.now.saturating_since(as_of).as_secs()),
            known: known.map(|window| self.range(window)),
            revision: seen.revision,
        }
    }

    fn range(&self, range: TimeRange) -> RangeView {
        RangeView { start_time: self.instant(range.start), end_time: self.instant(range.end) }
    }

    fn instant(&self, instant: Timestamp) -> String {
        rfc3339(instant, self.zone)
    }
}

fn names(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.as_str()).collect()
}
