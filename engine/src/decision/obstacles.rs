//! What stands in the way of one host, as the starts it forbids.

use std::collections::{BTreeMap, BTreeSet};

use super::examiner::StartSpan;
use super::terms::minutes_us;
use super::{Host, Question, Reason, Terms};
use crate::civil;
use crate::ids::{ClaimId, EventTypeId};
use crate::invariants::{claim_in_bounds, ranges_are_merged};
use crate::model::{BUFFER_MINUTES_MAX, Claim, ClaimKind, ClaimOwner};
use crate::time::{DAY_US, TimeRange, Timestamp};

/// Claims that start this far from a day's edge may still belong to the day.
const DAY_MARGIN_US: i64 = 3 * DAY_US;

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObstacleKind {
    /// Somebody else's event.
    External,
    /// An event of ours that does not stand where its claim is.
    Displaced,
    /// A booking.
    Booking,
    /// A live hold.
    Hold,
    /// A day on which the host has taken as many as it may.
    FullDay,
}

/// A range of starts that are not possible, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obstacle {
    /// Starts that come too close or collide.
    pub(super) starts: TimeRange,
    /// Of these, starts whose meeting would collide; all others are only too close.
    collides: TimeRange,
    pub(super) kind: ObstacleKind,
}

impl Obstacle {
    /// Why a meeting cannot start then, if this is in the way.
    pub(super) fn objection(&self, start: Timestamp) -> Option<Reason> {
        if self.collides.contains(start) {
            Some(self.kind.reason())
        } else {
            self.starts.contains(start).then_some(Reason::Buffer)
        }
    }

    /// The time that is taken.
    pub(super) fn taken(&self, terms: &Terms) -> TimeRange {
        match self.kind {
            ObstacleKind::FullDay => self.collides,
            _ => TimeRange { start: self.collides.start.plus_micros(terms.duration_us() - 1), end: self.collides.end },
        }
    }

    /// The gap wanted between this and a meeting that starts then without colliding, in microseconds.
    pub(super) fn gap_us(&self, start: Timestamp) -> i64 {
        if start < self.collides.start {
            self.collides.start.micros_since(self.starts.start)
        } else {
            self.starts.end.micros_since(self.collides.end)
        }
    }

    /// Something at `taken` that wants `gap_before_us` between its end and our start, `gap_after_us` between our end and
    /// its start.
    fn around(taken: TimeRange, gap_before_us: i64, gap_after_us: i64, terms: &Terms, kind: ObstacleKind) -> Self {
        // A start exactly a duration and a gap ahead of `taken` is still possible, hence the microsecond.
        let first_bad = taken.start.plus_micros(1 - terms.duration_us());
        Self {
            starts: TimeRange {
                start: first_bad.plus_micros(-gap_after_us),
                end: taken.end.plus_micros(gap_before_us),
            },
            collides: TimeRange { start: first_bad, end: taken.end },
            kind,
        }
    }

    fn day(starts: TimeRange) -> Self {
        Self { starts, collides: starts, kind: ObstacleKind::FullDay }
    }
}

impl ObstacleKind {
    /// The reason against what collides with it.
    const fn reason(self) -> Reason {
        match self {
            Self::External | Self::Displaced => Reason::Busy,
            Self::Booking => Reason::Booked,
            Self::Hold => Reason::Held,
            Self::FullDay => Reason::DailyLimitReached,
        }
    }
}

/// Everything that forbids a start within `span`, in no order; claims that two calendars show count once.
pub(super) fn of_host(question: &Question<'_>, host: &Host, span: StartSpan) -> Vec<Obstacle> {
    let reach = reach(question.terms, span);
    let mut obstacles = external(question, host, reach);
    let live = live_claims(question, host);
    obstacles.extend(live.iter().filter(|claim| reaches(claim, reach)).map(|claim| by_claim(question.terms, claim)));
    obstacles.extend(full_days(question.terms, host, &live, span));
    obstacles
}

/// The instants at which something could matter to a start within the span.
fn reach(terms: &Terms, span: StartSpan) -> TimeRange {
    let widest_us = minutes_us(BUFFER_MINUTES_MAX);
    let before_us = terms.buffer_before_us().saturating_add(widest_us);
    let after_us = terms.buffer_after_us().saturating_add(widest_us).saturating_add(terms.duration_us());
    TimeRange { start: span.first.plus_micros(-before_us), end: span.last.plus_micros(after_us.saturating_add(1)) }
}

/// Busy time of others, and events of ours that stand elsewhere than their claim.
fn external(question: &Question<'_>, host: &Host, reach: TimeRange) -> Vec<Obstacle> {
    let terms = question.terms;
    let obstacle =
        |range, kind| Obstacle::around(range, terms.buffer_before_us(), terms.buffer_after_us(), terms, kind);
    let mut obstacles = Vec::new();
    for facts in &host.facts {
        debug_assert_eq!(ranges_are_merged(&facts.external), Ok(()));
        // Disjoint and ascending, so what the range needs is one run, however long the history is.
        let from = facts.external.partition_point(|range| range.end <= reach.start);
        let run = facts.external[from..].iter().take_while(|range| range.start < reach.end);
        obstacles.extend(run.map(|&range| obstacle(range, ObstacleKind::External)));
        let displaced = facts
            .displaced
            .iter()
            .filter(|(booking_id, _)| question.ignoring != Some(ClaimOwner::Booking(*booking_id)));
        let displaced = displaced.filter(|(_, range)| range.overlaps(&reach));
        obstacles.extend(displaced.map(|&(_, range)| obstacle(range, ObstacleKind::Displaced)));
    }
    obstacles
}

fn live_claims<'h>(question: &Question<'_>, host: &'h Host) -> Vec<&'h Claim> {
    let all = host.facts.iter().flat_map(|facts| &facts.claims);
    let mut live: Vec<&Claim> =
        all.filter(|claim| claim.is_live(question.now) && question.ignoring != Some(claim.owner)).collect();
    live.sort_unstable_by_key(|claim| (claim.range, claim.id));
    live.dedup_by_key(|claim| (claim.range, claim.id));
    live
}

fn reaches(claim: &Claim, reach: TimeRange) -> bool {
    debug_assert_eq!(claim_in_bounds(claim), Ok(()));
    claim.range.overlaps(&reach)
}

fn by_claim(terms: &Terms, claim: &Claim) -> Obstacle {
    let gap_before_us = terms.gap_us(terms.buffer_before_us(), minutes_us(claim.buffer_after_minutes));
    let gap_after_us = terms.gap_us(terms.buffer_after_us(), minutes_us(claim.buffer_before_minutes));
    let kind = match claim.kind() {
        ClaimKind::Booking => ObstacleKind::Booking,
        ClaimKind::Hold => ObstacleKind::Hold,
    };
    Obstacle::around(claim.range, gap_before_us, gap_after_us, terms, kind)
}

/// Days of the host's zone on which it has taken as many meetings of this event type as it may.
fn full_days(terms: &Terms, host: &Host, live: &[&Claim], span: StartSpan) -> Vec<Obstacle> {
    let Some((limit, event_type_id)) = terms.max_bookings_per_day.zip(terms.event_type_id) else {
        return Vec::new();
    };
    if limit == 0 {
        return vec![Obstacle::day(span.range())];
    }
    let mut days = counted_days(host, event_type_id, live, span);
    days.retain(|_, claims| claims.len() >= limit as usize);
    days.into_keys().map(Obstacle::day).collect()
}

/// The days of the host's zone near the span, and the claims of this event type that count for each.
fn counted_days(
    host: &Host,
    event_type_id: EventTypeId,
    live: &[&Claim],
    span: StartSpan,
) -> BTreeMap<TimeRange, BTreeSet<ClaimId>> {
    let near = TimeRange { start: span.first.plus_micros(-DAY_MARGIN_US), end: span.last.plus_micros(DAY_MARGIN_US) };
    let counted = live.iter().filter(|claim| {
        claim.user_id == host.user.id && claim.event_type_id == Some(event_type_id) && near.contains(claim.range.start)
    });
    let mut days: BTreeMap<TimeRange, BTreeSet<ClaimId>> = BTreeMap::new();
    for claim in counted {
        days.entry(civil::day_around(claim.range.start, host.user.timezone)).or_default().insert(claim.id);
    }
    days
}

/// How many meetings of the event type the host has taken on the day of a start, and how many it may; `None` where there
/// is no limit.
pub(super) fn day_load(question: &Question<'_>, host: &Host, start: Timestamp) -> Option<(u32, u32)> {
    let (limit, event_type_id) = question.terms.max_bookings_per_day.zip(question.terms.event_type_id)?;
    let days = counted_days(host, event_type_id, &live_claims(question, host), StartSpan::at(start));
    let used = days.iter().find(|(day, _)| day.contains(start)).map_or(0, |(_, claims)| claims.len());
    Some((u32::try_from(used).unwrap_or(u32::MAX), limit))
}
