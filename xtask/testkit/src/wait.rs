//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// How long anything in a test may take to come true unless the test says otherwise. Generous: it is only ever waited
/// out by a failure.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Asks `condition` again and again until it has a value.
///
/// # Panics
/// When `bound` passes first; `what` names the condition.
pub fn wait_for<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < bound, "{what} did not come true within {bound:?}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
