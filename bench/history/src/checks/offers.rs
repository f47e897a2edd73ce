//! Whether slots were offered only where time was known to be free.

use agentcal_engine::ids::UserId;
use agentcal_engine::time::{TimeRange, Timestamp};

use crate::certain::Certain;
use crate::report::Report;
use crate::{Allowances, Event, Final, FreshnessState, Operation, Outcome, SlotSeen, SlotsSeen, Truth, Violation};

pub(crate) fn check(events: &[Event], certain: &Certain, finale: &Final, allowances: &Allowances, report: &mut Report) {
    for (index, event) in events.iter().enumerate() {
        match (&event.operation, event.said()) {
            (Operation::Ask { user_ids, max_staleness_us }, Some((at, Outcome::Slots(seen)))) => {
                let question = Question { index, event, at, user_ids, max_staleness_us: *max_staleness_us, seen };
                question.check_freshness(allowances, report);
                question.check_slots(certain, finale, allowances, report);
            }
            (Operation::Book { wish, hold_id: None, .. } | Operation::Hold { wish, .. }, Some((_, outcome))) => {
                let user_ids = match outcome {
                    Outcome::Booking(seen) => &seen.user_ids,
                    Outcome::Hold(seen) => &seen.user_ids,
                    _ => continue,
                };
                if !event.is_replay() {
                    taken_over_busy((index, event), wish.range, user_ids, finale, allowances, report);
                }
            }
            (Operation::Move { range, booking_id: _ }, Some((_, Outcome::Booking(seen)))) => {
                if !event.is_replay() {
                    taken_over_busy((index, event), *range, &seen.user_ids, finale, allowances, report);
                }
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

    fn check_slots(&self, certain: &Certain, finale: &Final, allowances: &Allowances, report: &mut Report) {
        let mut left_out: Vec<UserId> = Vec::new();
        for slot in &self.seen.slots {
            for &user_id in &slot.user_ids {
                if self.seen.freshness.left_out.contains(&user_id) && !left_out.contains(&user_id) {
                    left_out.push(user_id);
                    report.violations.push(Violation::OfferedUnknown { event: self.index, user_id });
                }
                self.check_taken(slot, user_id, certain, allowances, report);
                self.check_truth(slot, user_id, &finale.truth, report);
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
        let taken = certain.0.get(&user_id).map_or(&[][..], Vec::as_slice);
        report.counts.slots_beside_taken += usize::from(!taken.is_empty());
        let since = self.event.invoked_at.plus_micros(-allowances.offer_slack_us);
        let before_end = taken.iter().take_while(|taken| taken.range.start < slot.range.end);
        for taken in before_end.filter(|taken| taken.range.overlaps(&slot.range)) {
            if taken.from < since && taken.lasts(since, self.at) {
                report.violations.push(Violation::OfferedTaken {
                    event: self.index,
                    user_id,
                    range: slot.range,
                    owner: taken.owner,
                    since: taken.from,
                });
            }
        }
    }

    fn check_truth(&self, slot: &SlotSeen, user_id: UserId, truth: &[Truth], report: &mut Report) {
        let Some(as_of) = self.seen.freshness.as_of else { return };
        for truth in truth.iter().filter(|truth| truth.user_id == user_id) {
            report.counts.slots_beside_truth += 1;
            let was_there = truth.since < as_of && truth.until.is_none_or(|until| self.at < until);
            if was_there && truth.range.overlaps(&slot.range) {
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
    finale: &Final,
    allowances: &Allowances,
    report: &mut Report,
) {
    let Some(age_max) = allowances.facts_age_max_us else { return };
    let known_since = event.invoked_at.plus_micros(-age_max);
    let Some((at, _)) = event.said() else { return };
    for truth in finale.truth.iter().filter(|truth| user_ids.contains(&truth.user_id)) {
        let was_there = truth.since < known_since && truth.until.is_none_or(|until| at < until);
        if was_there && truth.range.overlaps(&range) {
            let (user_id, since) = (truth.user_id, truth.since);
            report.violations.push(Violation::BookedOverBusy { event: index, user_id, since });
        }
    }
}
