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

#[test]
fn fast_equals_reference() {
    let cases = setting("AGENTCAL_CASES").map_or(CASES, |cases| u32::try_from(cases).expect("fewer cases"));
    let seed = setting("AGENTCAL_SEED").unwrap_or(1);
    let mut seed_bytes = [0u8; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes));
    let eras = eras();
    let tally = RefCell::new(Tally::default());
    let outcome = runner.run(&draw::case(), |case| {
        let era = &eras[case.era % eras.len()];
        check(&case, era, &mut tally.borrow_mut())
    });
    println!("{cases} cases from seed {seed}: {:?}", tally.borrow());
    if let Err(failure) = outcome {
        panic!("seed {seed}: {failure}");
    }
    tally.borrow().assert_telling();
}
