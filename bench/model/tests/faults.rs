//! Every planted mistake is found, and by the property that is meant to find it.

use agentcal_model::faults::Faults;
use agentcal_model::{Plan, properties, scenario};
use stateright::{Checker, HasDiscoveries, Model};

const CALLERS: &str = "two callers want overlapping times";
const NEIGHBOUR: &str = "a neighbour comes too close";
const RIVAL: &str = "a hold, its confirmation and a rival";
const HOLD_NEIGHBOUR: &str = "a hold, its confirmation and a neighbour";
const CANCELLED: &str = "a booking is cancelled and its time taken";

/// Searches one scenario until the expected property breaks, and fails if it never does.
#[track_caller]
fn check(faults: Faults, scenario: &str, breaks: &'static str) {
    let plan = Plan { scenarios: vec![scenario::named(scenario)], faults };
    let until = HasDiscoveries::AnyOf([breaks].into());
    let checker = plan.checker().finish_when(until).spawn_bfs().join();
    let Some(path) = checker.discoveries().remove(breaks) else {
        panic!("{faults:?} went unnoticed in {} states", checker.unique_state_count());
    };
    println!("{breaks}: {:?}", path.into_actions());
}

#[test]
fn a_plain_select_of_the_epoch_is_no_fence() {
    let faults = Faults { plain_select_fence: true, ..Faults::default() };
    check(faults, CALLERS, properties::NO_STALE_EPOCH_WRITE);
}

#[test]
fn the_fence_compares_the_epoch_of_the_decision() {
    let faults = Faults { fences_by_present_epoch: true, ..Faults::default() };
    check(faults, CALLERS, properties::NO_STALE_EPOCH_WRITE);
}

/// The check is far from the insert; two guests a second apart both book.
#[test]
fn without_revisions_and_constraint_one_time_is_sold_twice() {
    let faults = Faults { skips_revision_check: true, drops_constraint: true, ..Faults::default() };
    check(faults, CALLERS, properties::NO_OVERLAP);
}

#[test]
fn the_constraint_alone_does_not_keep_the_rules() {
    let faults = Faults { skips_revision_check: true, ..Faults::default() };
    check(faults, NEIGHBOUR, properties::RULES_KEPT);
}

#[test]
fn a_confirmation_that_changed_no_row_is_none() {
    let faults = Faults { skips_row_count: true, ..Faults::default() };
    check(faults, RIVAL, properties::GONE_IS_NEVER_CONFIRMED);
    check(faults, RIVAL, properties::ACKNOWLEDGED_IS_DURABLE);
}

#[test]
fn a_confirmation_asks_for_expiry() {
    check(Faults { skips_expiry: true, ..Faults::default() }, RIVAL, properties::CONFIRMED_WAS_LIVE);
}

#[test]
fn the_clock_is_read_once_the_locks_are_held() {
    check(Faults { clock_of_begin: true, ..Faults::default() }, RIVAL, properties::CONFIRMED_WAS_LIVE);
}

/// Confirm locks one row, create another, and create ignores expired holds.
#[test]
fn a_hold_confirmed_and_its_slot_sold_to_another_at_the_moment_of_expiry() {
    let faults = Faults { overlooks_expired_holds: true, ..Faults::default() };
    check(faults, RIVAL, properties::NO_OVERLAP);
}

#[test]
fn a_clock_that_runs_ahead_decides_nothing() {
    let faults = Faults { trusts_fast_clocks: true, ..Faults::default() };
    check(faults, HOLD_NEIGHBOUR, properties::RULES_KEPT);
}

#[test]
fn an_answer_before_the_commit_may_be_untrue() {
    let faults = Faults { acknowledges_before_commit: true, ..Faults::default() };
    check(faults, CALLERS, properties::ACKNOWLEDGED_IS_DURABLE);
}

#[test]
fn an_owner_publishes_before_it_answers() {
    let faults = Faults { acknowledges_before_publishing: true, ..Faults::default() };
    check(faults, CALLERS, properties::OWNER_READS_ITS_WRITES);
}

#[test]
fn both_paths_of_one_request_share_its_commit_id() {
    let faults = Faults { ignores_commit_id: true, ..Faults::default() };
    check(faults, CANCELLED, properties::PERFORMED_ONCE);
}

#[test]
fn an_owner_less_refusal_uses_up_the_commit_id() {
    let faults = Faults { leaves_refusals_open: true, ..Faults::default() };
    check(faults, RIVAL, properties::REFUSED_IS_NEVER_PERFORMED);
}

#[test]
fn an_owner_refuses_only_after_a_look_at_the_store() {
    let faults = Faults { refuses_from_cache: true, ..Faults::default() };
    check(faults, RIVAL, properties::LIVE_HOLD_IS_HONOURED);
}

#[test]
fn the_owner_less_path_raises_revisions_too() {
    let faults = Faults { ownerless_raises_nothing: true, ..Faults::default() };
    check(faults, NEIGHBOUR, properties::FACTS_MATCH_REVISION);
    check(faults, NEIGHBOUR, properties::RULES_KEPT);
}
