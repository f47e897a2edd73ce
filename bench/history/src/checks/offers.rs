//! Whether slots were offered only where time was known to be free.

use agentcal_engine::ids::UserId;
use agentcal_engine::time::{TimeRange, Timestamp};

use crate::certain::Certain;
use crate::report::{LateOffer, Report};
use crate::timeline::Timelines;
use crate::{Allowances, Event, Final, FreshnessState, Operation, Outcome, SlotSeen, SlotsSeen, Truth, Violation};

pub(crate) fn check(events: &[Event], certain: &Certain, finale: &Final, allowances: &Allowances, report: &mut Report) {
    let mut truth: Timelines<&Truth> = Timelines::default();
    for one in &finale.truth {
        truth.insert(one.user_id, one.range, one);
    }
    truth.sort();
    for (index, event) in events.iter().enumerate() {
        match (&event.operation, event.said()) {
            (Operation::Ask { user_ids, max_staleness_us }, Some((at, Outcome::Slots(seen)))) => {
                let question = Question { index, event, at, user_ids, max_staleness_us: *max_staleness_us, seen };
                question.check_freshness(allowances, report);
                question.check_slots(certain, &truth, allowances, report);
            }
            (Operation::Book { wish, hold_id: None, .. } | Operation::Hold { wish, .. }, Some((_, outcome))) => {
                let user_ids = match outcome {
                    Outcome::Booking(seen) => &seen.user_ids,
                    Outcome::Hold(seen) => &seen.user_ids,
                    _ => continue,
                };
                if !event.is_replay() {
                    taken_over_busy((index, event), wish.range, user_ids, &truth, allowances, report);
                }
            }
            (Operation::Move { range, booking_id: _ }, Some((_, Outcome::Booking(seen)))) if !event.is_replay() => {
                taken_over_busy((index, event), *range, &seen.user_ids, &truth, allowances, report);
            }
            _ => {}
        }
    }
}

struct Question<'e> {
    index: usize,
    event: &'e Event,
    at: Timestamp,
    user_ids: &'e [UserId],
    max_staleness_us: Option<i64>,
    seen: &'e SlotsSeen,
}

impl Question<'_> {
    fn check_freshness(&self, allowances: &Allowances, report: &mut Report) {
        report.counts.questions += 1;
        report.counts.slots += self.seen.slots.len();
        let freshness = &self.seen.freshness;
        let nobody = !self.user_ids.is_empty() && self.user_ids.iter().all(|id| freshness.left_out.contains(id));
        if nobody || freshness.state == FreshnessState::Unavailable {
            report.violations.push(Violation::EmptyForUnknown { event: self.index });
        }
        if freshness.state != FreshnessState::Complete {
            return;
        }
        let is_old = match (freshness.as_of, self.max_staleness_us) {
            (Some(as_of), Some(allowed)) => {
                self.event.invoked_at.micros_since(as_of) > allowed.saturating_add(allowances.clock_slack_us)
            }
            _ => false,
        };
        if is_old || !freshness.left_out.is_empty() {
            report.violations.push(Violation::NotComplete { event: self.index, as_of: freshness.as_of });
        }
    }

    fn check_slots(&self, certain: &Certain, truth: &Timelines<&Truth>, allowances: &Allowances, report: &mut Report) {
        let mut left_out: Vec<UserId> = Vec::new();
        for slot in &self.seen.slots {
            for &user_id in &slot.user_ids {
                if self.seen.freshness.left_out.contains(&user_id) && !left_out.contains(&user_id) {
                    left_out.push(user_id);
                    report.violations.push(Violation::OfferedUnknown { event: self.index, user_id });
                }
                self.check_taken(slot, user_id, certain, allowances, report);
                self.check_truth(slot, user_id, truth, allowances, report);
            }
        }
    }

    fn check_taken(
        &self,
        slot: &SlotSeen,
        user_id: UserId,
        certain: &Certain,
        allowances: &Allowances,
        report: &mut Report,
    ) {
        report.counts.slots_beside_taken += usize::from(certain.0.has(user_id));
        let (event, range) = (self.index, slot.range);
        for taken in certain.0.meeting(user_id, range) {
            let slack_us = if taken.late.is_some() { allowances.offer_slack_us } else { 0 };
            let known = self.event.invoked_at.plus_micros(-slack_us);
            let (owner, since) = (taken.owner, taken.from);
            if taken.from < known && taken.lasts(known, self.at) {
                report.violations.push(Violation::OfferedTaken { event, user_id, range, owner, since });
                continue;
            }
            let Some(cause) = taken.late else { continue };
            if taken.from < self.event.invoked_at && taken.lasts(self.event.invoked_at, self.at) {
                let is_complete = self.seen.freshness.state == FreshnessState::Complete;
                let late_us = self.event.invoked_at.micros_since(since);
                report.counts.offered_late += 1;
                report.counts.offered_late_as_complete += usize::from(is_complete);
                report.late_offers.push(LateOffer { event, owner, since, late_us, cause, is_complete });
                if is_complete && allowances.late_is_stale {
                    report.violations.push(Violation::OfferedAsComplete { event, user_id, range, owner, since });
                }
            }
        }
    }

    fn check_truth(
        &self,
        slot: &SlotSeen,
        user_id: UserId,
        truth: &Timelines<&Truth>,
        allowances: &Allowances,
        report: &mut Report,
    ) {
        let Some(as_of) = self.seen.freshness.as_of else { return };
        report.counts.slots_beside_truth += usize::from(truth.has(user_id));
        for truth in truth.meeting(user_id, slot.range) {
            let is_known = truth.since.plus_micros(allowances.clock_slack_us) < as_of;
            if is_known && truth.until.is_none_or(|until| self.at < until) {
                report.violations.push(Violation::FactsMissed {
                    event: self.index,
                    user_id,
                    range: slot.range,
                    as_of,
                    since: truth.since,
                });
            }
        }
    }
}

fn taken_over_busy(
    (index, event): (usize, &Event),
    range: TimeRange,
    user_ids: &[UserId],
    truth: &Timelines<&Truth>,
    allowances: &Allowances,
    report: &mut Report,
) {
    let Some(age_max) = allowances.facts_age_max_us else { return };
    let known_since = event.invoked_at.plus_micros(-age_max.saturating_add(allowances.clock_slack_us));
    let Some((at, _)) = event.said() else { return };
    for &user_id in user_ids {
        for truth in truth.meeting(user_id, range) {
            if truth.since < known_since && truth.until.is_none_or(|until| at < until) {
                report.violations.push(Violation::BookedOverBusy { event: index, user_id, since: truth.since });
            }
        }
    }
}
