//! A second, slow calculator of availability, written from the words of the contract alone: minute by minute, without
//! sorting, sweeping or merging, and without a line of the fast code. Tests and the simulator compare the two.
//!
//! Good for instants after 1972 in zones whose clocks change on a quarter of an hour by UTC, which is all of them since.

mod clock;
mod open;

pub use clock::{Change, WallClock};

use std::collections::BTreeSet;

use crate::decision::{Host, Question, Reason};
use crate::facts::{CalendarFacts, Knowledge, UnknownReason};
use crate::ids::UserId;
use crate::model::{BufferMode, Claim, ClaimKind, ClaimOwner, SchedulingMode};
use crate::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use open::OpenMinutes;

/// A slot as the reference sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceSlot {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
    /// Indexes of the hosts that are free, ascending.
    pub hosts: Vec<usize>,
}

/// One question, to be answered slowly.
pub struct Reference<'a> {
    question: Question<'a>,
    wall_clock: &'a WallClock,
    /// Per host, the minutes inside its rules and the event type's.
    open: Vec<OpenMinutes<'a>>,
    /// The minutes inside everybody's.
    open_for_all: OpenMinutes<'a>,
}

impl<'a> Reference<'a> {
    /// Takes a question.
    pub fn new(question: Question<'a>, wall_clock: &'a WallClock) -> Self {
        let minutes = |rules| OpenMinutes::new(rules, wall_clock, question.now);
        let of_terms = question.terms.rules.as_ref().map(|schedule| schedule.rules());
        let open = question
            .hosts
            .iter()
            .map(|host| minutes([Some(host.rules.rules()), of_terms].into_iter().flatten().collect()));
        let open = open.collect();
        let everybody = question.hosts.iter().map(|host| host.rules.rules()).chain(of_terms).collect();
        let open_for_all = minutes(everybody);
        Self { question, wall_clock, open, open_for_all }
    }

    /// Every reason of each host against a start, in the order of the hosts.
    pub fn reasons(&mut self, start: Timestamp) -> Vec<BTreeSet<Reason>> {
        (0..self.question.hosts.len()).map(|index| self.reasons_of(index, start)).collect()
    }

    /// Slots that start inside the range, and the hosts left out because something about them is not known.
    pub fn slots(&mut self, range: TimeRange) -> (Vec<ReferenceSlot>, Vec<(UserId, UnknownReason)>) {
        let first = range.start.max(self.earliest());
        let last = range.end.plus_micros(-1).min(self.latest());
        if first > last {
            return (Vec::new(), Vec::new());
        }
        let needed = TimeRange { start: first, end: last.plus_micros(self.duration_us()) };
        let unknown: Vec<(usize, UnknownReason)> = (0..self.question.hosts.len())
            .filter_map(|index| Some((index, self.unknown(&self.question.hosts[index], needed)?)))
            .collect();
        let left_out: Vec<usize> = unknown.iter().map(|(index, _)| *index).collect();
        let slots = self.minutes(first, last).into_iter().filter_map(|start| self.slot(start, &left_out)).collect();
        let named = unknown.into_iter().map(|(index, why)| (self.question.hosts[index].user.id, why)).collect();
        (slots, named)
    }

    /// Starts inside the range that are inside somebody's rules and on the grid, whatever else speaks against them.
    pub fn grid_starts(&mut self, range: TimeRange) -> Vec<Timestamp> {
        let minutes = self.minutes(range.start, range.end.plus_micros(-1));
        let duration_us = self.duration_us();
        let hosts = self.question.hosts.len();
        let mut starts = minutes;
        starts.retain(|&start| {
            let range = TimeRange { start, end: start.plus_micros(duration_us) };
            (0..hosts).any(|index| self.open[index].is_open(start) && self.reasons_of_rules(index, range).is_empty())
        });
        starts
    }

    /// The first start from `after` on that can be had.
    pub fn next_available(&mut self, after: Timestamp) -> Option<Timestamp> {
        let minutes = self.minutes(after.max(self.earliest()), self.latest());
        minutes.into_iter().find(|&start| self.slot(start, &[]).is_some())
    }

    /// What to offer instead of `near`: one after the other the nearest that leaves at most two on a day, and these in
    /// different parts of the day if it has slots in several; when there is none left, what crowds its day least, then its
    /// part of the day. Nearest first.
    pub fn alternatives(&mut self, near: TimeRange, max: usize) -> Vec<ReferenceSlot> {
        let minutes = self.minutes(self.earliest(), self.latest()).into_iter().filter(|&start| start != near.start);
        let all: Vec<ReferenceSlot> = minutes.filter_map(|start| self.slot(start, &[])).collect();
        let distance = |slot: &ReferenceSlot| (slot.start.micros_since(near.start).abs(), slot.start);
        let mut chosen: Vec<ReferenceSlot> = Vec::new();
        while chosen.len() < max {
            let left: Vec<&ReferenceSlot> = all.iter().filter(|slot| !chosen.contains(slot)).collect();
            let of_day = |slot: &ReferenceSlot| {
                chosen.iter().filter(|other| self.day_part(other).0 == self.day_part(slot).0).count()
            };
            let of_part = |slot: &ReferenceSlot| {
                chosen.iter().filter(|other| self.day_part(other) == self.day_part(slot)).count()
            };
            let is_only_part = |slot: &ReferenceSlot| {
                let (day, part) = self.day_part(slot);
                all.iter().map(|other| self.day_part(other)).all(|other| other.0 != day || other.1 == part)
            };
            let keeps = |slot: &ReferenceSlot| of_day(slot) < 2 && (of_part(slot) == 0 || is_only_part(slot));
            let kept = left.iter().filter(|slot| keeps(slot)).min_by_key(|slot| distance(slot));
            let crowding = || left.iter().min_by_key(|slot| (of_day(slot), of_part(slot), distance(slot)));
            let Some(next) = kept.or_else(crowding).map(|slot| (*slot).clone()) else { break };
            chosen.push(next);
        }
        chosen.sort_by_key(distance);
        chosen
    }

    /// The date of a slot on the wall of the first host, and whether it is morning, afternoon or evening there.
    fn day_part(&self, slot: &ReferenceSlot) -> (chrono::NaiveDate, u8) {
        let tz = self.question.hosts[0].user.timezone;
        let part = match self.wall_clock.hour(tz, slot.start) {
            0..12 => 0,
            12..17 => 1,
            _ => 2,
        };
        (self.wall_clock.date(tz, slot.start), part)
    }

    fn slot(&mut self, start: Timestamp, left_out: &[usize]) -> Option<ReferenceSlot> {
        let hosts = self.question.hosts.len();
        let range = TimeRange { start, end: start.plus_micros(self.duration_us()) };
        let mut free = Vec::new();
        for index in (0..hosts).filter(|index| !left_out.contains(index)) {
            // The rules are asked first only to spare time; the reasons say again what they say.
            let ruled_out = !self.open[index].is_open(start) || !self.reasons_of_rules(index, range).is_empty();
            if !ruled_out && self.reasons_of(index, start).is_empty() {
                free.push(index);
            }
        }
        let everybody_needed = self.question.terms.scheduling_mode == SchedulingMode::Collective;
        let possible = if everybody_needed { free.len() == hosts && hosts > 0 } else { !free.is_empty() };
        possible.then(|| ReferenceSlot { start, end: start.plus_micros(self.duration_us()), hosts: free })
    }

    /// Every whole minute from the first to the last instant, both included.
    fn minutes(&self, first: Timestamp, last: Timestamp) -> Vec<Timestamp> {
        let from = first.as_micros().div_euclid(MINUTE_US);
        let to = last.as_micros().div_euclid(MINUTE_US);
        let minutes = (from..=to).map(|minute| Timestamp::from_micros(minute * MINUTE_US));
        minutes.filter(|&minute| first <= minute && minute <= last).collect()
    }

    fn reasons_of(&mut self, index: usize, start: Timestamp) -> BTreeSet<Reason> {
        let host = &self.question.hosts[index];
        let range = TimeRange { start, end: start.plus_micros(self.duration_us()) };
        let mut reasons = self.reasons_of_rules(index, range);
        if start < self.earliest() {
            reasons.insert(Reason::TooSoon);
        }
        if start > self.latest() {
            reasons.insert(Reason::BeyondBookingWindow);
        }
        for facts in &host.facts {
            reasons.extend(self.reasons_of_events(facts, range));
            let live = facts.claims.iter().filter(|claim| self.counts(claim));
            reasons.extend(live.filter_map(|claim| self.reason_of_claim(claim, range)));
        }
        if self.is_daily_limit_reached(host, start) {
            reasons.insert(Reason::DailyLimitReached);
        }
        reasons.extend(self.unknown(host, range).map(Reason::Unknown));
        reasons
    }

    fn reasons_of_rules(&mut self, index: usize, range: TimeRange) -> BTreeSet<Reason> {
        let Some(mut window_start) = self.open[index].window_start(range) else {
            return BTreeSet::from([Reason::OutsideRules]);
        };
        if self.question.terms.scheduling_mode == SchedulingMode::Collective {
            match self.open_for_all.window_start(range) {
                Some(common) => window_start = common,
                None => return BTreeSet::new(),
            }
        }
        let since_us = range.start.micros_since(window_start);
        let interval_us = i64::from(self.question.terms.slot_interval_minutes) * MINUTE_US;
        if since_us % interval_us == 0 { BTreeSet::new() } else { BTreeSet::from([Reason::NotOnSlotGrid]) }
    }

    /// Events of others, and events of ours away from their claim: they must not meet the meeting, nor its buffers.
    fn reasons_of_events(&self, facts: &CalendarFacts, range: TimeRange) -> BTreeSet<Reason> {
        let ours = facts
            .displaced
            .iter()
            .filter(|(booking_id, _)| Some(ClaimOwner::Booking(*booking_id)) != self.question.ignoring);
        let events = facts.external.iter().chain(ours.map(|(_, event)| event));
        let widened = self.widened(range);
        let reason = |event: &TimeRange| match () {
            () if event.overlaps(&range) => Some(Reason::Busy),
            () if event.overlaps(&widened) => Some(Reason::Buffer),
            () => None,
        };
        events.filter_map(reason).collect()
    }

    /// A neighbour wants the larger of the two buffers that face each other, or their sum.
    fn reason_of_claim(&self, claim: &Claim, range: TimeRange) -> Option<Reason> {
        if claim.range.overlaps(&range) {
            return Some(if claim.kind() == ClaimKind::Hold { Reason::Held } else { Reason::Booked });
        }
        let terms = self.question.terms;
        let (gap_us, ours, theirs) = if claim.range.end <= range.start {
            let gap_us = range.start.micros_since(claim.range.end);
            (gap_us, terms.buffer_before_minutes, claim.buffer_after_minutes)
        } else {
            let gap_us = claim.range.start.micros_since(range.end);
            (gap_us, terms.buffer_after_minutes, claim.buffer_before_minutes)
        };
        let wanted = match terms.buffer_mode {
            BufferMode::Larger => ours.max(theirs),
            BufferMode::Sum => ours + theirs,
        };
        (gap_us < i64::from(wanted) * MINUTE_US).then_some(Reason::Buffer)
    }

    fn is_daily_limit_reached(&self, host: &Host, start: Timestamp) -> bool {
        let terms = self.question.terms;
        let (Some(limit), Some(event_type_id)) = (terms.max_bookings_per_day, terms.event_type_id) else {
            return false;
        };
        let date = self.wall_clock.date(host.user.timezone, start);
        let mut taken = BTreeSet::new();
        for claim in host.facts.iter().flat_map(|facts| &facts.claims) {
            let is_one = claim.user_id == host.user.id && claim.event_type_id == Some(event_type_id);
            if is_one && self.counts(claim) && self.wall_clock.date(host.user.timezone, claim.range.start) == date {
                taken.insert(claim.id);
            }
        }
        taken.len() >= limit as usize
    }

    fn counts(&self, claim: &Claim) -> bool {
        let own = self.question.ignoring == Some(claim.owner);
        claim.is_live(self.question.now) && !own
    }

    /// Why the host's time around the range is not known: one unknown calendar is enough.
    fn unknown(&self, host: &Host, range: TimeRange) -> Option<UnknownReason> {
        let mut beyond = None;
        for calendar_id in host.user.calendars_read() {
            match host.facts.iter().find(|facts| facts.calendar_id == calendar_id).map(|facts| facts.knowledge) {
                None => return Some(UnknownReason::DeadlineExceeded),
                Some(Knowledge::Unknown(why)) => return Some(why),
                Some(Knowledge::Synced { window, .. }) if !window.covers(&self.widened(range)) => {
                    beyond = Some(UnknownReason::OutsideSyncedWindow);
                }
                Some(Knowledge::Synced { .. } | Knowledge::Internal) => {}
            }
        }
        beyond
    }

    fn widened(&self, range: TimeRange) -> TimeRange {
        let minutes_us = |minutes: u32| i64::from(minutes) * MINUTE_US;
        TimeRange {
            start: range.start.plus_micros(-minutes_us(self.question.terms.buffer_before_minutes)),
            end: range.end.plus_micros(minutes_us(self.question.terms.buffer_after_minutes)),
        }
    }

    fn earliest(&self) -> Timestamp {
        self.question.now.plus_micros(i64::from(self.question.terms.min_notice_hours) * HOUR_US)
    }

    fn latest(&self) -> Timestamp {
        self.question.now.plus_micros(i64::from(self.question.terms.booking_window_days) * DAY_US)
    }

    fn duration_us(&self) -> i64 {
        i64::from(self.question.terms.duration_minutes) * MINUTE_US
    }
}
