//! What must be so in every case.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::civil;
use agentcal_engine::decision::{
    self, Evidence, HostVerdict, Question, Reason, Slot, SlotSearch, alternatives, decide, explain, next_available,
};
use agentcal_engine::invariants;
use agentcal_engine::model::{ClaimKind, SchedulingMode};
use agentcal_engine::reference::Reference;
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::draw::Case;
use crate::era::Era;
use crate::scenario::Scenario;

/// Starts decided one by one in each case, so that the slow side stays bearable.
const DECIDED_MAX: usize = 16;
/// Booking windows up to which the slow side looks for the next start.
const NEXT_WINDOW_DAYS_MAX: u32 = 7;
/// Booking windows up to which the slow side chooses alternatives.
const COMPARED_WINDOW_DAYS_MAX: u32 = 3;
const ALTERNATIVES: usize = 5;

/// What the cases were like, so that they cannot pass by being empty.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    cases: u64,
    with_slots: u64,
    with_unknown: u64,
    slots: u64,
    decided: u64,
    decided_free: u64,
    next_found: u64,
    with_alternatives: u64,
    alternatives_compared: u64,
    ignoring_a_hold: u64,
    with_expired_hold: u64,
    with_live_hold: u64,
    across_change: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Fails when the cases say too little.
    pub(crate) fn assert_telling(&self) {
        let share =
            |count: u64, of: u64, percent: u64| assert!(count * 100 >= of * percent, "{count} of {of}: {self:?}");
        share(self.with_slots, self.cases, 40);
        share(self.across_change, self.cases, 15);
        share(self.with_unknown, self.cases, 2);
        share(self.decided_free, self.decided, 10);
        share(self.next_found, self.cases, 10);
        share(self.with_alternatives, self.cases, 5);
        share(self.alternatives_compared, self.cases, 1);
        share(self.ignoring_a_hold, self.cases, 3);
        share(self.with_expired_hold, self.cases, 20);
        share(self.with_live_hold, self.cases, 20);
        assert_eq!(self.reasons.len(), 10, "every reason is given at times: {self:?}");
        self.reasons.values().for_each(|&count| share(count, self.decided, 1));
    }
}

impl Tally {
    fn count_holds(&mut self, question: &Question<'_>) {
        let claims = || question.hosts.iter().flat_map(|host| &host.facts).flat_map(|facts| &facts.claims);
        let holds = || claims().filter(|claim| claim.kind() == ClaimKind::Hold);
        let any = |found: bool| u64::from(found);
        self.with_expired_hold += any(holds().any(|claim| !claim.is_live(question.now)));
        self.with_live_hold += any(holds().any(|claim| claim.is_live(question.now)));
        self.ignoring_a_hold += any(holds().any(|claim| question.ignoring == Some(claim.owner)));
    }
}

pub(crate) fn check(case: &Case, era: &Era, tally: &mut Tally) -> Result<(), TestCaseError> {
    let scenario = Scenario::build(case, era);
    let Scenario { terms, hosts, now, range, ignoring, .. } = &scenario;
    let question = Question { terms, hosts, now: *now, ignoring: *ignoring };
    for facts in hosts.iter().flat_map(|host| &host.facts).filter(|facts| facts.claims.is_empty()) {
        prop_assert_eq!(invariants::facts_are_sound(facts), Ok(()));
    }
    tally.cases += 1;
    tally.count_holds(&question);
    tally.across_change += u64::from(era.moments.iter().any(|&moment| range.contains(moment)));
    let mut reference = Reference::new(question, &era.wall_clock);
    let search = slots_agree(&question, &mut reference, *range, tally)?;
    let starts = starts_to_decide(&mut reference, &scenario, &search.slots);
    for start in starts {
        let verdicts = decision_agrees(&question, &mut reference, start, tally)?;
        explanation_agrees(&question, start, &verdicts)?;
        offered_means_free(&question, *range, &search, start, &verdicts)?;
    }
    if terms.booking_window_days <= NEXT_WINDOW_DAYS_MAX {
        next_available_agrees(&question, &mut reference, *range, tally)?;
    }
    if case.look_for_alternatives {
        alternatives_hold(&question, *range, tally)?;
        if terms.booking_window_days <= COMPARED_WINDOW_DAYS_MAX {
            alternatives_agree(&question, &mut reference, *range, tally)?;
        }
    }
    Ok(())
}

fn slots_agree(
    question: &Question<'_>,
    reference: &mut Reference<'_>,
    range: TimeRange,
    tally: &mut Tally,
) -> Result<SlotSearch, TestCaseError> {
    let search = decision::slots(question, range, usize::MAX);
    let (expected, unknown) = reference.slots(range);
    let plain = |slot: &Slot| (slot.start, slot.end, slot.hosts.iter().collect::<Vec<_>>());
    let found: Vec<_> = search.slots.iter().map(plain).collect();
    let expected: Vec<_> = expected.into_iter().map(|slot| (slot.start, slot.end, slot.hosts)).collect();
    prop_assert_eq!(found, expected, "slots");
    prop_assert_eq!(&search.unknown, &unknown, "hosts left out");
    prop_assert_eq!(invariants::slots_are_sound(&search), Ok(()));
    let limit = search.slots.len() / 2;
    prop_assert_eq!(&decision::slots(question, range, limit).slots[..], &search.slots[..limit], "limited");
    tally.with_slots += u64::from(!search.slots.is_empty());
    tally.slots += search.slots.len() as u64;
    tally.with_unknown += u64::from(!search.unknown.is_empty());
    Ok(search)
}

/// Starts on the grid, starts beside it, starts that are offered: a sample of each.
fn starts_to_decide(reference: &mut Reference<'_>, scenario: &Scenario, slots: &[Slot]) -> BTreeSet<Timestamp> {
    let grid = reference.grid_starts(scenario.range);
    let every = |count: usize| count / (DECIDED_MAX / 3) + 1;
    let sampled = grid.iter().copied().step_by(every(grid.len()));
    let offered = slots.iter().map(|slot| slot.start).step_by(every(slots.len()));
    sampled.chain(offered).chain(scenario.probes.iter().copied()).collect()
}

fn decision_agrees(
    question: &Question<'_>,
    reference: &mut Reference<'_>,
    start: Timestamp,
    tally: &mut Tally,
) -> Result<Vec<HostVerdict>, TestCaseError> {
    let decision = decide(question, start);
    for (verdict, expected) in decision.verdicts.iter().zip(reference.reasons(start)) {
        let found: BTreeSet<Reason> = verdict.reasons.iter().copied().collect();
        prop_assert_eq!(found.len(), verdict.reasons.len(), "no reason twice");
        prop_assert_eq!(found, expected, "reasons at {:?}", start);
        tally.decided += 1;
        tally.decided_free += u64::from(verdict.is_free());
        for reason in &verdict.reasons {
            *tally.reasons.entry(reason.as_str()).or_default() += 1;
        }
    }
    Ok(decision.verdicts)
}

/// Law 3: one decision. What is explained is what is decided, and every finding has the evidence for what it says.
fn explanation_agrees(
    question: &Question<'_>,
    start: Timestamp,
    verdicts: &[HostVerdict],
) -> Result<(), TestCaseError> {
    let explanation = explain(question, start);
    prop_assert_eq!(&explanation.decision().verdicts[..], verdicts, "explanation of {:?}", start);
    let range = explanation.range;
    for finding in explanation.hosts.iter().flat_map(|host| &host.findings) {
        let is_against = !finding.against.is_empty();
        match &finding.evidence {
            Evidence::Windows { holding, before, after } => {
                prop_assert_eq!(is_against, holding.is_none());
                prop_assert!(holding.is_none_or(|window| window.covers(&range) && Some(window) == *before));
                prop_assert!(before.is_none_or(|window| window.start <= start));
                prop_assert!(after.is_none_or(|window| window.start > start));
            }
            Evidence::SlotGrid { before, after, .. } => {
                prop_assert_eq!(is_against, *before != start);
                prop_assert!(after.is_none_or(|after| after > start));
            }
            Evidence::Obstacles(met) => {
                prop_assert_eq!(is_against, !met.is_empty());
                for met in met {
                    let free_minutes = gap_us(met.range, range) / MINUTE_US;
                    let overlaps = met.range.overlaps(&range);
                    prop_assert_eq!(overlaps, met.missed_buffer_minutes.is_none(), "{:?} at {:?}", met, range);
                    prop_assert!(met.missed_buffer_minutes.is_none_or(|wanted| free_minutes < i64::from(wanted)));
                }
            }
            Evidence::Notice { earliest } => prop_assert_eq!(is_against, start < *earliest),
            Evidence::BookingWindow { latest } => prop_assert_eq!(is_against, start > *latest),
            Evidence::DailyLimit { used, limit } => prop_assert_eq!(is_against, used >= limit),
            Evidence::Knowledge => prop_assert!(finding.against.iter().all(|why| why.as_str() == "unknown")),
        }
    }
    Ok(())
}

/// The time between two ranges that do not overlap.
fn gap_us(one: TimeRange, other: TimeRange) -> i64 {
    one.start.micros_since(other.end).max(other.start.micros_since(one.end))
}

/// Lesson: "reserve" said booked while "slots" said free. Whatever is offered is decided free, whatever is not is refused.
fn offered_means_free(
    question: &Question<'_>,
    range: TimeRange,
    search: &SlotSearch,
    start: Timestamp,
    verdicts: &[HostVerdict],
) -> Result<(), TestCaseError> {
    if !range.contains(start) {
        return Ok(());
    }
    let slots = &search.slots;
    let is_unknown = |user_id| search.unknown.iter().any(|(unknown, _)| *unknown == user_id);
    let offered = slots.binary_search_by_key(&start, |slot| slot.start).ok().map(|index| slots[index].hosts);
    let together = question.terms.scheduling_mode == SchedulingMode::Collective;
    let all_free = verdicts.iter().all(|verdict| verdict.is_free());
    for (index, verdict) in verdicts.iter().enumerate() {
        let is_offered = offered.is_some_and(|hosts| hosts.contains(index));
        let is_left_out = is_unknown(verdict.user_id) || together && !search.unknown.is_empty();
        let is_free = if together { all_free } else { verdict.is_free() };
        prop_assert_eq!(is_offered, is_free && !is_left_out, "host {} at {:?}", index, start);
    }
    Ok(())
}

/// From the range on, from behind it, and at both ends of what can be booked at all.
fn next_available_agrees(
    question: &Question<'_>,
    reference: &mut Reference<'_>,
    range: TimeRange,
    tally: &mut Tally,
) -> Result<(), TestCaseError> {
    let last = question.now.plus_micros(i64::from(question.terms.booking_window_days) * DAY_US);
    let found = next_available(question, range.start);
    prop_assert_eq!(found, reference.next_available(range.start), "next available");
    tally.next_found += u64::from(found.is_some());
    for after in [range.end, last.plus_micros(-DAY_US / 4), last, last.plus_micros(1)] {
        prop_assert_eq!(next_available(question, after), reference.next_available(after), "after {:?}", after);
    }
    // What is next is the first thing that is offered, and nothing is offered in between.
    if let Some(found) = found {
        let until = TimeRange { start: range.start.min(found), end: found.plus_micros(1) };
        let offered = decision::slots(question, until, usize::MAX);
        let first = offered.slots.first().map(|slot| slot.start);
        prop_assert!(first == Some(found) || !offered.unknown.is_empty(), "{:?} before {:?}", first, found);
    }
    Ok(())
}

fn alternatives_hold(question: &Question<'_>, near: TimeRange, tally: &mut Tally) -> Result<(), TestCaseError> {
    let found = alternatives(question, near, ALTERNATIVES);
    prop_assert!(found.len() <= ALTERNATIVES);
    let distance = |slot: &Slot| slot.start.micros_since(near.start).unsigned_abs();
    prop_assert!(found.is_sorted_by_key(distance), "nearest first");
    for slot in &found {
        let decision = decide(question, slot.start);
        let free = decision.verdicts.iter().enumerate().filter(|(_, verdict)| verdict.is_free());
        prop_assert_eq!(free.map(|(index, _)| index).collect::<Vec<_>>(), slot.hosts.iter().collect::<Vec<_>>());
    }
    let tz = question.hosts[0].user.timezone;
    let days: BTreeSet<_> = found.iter().map(|slot| civil::date_of(slot.start, tz)).collect();
    let starts: BTreeSet<_> = found.iter().map(|slot| slot.start).collect();
    prop_assert_eq!(starts.len(), found.len(), "none twice");
    prop_assert!(!starts.contains(&near.start), "not what was refused");
    prop_assert!(found.len() < ALTERNATIVES || !days.is_empty());
    tally.with_alternatives += u64::from(!found.is_empty());
    Ok(())
}

fn alternatives_agree(
    question: &Question<'_>,
    reference: &mut Reference<'_>,
    near: TimeRange,
    tally: &mut Tally,
) -> Result<(), TestCaseError> {
    let found = alternatives(question, near, ALTERNATIVES);
    let found: Vec<_> =
        found.iter().map(|slot| (slot.start, slot.end, slot.hosts.iter().collect::<Vec<_>>())).collect();
    let expected = reference.alternatives(near, ALTERNATIVES);
    let expected: Vec<_> = expected.into_iter().map(|slot| (slot.start, slot.end, slot.hosts)).collect();
    tally.alternatives_compared += u64::from(!expected.is_empty());
    prop_assert_eq!(found, expected, "alternatives");
    Ok(())
}
