//! When a calendar is synced, how far, and how long a failure waits.

use std::time::Duration;

use crate::facts::MaxAge;
use crate::model::{ConnectionStatus, WINDOW_DAYS_MAX};
use crate::ports::{Entropy, ProviderError};
use crate::time::{DAY_US, TimeRange, Timestamp};

use super::FAILURES_UNTIL_ERROR;
use super::backoff::{backoff, shorten};

/// Days before now that a full sync covers.
pub const SYNC_DAYS_BEHIND: i64 = 2;
/// Days after now that a full sync covers.
pub const SYNC_DAYS_AHEAD: i64 = 430;
/// Days after now that must be covered; fewer, and a full sync is due. A month more than anybody may book ahead.
pub const SYNC_DAYS_AHEAD_MIN: i64 = WINDOW_DAYS_MAX as i64 + 31;

const RETRY_FIRST: Duration = Duration::from_secs(3);
const RETRY_LONGEST: Duration = Duration::from_secs(15 * 60);
const RETRY_HOPELESS: Duration = Duration::from_secs(60 * 60);
const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const SPOT_CHECK_FIRST: Duration = Duration::from_secs(1);
const SPOT_CHECK_LONGEST: Duration = Duration::from_secs(60);
const QUIET_SYNCS_PER_STEP: u32 = 6;
/// Time in which a sweep that failed is tried again, and again, before what was known counts as stale.
const SWEEP_RETRIES: Duration = Duration::from_secs(60 * 60);

/// The instants a full sync begun at `now` covers.
pub fn window_at(now: Timestamp) -> TimeRange {
    let start = now.plus_micros(-SYNC_DAYS_BEHIND * DAY_US);
    TimeRange { start, end: now.plus_micros(SYNC_DAYS_AHEAD * DAY_US) }
}

/// Time between two syncs nobody rang for: of a calendar that changes now, of one that has long been quiet, and of one whose
/// provider rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// While it changes.
    pub fast: Duration,
    /// While it is quiet.
    pub slow: Duration,
    /// While a watch stands.
    pub swept: Duration,
    /// While a watch stands and somebody asks: whoever does is the reason to look again.
    pub asked: Duration,
}

impl Pace {
    pub(crate) fn interval(&self, quiet_syncs: u32) -> Duration {
        let doublings = (quiet_syncs / QUIET_SYNCS_PER_STEP).min(20);
        self.fast.saturating_mul(1 << doublings).min(self.slow).max(self.fast.min(self.slow))
    }

    pub(crate) fn swept(&self) -> Duration {
        self.swept.max(self.slow).max(self.fast)
    }

    /// Age beyond which facts count as stale: two of the longer intervals; or a sweep and what it takes to try it again, two
    /// sweeps at most.
    pub fn stale_after(&self) -> MaxAge {
        let swept = self.swept();
        MaxAge { polled: self.slow.max(self.fast) * 2, watched: swept + SWEEP_RETRIES.min(swept) }
    }

    /// Age beyond which somebody's question is a reason to look again. They count all the same: nobody waits for it, but who
    /// books.
    pub fn look_after(&self) -> MaxAge {
        let MaxAge { polled, watched } = self.stale_after();
        MaxAge { polled, watched: watched.min(self.asked) }
    }
}

pub(crate) fn needs_wider(window: TimeRange, now: Timestamp) -> bool {
    window.end < now.plus_micros(SYNC_DAYS_AHEAD_MIN * DAY_US) || now < window.start
}

/// Whether the provider's answer will stay the same however often it is asked.
pub(crate) fn is_final(error: &ProviderError) -> bool {
    matches!(error, ProviderError::CalendarGone | ProviderError::AddressNotAllowed(_))
}

pub(crate) fn retry_wait(error: &ProviderError, failures: u32, entropy: &dyn Entropy) -> Duration {
    let wait = backoff(RETRY_FIRST, RETRY_LONGEST, failures, entropy);
    match error {
        ProviderError::Unauthorized(_) | ProviderError::CalendarGone | ProviderError::AddressNotAllowed(_) => {
            shorten(RETRY_HOPELESS, entropy)
        }
        ProviderError::RateLimited { retry_after: Some(asked), .. } => wait.max((*asked).min(RETRY_AFTER_LONGEST)),
        _ => wait,
    }
}

/// How long a provider that did not answer a spot check is not asked for another. Somebody wants to book: never so long that
/// a provider which is well again goes unnoticed, unless it said so itself.
pub(crate) fn spot_check_wait(error: &ProviderError, failures: u32, entropy: &dyn Entropy) -> Duration {
    let wait = backoff(SPOT_CHECK_FIRST, SPOT_CHECK_LONGEST, failures, entropy);
    match error {
        ProviderError::RateLimited { retry_after: Some(asked), .. } => wait.max((*asked).min(RETRY_AFTER_LONGEST)),
        _ => wait,
    }
}

pub(crate) fn status_after(error: &ProviderError, failures: u32) -> Option<ConnectionStatus> {
    match error {
        ProviderError::Unauthorized(_) => Some(ConnectionStatus::ReauthorizationRequired),
        _ if failures >= FAILURES_UNTIL_ERROR => Some(ConnectionStatus::Error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_worth_a_look_before_they_are_stale() {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let check = |swept: u64, asked: u64, stale_after: u64, look_after: u64| {
            let pace = Pace { fast: minutes(1), slow: minutes(5), swept: minutes(swept), asked: minutes(asked) };
            let ages = (pace.stale_after(), pace.look_after());
            let of = |watched: u64| MaxAge { polled: minutes(10), watched: minutes(watched) };
            assert_eq!(ages, (of(stale_after), of(look_after)), "swept={swept} asked={asked}");
        };
        check(360, 150, 420, 150);
        check(360, 600, 420, 420);
        check(30, 150, 60, 60);
        check(1, 150, 10, 10);
    }
}
