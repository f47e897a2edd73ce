//! The one time of a soak.

use std::sync::Arc;

use agentcal_engine::ports::Clock;
use agentcal_engine::time::Timestamp;
use tokio::time::Instant;

/// Runs with tokio's paused clock.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    start: Timestamp,
    began: Instant,
}

impl VirtualClock {
    /// A clock that shows this instant now. Call it inside the runtime whose clock is paused.
    pub(crate) fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, began: Instant::now() })
    }

    /// The same for fakes.
    pub(crate) fn for_fakes(self: &Arc<Self>) -> agentcal_fake_kit::Clock {
        let same = Arc::clone(self);
        agentcal_fake_kit::Clock::following(move || same.now().to_utc())
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.start + self.began.elapsed()
    }
}
