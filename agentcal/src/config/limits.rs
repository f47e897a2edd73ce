//! How often keys may ask.

use agentcal_api::KEY_PER_MINUTE;
use agentcal_engine::limits::{BURST_MAX, CELLS_PER_MINUTE_MAX, Rate};
use serde::Deserialize;

use super::error::Problem;
use super::settings::{LIMIT_KEY_BURST, LIMIT_KEY_PER_MINUTE};

/// Unless said otherwise three seconds' worth may come at once, and never fewer than this.
const BURST_PART: u32 = 20;
const BURST_MIN: u32 = 10;

/// What callers are limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitsConfig {
    /// How often one key may ask; `None`: as often as it likes.
    pub(crate) key: Option<Rate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    key_per_minute: Option<u32>,
    key_burst: Option<u32>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<LimitsConfig, Vec<Problem>> {
        let per_minute = self.key_per_minute.unwrap_or(KEY_PER_MINUTE);
        let burst = self.key_burst.unwrap_or((per_minute / BURST_PART).max(BURST_MIN));
        let mut problems = Vec::new();
        if per_minute > CELLS_PER_MINUTE_MAX {
            let says = format!("must be 0, for no limit, to {CELLS_PER_MINUTE_MAX}");
            problems.push(Problem::of(LIMIT_KEY_PER_MINUTE, says));
        }
        if !(1..=BURST_MAX).contains(&burst) {
            problems.push(Problem::of(LIMIT_KEY_BURST, format!("must be 1 to {BURST_MAX}")));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(LimitsConfig { key: (per_minute > 0).then(|| Rate::per_minute(per_minute, burst)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_checked() {
        let check = |key_per_minute, key_burst, expected: Result<Option<(u32, u32)>, usize>| {
            let checked = Raw { key_per_minute, key_burst }.check();
            let rate = expected.map(|rate| rate.map(|(cells, burst)| Rate::per_minute(cells, burst)));
            assert_eq!(checked.map(|limits| limits.key).map_err(|problems| problems.len()), rate);
        };
        check(None, None, Ok(Some((1_200_000, 60_000))));
        check(Some(6_000), None, Ok(Some((6_000, 300))));
        check(Some(1), None, Ok(Some((1, 10))));
        check(Some(6_000), Some(7), Ok(Some((6_000, 7))));
        check(Some(0), None, Ok(None));
        check(Some(60_000_001), Some(0), Err(2));
        check(None, Some(10_000_001), Err(1));
    }

    #[test]
    fn the_default_is_that_of_the_api() {
        let default = agentcal_api::ApiSettings::default().key_rate;
        assert_eq!(Raw::default().check().ok().map(|limits| limits.key), Some(default));
    }
}
