//! Short soaks: twenty calendars at each provider for some days, two nodes for a day; and that it finds what is planted.
//!
//! `AGENTCAL_SOAK_SEED=n cargo test -p agentcal-soak` plays another seed.
#![expect(clippy::unwrap_used, reason = "tests")]

use agentcal_soak::{Plan, Planted, Verdict, run};

/// The seed of every run that names no other.
const SEED: u64 = 1;

fn seed() -> u64 {
    std::env::var("AGENTCAL_SOAK_SEED").map_or(SEED, |seed| seed.parse().expect("AGENTCAL_SOAK_SEED is a number"))
}

fn play(plan: &Plan) -> (Verdict, String) {
    let mut out = Vec::new();
    let verdict = run(plan, &mut out).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}

#[test]
fn days_of_forty_calendars_hold() {
    let (verdict, printed) = play(&Plan::new(seed(), 4, 20));
    assert!(verdict.holds(), "{printed}");
    assert!(printed.ends_with("verdict=holds\n"), "{printed}");
    // A soak in which nothing happened would hold, too.
    let (figures, tally) = (&verdict.figures, verdict.figures.tally);
    assert!(figures.quiet_points == 4 && figures.looks >= 30 && figures.compared >= 500, "{printed}");
    assert!(figures.edits >= 100 && figures.touches >= 1 && figures.bookings >= 20, "{printed}");
    assert!(figures.bells_struck >= 10 && tally.restarts + tally.crashes >= 2, "{printed}");
    assert!(figures.calls_per_day() >= 5.0 && figures.tokens_per_day() >= 3.0, "{printed}");
}

/// Nodes renew their leases every few seconds and look at all shards then, so that a day takes longer than one node's.
#[test]
fn a_day_of_two_nodes_holds() {
    let (verdict, printed) = play(&Plan::new(seed(), 1, 8).among(2));
    assert!(verdict.holds(), "{printed}");
    let figures = &verdict.figures;
    assert!(figures.quiet_points == 1 && figures.compared >= 50 && figures.bookings >= 1, "{printed}");
}

/// A bug is found, by what it says.
fn finds(planted: Planted, words: &str) {
    let (verdict, printed) = play(&Plan::new(seed(), 4, 8).with(planted));
    assert!(!verdict.holds(), "{planted:?} was not found: {printed}");
    assert!(verdict.findings.iter().any(|finding| finding.contains(words)), "found something else: {printed}");
}

/// Lesson: the cursor was saved before the facts.
#[test]
fn a_cursor_without_its_facts_is_found() {
    finds(Planted::CursorWithoutFacts, "is taken and not known");
}

/// Lesson: a last notification was dropped, and nobody looked.
#[test]
fn a_bell_that_is_trusted_is_found() {
    finds(Planted::BellsAreTrusted, "is taken and not known");
}

#[test]
fn a_booking_that_is_only_said_to_be_written_is_found() {
    finds(Planted::SaysWritten, "and should at");
}
