//! The plan, searched in full.

use std::collections::BTreeSet;

use agentcal_model::faults::Faults;
use agentcal_model::scenario::{self, Scenario};
use agentcal_model::{Plan, properties};
use stateright::{Checker, Model};

/// Fewer states than this over all scenarios would mean that something no longer happens in the model.
const STATES_MIN: usize = 1_000_000;

/// What a full search of one scenario saw.
struct Searched {
    states: usize,
    broken: Vec<String>,
    reached: BTreeSet<&'static str>,
}

fn search(scenario: Scenario, faults: Faults) -> Searched {
    let name = scenario.name;
    let checker = Plan { scenarios: vec![scenario], faults }.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    println!("{name}: {states} states, at most {} steps deep", checker.max_depth());
    let mut searched = Searched { states, broken: Vec::new(), reached: BTreeSet::new() };
    for (property, path) in checker.discoveries() {
        if properties::always().any(|always| always == property) {
            searched.broken.push(format!("{name}: not so: {property}: {:?}", path.into_actions()));
        } else {
            searched.reached.insert(property);
        }
    }
    searched
}

#[test]
fn the_plan_holds_in_every_order_of_steps() {
    let searches: Vec<Searched> = scenario::all().into_iter().map(|one| search(one, Faults::default())).collect();
    let broken: Vec<&String> = searches.iter().flat_map(|searched| &searched.broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");

    let reached: BTreeSet<&str> = searches.iter().flat_map(|searched| searched.reached.iter().copied()).collect();
    let missing: Vec<&str> = properties::sometimes().filter(|name| !reached.contains(name)).collect();
    assert!(missing.is_empty(), "never happens, so that the rest says little: {missing:?}");

    let states: usize = searches.iter().map(|searched| searched.states).sum();
    println!("together {states} states");
    assert!(states >= STATES_MIN, "{states} states");
}

/// The constraint and the revisions each suffice against overlap. That is why one of them may be trusted when the other
/// is broken, and why a fault in one alone goes unseen there.
#[test]
fn without_its_constraint_the_store_still_sells_no_time_twice() {
    let faults = Faults { drops_constraint: true, ..Faults::default() };
    for name in ["two callers want overlapping times", "a booking is cancelled and its time taken"] {
        let searched = search(scenario::named(name), faults);
        assert!(searched.broken.is_empty(), "{:#?}", searched.broken);
    }
}
