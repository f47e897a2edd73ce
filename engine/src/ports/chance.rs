//! Time and chance, as parameters (law 12).

use crate::time::Timestamp;

/// A clock.
pub trait Clock: Send + Sync {
    /// The present instant. Wall time; may step.
    fn now(&self) -> Timestamp;
}

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the buffer. In production from the operating system; in a simulation from the seed.
    fn fill(&self, buffer: &mut [u8]);
}
