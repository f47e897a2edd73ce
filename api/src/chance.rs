//! Chance drawn ahead: asking the operating system costs a call, and every request needs a little for its id.

use std::sync::{Arc, Mutex, PoisonError};

use agentcal_engine::ports::Entropy;

/// Bytes drawn at once: for a hundred ids.
const DRAWN_LEN: usize = 1_000;

/// Chance from another source, drawn in larger pieces. For names of things, not for secrets: what was drawn lies in memory
/// until it is used.
pub(crate) struct DrawnAhead {
    source: Arc<dyn Entropy>,
    left: Mutex<Vec<u8>>,
}

impl DrawnAhead {
    pub(crate) fn of(source: Arc<dyn Entropy>) -> Self {
        Self { source, left: Mutex::default() }
    }
}

impl Entropy for DrawnAhead {
    fn fill(&self, buffer: &mut [u8]) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() < buffer.len() {
            left.resize(DRAWN_LEN.max(buffer.len()), 0);
            self.source.fill(&mut left);
        }
        let rest = left.len() - buffer.len();
        buffer.copy_from_slice(&left[rest..]);
        left.truncate(rest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Counts bytes.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    #[test]
    fn nothing_drawn_is_given_out_twice() {
        let drawn = DrawnAhead::of(Arc::new(Counting::default()));
        let mut seen = [0u32; 256];
        for _ in 0..DRAWN_LEN / 10 * 3 {
            let mut ten = [0; 10];
            drawn.fill(&mut ten);
            ten.iter().for_each(|&byte| seen[usize::from(byte)] += 1);
        }
        // 3,000 bytes that count up: each value 11 or 12 times.
        assert!(seen.iter().all(|count| (11..=12).contains(count)), "{seen:?}");
        let mut long = vec![0; 2 * DRAWN_LEN];
        drawn.fill(&mut long);
        assert!(long.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "a long piece comes whole");
    }
}
