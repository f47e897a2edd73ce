//! Whether this machine's clock agrees with that of a server.

use std::fmt;
use std::time::Duration;

use agentcal_engine::ports::{CLOCK_SKEW_MAX, Clock};
use agentcal_engine::time::Timestamp;

use crate::clock::SystemClock;

/// Difference from which people are told: far more than clocks differ that are set by a time service.
const TOLD_FROM: Duration = Duration::from_secs(1);
/// A server is asked so often, and the quickest answer counts: the way there and back is not known to be even.
const QUESTIONS: usize = 3;

/// How far this machine's clock is ahead of a server's, in microseconds; negative: behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew(i64);

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// As it should be.
    Little,
    /// Somebody should look after the clocks.
    Much,
    /// More than nodes are known to bear.
    TooMuch,
}

impl Skew {
    /// Asks a server for its clock.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn measure<F, E>(ask: impl Fn() -> F) -> Result<Self, E>
    where
        F: Future<Output = Result<Timestamp, E>>,
    {
        let mut best: Option<(i64, Self)> = None;
        for _ in 0..QUESTIONS {
            let before = SystemClock.now();
            let there = ask().await?;
            let took_us = SystemClock.now().micros_since(before);
            let skew = Self(before.plus_micros(took_us / 2).micros_since(there));
            best = best.filter(|(least_us, _)| *least_us <= took_us).or(Some((took_us, skew)));
        }
        Ok(best.map_or(Self(0), |(_, skew)| skew))
    }

    /// What follows from it.
    pub(crate) fn weight(self) -> Weight {
        match Duration::from_micros(self.0.unsigned_abs()) {
            apart if apart < TOLD_FROM => Weight::Little,
            apart if apart <= CLOCK_SKEW_MAX => Weight::Much,
            _ => Weight::TooMuch,
        }
    }
}

/// Reads on with whose clock it is compared with.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < 0 { "behind" } else { "ahead of" };
        write!(f, "{:.1} s {side}", self.0.unsigned_abs() as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;

    #[test]
    fn a_skew_weighs_what_it_is() {
        let check = |millis: i64, words: &str, weight| {
            let skew = Skew(millis * 1_000);
            assert_eq!((skew.to_string().as_str(), skew.weight()), (words, weight));
        };
        check(0, "0.0 s ahead of", Weight::Little);
        check(999, "1.0 s ahead of", Weight::Little);
        check(-999, "1.0 s behind", Weight::Little);
        check(1_000, "1.0 s ahead of", Weight::Much);
        check(-12_340, "12.3 s behind", Weight::Much);
        check(40_000, "40.0 s ahead of", Weight::Much);
        check(40_001, "40.0 s ahead of", Weight::TooMuch);
        check(-3_600_000, "3600.0 s behind", Weight::TooMuch);
    }

    #[tokio::test]
    async fn a_clock_beside_itself_is_right_and_one_that_is_off_shows_by_how_much() {
        for (ahead_us, weight) in [(0, Weight::Little), (-20_000_000, Weight::Much), (90_000_000, Weight::TooMuch)] {
            let asked = Cell::new(0);
            let measured = Skew::measure(|| {
                asked.set(asked.get() + 1);
                ready(Ok::<_, ()>(SystemClock.now().plus_micros(-ahead_us)))
            });
            assert_eq!(measured.await.map(Skew::weight), Ok(weight));
            assert_eq!(asked.get(), QUESTIONS);
        }
        assert_eq!(Skew::measure(|| ready(Err("gone"))).await, Err("gone"));
    }
}
