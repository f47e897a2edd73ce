//! Chance, all of it from the seed.

use std::time::Duration;

use agentcal_engine::ports::Entropy;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::draw::Seeded;

/// A source of choices for one purpose. Sources of different names do not disturb each other, so that one more choice
/// here does not change everything there.
#[derive(Debug)]
pub struct Dice(Seeded);

impl Dice {
    /// The source of a name.
    pub fn new(seed: u64, name: &str) -> Self {
        Self(Seeded::new(xxh3_64_with_seed(name.as_bytes(), seed)))
    }

    /// A number below the limit; 0 where the limit is 0.
    pub fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit.max(1)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub fn happens(&self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of them.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&self, among: &'a [T]) -> &'a T {
        &among[self.index(among.len())]
    }

    /// One of so many, by its place.
    pub fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A time between two numbers of milliseconds.
    pub fn millis(&self, shortest: u64, longest: u64) -> Duration {
        Duration::from_millis(shortest + self.below(longest.saturating_sub(shortest).saturating_add(1)))
    }

    /// A time between two numbers of seconds.
    pub fn seconds(&self, shortest: u64, longest: u64) -> Duration {
        self.millis(shortest * 1_000, longest * 1_000)
    }

    /// A time between two numbers of minutes, to the millisecond.
    pub fn minutes(&self, shortest: u64, longest: u64) -> Duration {
        self.millis(shortest * 60_000, longest * 60_000)
    }

    /// The wait for the next of many that come independently of each other, on average so many milliseconds apart: up to
    /// twice as long.
    pub fn wait(&self, mean_ms: u64) -> Duration {
        Duration::from_millis(1 + self.below(mean_ms.saturating_mul(2)))
    }
}

impl Entropy for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }
}
