//! Standing in line where no actor makes callers do so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

/// Lines there are; shards share them.
const LINES: usize = 64;
/// Time between two lines of a log that say the same.
const REPEATED_AFTER: Duration = Duration::from_secs(60);

/// One turn at a time for each shard. Without its owner a shard's commits would otherwise all be decided at once, and all
/// but one in vain.
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..LINES).map(|_| Mutex::new(())).collect())
    }
}

impl Turns {
    /// Waits for a turn.
    pub(crate) async fn take(&self, shard: Shard) -> MutexGuard<'_, ()> {
        self.0[usize::from(shard.number()) % LINES].lock().await
    }
}

/// When something was said last.
#[derive(Default)]
pub(crate) struct Said(AtomicI64);

impl Said {
    /// Whether it may be said again.
    pub(crate) fn may_be_repeated(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let is_over = last == 0 || now.saturating_since(Timestamp::from_micros(last)) >= REPEATED_AFTER;
        is_over && self.0.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute() {
        let said = Said::default();
        let check =
            |seconds: i64, expected| assert_eq!(said.may_be_repeated(Timestamp::from_seconds(seconds)), expected);
        check(1_000, true);
        check(1_059, false);
        check(1_060, true);
        check(1_061, false);
    }
}
