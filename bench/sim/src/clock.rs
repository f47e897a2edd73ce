//! The one time of a simulation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentcal_engine::ports::Clock;
use agentcal_engine::time::Timestamp;

/// Runs with the simulation: exactly on a simulated host, and from step to step outside.
#[derive(Debug)]
pub(crate) struct SimClock {
    start: Timestamp,
    outside_us: AtomicU64,
}

impl SimClock {
    pub(crate) fn new(start: Timestamp) -> Self {
        Self { start, outside_us: AtomicU64::new(0) }
    }

    /// Tells those outside how far the simulation has come.
    pub(crate) fn advance(&self, elapsed: Duration) {
        self.outside_us.store(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let outside = || Duration::from_micros(self.outside_us.load(Ordering::Relaxed));
        self.start + turmoil::sim_elapsed().unwrap_or_else(outside)
    }
}
