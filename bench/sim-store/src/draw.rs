//! Chance, from bytes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentcal_engine::ports::Entropy;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::settings::Span;

/// Bytes that follow from a seed.
#[derive(Debug)]
pub struct Seeded(Mutex<ChaCha8Rng>);

impl Seeded {
    /// The bytes of this seed, from the beginning.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(buffer);
    }
}

/// A number below `limit`, which is not zero. The bias of a 64-bit remainder is far below what a simulation could see.
pub(crate) fn below(entropy: &dyn Entropy, limit: u64) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes) % limit.max(1)
}

/// Whether something happens that happens so many times in a thousand. Draws only where both answers are possible.
pub(crate) fn happens(entropy: &dyn Entropy, per_mille: u16) -> bool {
    match per_mille {
        0 => false,
        1_000.. => true,
        per_mille => below(entropy, 1_000) < u64::from(per_mille),
    }
}

/// A length of the span, in whole microseconds. Draws only where there is a choice.
pub(crate) fn length(entropy: &dyn Entropy, span: Span) -> Duration {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let (shortest, longest) = (micros(span.shortest), micros(span.longest));
    match longest.checked_sub(shortest) {
        None | Some(0) => span.shortest,
        Some(room) => Duration::from_micros(shortest + below(entropy, room.saturating_add(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays() {
        let draw = |seed| {
            let seeded = Seeded::new(seed);
            (0..100).map(|_| below(&seeded, 1_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn lengths_stay_in_their_span() {
        let seeded = Seeded::new(1);
        let check = |shortest, longest| {
            let [shortest, longest] = [shortest, longest].map(Duration::from_micros);
            for _ in 0..200 {
                let length = length(&seeded, Span { shortest, longest });
                assert!((shortest..=longest).contains(&length), "{length:?} of {shortest:?}..={longest:?}");
            }
        };
        check(0, 0);
        check(5, 5);
        check(5, 9);
        check(0, 1_000_000);
    }

    #[test]
    fn what_is_certain_is_not_drawn() {
        struct Never;
        impl Entropy for Never {
            fn fill(&self, _: &mut [u8]) {
                panic!("drawn");
            }
        }
        assert!(!happens(&Never, 0));
        assert!(happens(&Never, 1_000));
        assert_eq!(length(&Never, Span::ZERO), Duration::ZERO);
    }
}
