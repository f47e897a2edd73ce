//! Chance that is the same on every machine and in every version: a hash of what is asked, not a stream of numbers.

/// A die for one question; asking the same question of the same seed gives the same answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// A die of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// The die for a named question.
    pub(crate) fn about(self, question: &str) -> Self {
        let state = question.bytes().fold(self.state, |state, byte| mix(state ^ u64::from(byte)));
        Self { state }
    }

    /// The die for a numbered question.
    pub(crate) fn nth(self, number: i64) -> Self {
        Self { state: mix(self.state ^ mix(number.cast_unsigned())) }
    }

    /// A number below `bound`, which must not be zero. The bias of the modulo is far below what anybody could notice.
    pub(crate) fn below(self, bound: u64) -> u64 {
        self.state % bound
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of the choices, of which there must be at least one.
    pub(crate) fn pick<T: Copy>(self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).expect("an index below a slice's length fits")]
    }
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changing these numbers changes every sandbox calendar there is.
    #[test]
    fn answers_never_change() {
        let check = |seed: u64, question: &str, number: i64, expected: u64| {
            assert_eq!(Dice::new(seed).about(question).nth(number).below(1_000_000), expected, "{seed} {question}");
        };
        check(0, "", 0, 607_535);
        check(1, "work", -1, 902_682);
        check(u64::MAX, "lunch", 739_000, 296_463);
    }

    #[test]
    fn a_die_is_fair_enough() {
        let hits = (0..10_000).filter(|&number| Dice::new(7).about("fair").nth(number).percent(30)).count();
        assert!((2_800..3_200).contains(&hits), "{hits} of 10000 at 30 %");
    }
}
