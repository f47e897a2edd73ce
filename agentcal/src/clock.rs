//! The one place that reads the machine's clock and draws its random numbers; everything below is handed these.

use std::time::SystemTime;

use agentcal_engine::ports::{Clock, Entropy};
use agentcal_engine::time::Timestamp;
use rand::TryRng;
use rand::rngs::SysRng;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read for everybody else")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EARLIEST + since_epoch
    }
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        SysRng.try_fill_bytes(buffer).expect("an operating system without random numbers is not one to run on");
    }
}
