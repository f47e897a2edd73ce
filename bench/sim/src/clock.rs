//! The one time of a simulation, and what nodes take it for.

use std::sync::Arc;
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

/// A node's clock: it runs as fast as the true one, and is ahead of it or behind.
#[derive(Debug)]
pub(crate) struct SkewedClock {
    pub(crate) truth: Arc<SimClock>,
    pub(crate) ahead_us: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.truth.now().plus_micros(self.ahead_us)
    }
}
