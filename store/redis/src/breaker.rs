//! Refuses quickly while Redis does not answer, so that an outage costs each question nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row after which nothing is sent.
const FAILURES_MAX: u32 = 3;
/// How long nothing is sent then. Afterwards one command tries.
const OPEN_FOR: Duration = Duration::from_millis(250);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a command may be sent. Of those that come when the pause is over, one may.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + OPEN_FOR);
                true
            }
            None => true,
        }
    }

    /// An answer came.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// None came. Whether this is the failure that closes the way.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let tripped = state.failures >= FAILURES_MAX;
        let newly = tripped && state.open_until.is_none();
        if tripped {
            state.open_until = Some(now + OPEN_FOR);
        }
        newly
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let breaker = Breaker::default();
        let begin = Instant::now();
        assert!(!breaker.failed(begin) && !breaker.failed(begin) && breaker.admits(begin));
        breaker.succeeded();
        assert!(!breaker.failed(begin) && !breaker.failed(begin) && breaker.admits(begin), "a success starts anew");
        assert!(breaker.failed(begin), "the third closes the way");
        assert!(!breaker.admits(begin) && !breaker.admits(begin + OPEN_FOR / 2));
        let later = begin + OPEN_FOR;
        assert!(breaker.admits(later) && !breaker.admits(later), "one tries");
        assert!(!breaker.failed(later) && !breaker.admits(later), "and it stays closed");
        breaker.succeeded();
        assert!(breaker.admits(later));
    }
}
