//! How much a fake puts up with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Most calls each of many may make in any stretch of time of one length. Clones count together.
#[derive(Clone, Debug)]
pub struct Quota {
    window: TimeDelta,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    calls_max: usize,
    made: BTreeMap<String, VecDeque<DateTime<Utc>>>,
    most: usize,
    refused: u64,
}

impl Quota {
    /// So many calls in any stretch of this length.
    pub fn new(calls_max: usize, window: Duration) -> Self {
        let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        Self { window, state: Arc::new(Mutex::new(State { calls_max, made: BTreeMap::new(), most: 0, refused: 0 })) }
    }

    /// From now on so many.
    pub fn set_max(&self, calls_max: usize) {
        self.state().calls_max = calls_max;
    }

    /// Counts a call of somebody's; or refuses it, does not count it, and says after how long there is room again.
    pub fn take(&self, who: &str, now: DateTime<Utc>) -> Result<(), Duration> {
        let mut state = self.state();
        let calls_max = state.calls_max;
        let made = state.made.entry(who.to_owned()).or_default();
        while made.front().is_some_and(|&first| first + self.window <= now) {
            made.pop_front();
        }
        if made.len() < calls_max {
            made.push_back(now);
            let now_made = made.len();
            state.most = state.most.max(now_made);
            return Ok(());
        }
        let free_at = made.front().map_or(now + self.window, |&first| first + self.window);
        state.refused += 1;
        Err((free_at - now).to_std().unwrap_or_default())
    }

    /// Most calls anybody made in a stretch of time of that length.
    pub fn most(&self) -> usize {
        self.state().most
    }

    /// Calls that were refused.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_holds_in_every_stretch_of_time() {
        let quota = Quota::new(2, Duration::from_secs(60));
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("an instant");
        let check = |who, second, expected| assert_eq!(quota.take(who, at(second)), expected, "{who} at {second}");
        check("ada", 0, Ok(()));
        check("ada", 50, Ok(()));
        check("ada", 59, Err(Duration::from_secs(1)));
        check("bob", 59, Ok(()));
        check("ada", 60, Ok(()));
        check("ada", 61, Err(Duration::from_secs(49)));
        assert_eq!((quota.refused(), quota.most()), (2, 2));
        quota.set_max(0);
        check("eve", 61, Err(Duration::from_secs(60)));
    }
}
