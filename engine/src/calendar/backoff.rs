//! Waiting, spread by chance.

use std::time::Duration;

use crate::ports::Entropy;

/// A wait of the `attempt`-th failure in a row (1 is the first): `first`, doubled with every further one, at most
/// `longest`, and then up to a fifth shorter by chance, so that what failed together does not come back together.
pub(crate) fn backoff(first: Duration, longest: Duration, attempt: u32, entropy: &dyn Entropy) -> Duration {
    let doublings = attempt.saturating_sub(1).min(30);
    let wait = first.saturating_mul(1u32 << doublings).min(longest);
    shorten(wait, entropy)
}

/// Up to a fifth shorter, by chance.
pub(crate) fn shorten(wait: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0u8; 2];
    entropy.fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    wait.mul_f64(1.0 - 0.2 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(u8);

    impl Entropy for Always {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn doubles_up_to_the_longest_and_is_never_longer() {
        let check = |attempt: u32, expected_seconds: (f64, f64)| {
            let wait =
                |byte| backoff(Duration::from_secs(3), Duration::from_secs(60), attempt, &Always(byte)).as_secs_f64();
            assert_eq!((wait(0), wait(255)), expected_seconds, "attempt {attempt}");
        };
        check(0, (3.0, 2.4));
        check(1, (3.0, 2.4));
        check(2, (6.0, 4.8));
        check(5, (48.0, 38.4));
        check(6, (60.0, 48.0));
        check(u32::MAX, (60.0, 48.0));
    }
}
