//! What is offered and booked at once, nothing else happening, is never refused.
//!
//! Random accounts (people in zones with odd clocks, rules, event types, calendars, bookings and holds) at a moment near
//! a change of some clock. A real scheduler on the simulated store is asked for slots; some of them are signed as offers,
//! verified, and taken. Every one must be had, and must then be gone; what was not among the slots must be refused.
//!
//! `AGENTCAL_CASES` sets the number of cases, `AGENTCAL_SEED` where they come from; a failure prints which case it was,
//! and `AGENTCAL_CASE` replays that one.

#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

mod dice;
mod draw;
mod moments;
mod people;
mod play;
mod provider;
mod scene;

use std::ops::Range;

use dice::Dice;
use moments::moments;
use play::{Tally, play};
use scene::Scene;

/// So many that the test stays short on a busy machine. The long form is ten thousand.
const CASES: u64 = 3_000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Two halves, so that two cores share the work.
#[test]
fn offered_is_bookable_first_half() {
    let cases = setting("AGENTCAL_CASES").unwrap_or(CASES);
    run(0..cases / 2);
}

#[test]
fn offered_is_bookable_second_half() {
    let cases = setting("AGENTCAL_CASES").unwrap_or(CASES);
    run(cases / 2..cases);
}

fn run(cases: Range<u64>) {
    let seed = setting("AGENTCAL_SEED").unwrap_or(1);
    let only = setting("AGENTCAL_CASE");
    let moments = moments();
    let mut tally = Tally::default();
    for case in cases.clone().filter(|case| only.is_none_or(|only| only == *case)) {
        let _told = Told { seed, case };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut dice = Dice::of_case(seed, case);
            let mut scene = Scene::set(&mut dice, &moments).await;
            play(&mut dice, &mut scene, &mut tally).await;
        });
    }
    println!("cases {cases:?} of seed {seed}: {tally:?}");
    if only.is_none() {
        tally.assert_telling(cases.end - cases.start);
    }
}

/// Says which case it was, if it was the last.
struct Told {
    seed: u64,
    case: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("replay with AGENTCAL_SEED={} AGENTCAL_CASE={}", self.seed, self.case);
        }
    }
}
