//! The fast calculator against the slow one, on random people, rules, calendars and claims around changes of the clock.
//!
//! `AGENTCAL_CASES` sets the number of cases, `AGENTCAL_SEED` where they come from; a failure prints the smallest case
//! that shows it.

mod check;
mod draw;
mod era;
mod scenario;

use std::cell::RefCell;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use check::{Tally, check};
use era::eras;

const CASES: u32 = 20_000;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Two halves, so that two cores share the work.
#[test]
fn fast_equals_reference_first_half() {
    run_half(0);
}

#[test]
fn fast_equals_reference_second_half() {
    run_half(1);
}

fn run_half(half: u64) {
    let cases = setting("AGENTCAL_CASES").map_or(CASES, |cases| u32::try_from(cases).expect("fewer cases")) / 2;
    let seed = setting("AGENTCAL_SEED").unwrap_or(1);
    let seed_bytes = (u128::from(seed) << 64 | u128::from(0x9e37_79b9_7f4a_7c15 + half)).to_le_bytes();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &seed_bytes));
    let eras = eras();
    let tally = RefCell::new(Tally::default());
    let outcome = runner.run(&draw::case(), |case| {
        let era = &eras[case.era % eras.len()];
        check(&case, era, &mut tally.borrow_mut())
    });
    println!("{cases} cases from seed {seed}, half {half}: {:?}", tally.borrow());
    if let Err(failure) = outcome {
        panic!("seed {seed}, half {half}: {failure}");
    }
    tally.borrow().assert_telling();
}
