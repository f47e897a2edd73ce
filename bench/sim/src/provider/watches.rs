//! Watches of one calendar at a simulated provider.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::model::{Watch, WatchState};
use agentcal_engine::ports::{WatchHandle, Watched};
use agentcal_engine::time::Timestamp;

/// How long a watch is granted: so short that it is renewed many times, and runs out while nobody can be reached.
const LASTS: Duration = Duration::from_secs(10 * 60);

/// The watches that stand, by number, with their ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watches {
    standing: BTreeMap<u64, Timestamp>,
    granted: u64,
    ended: u64,
}

impl Watches {
    /// Grants a watch: each second time by prolonging the one that stood, where it still does.
    pub(super) fn grant(&mut self, previous: Option<&WatchHandle>, now: Timestamp) -> Watched {
        self.standing.retain(|_, until| now < *until);
        self.granted += 1;
        let previous = previous.and_then(number_of).filter(|number| self.standing.contains_key(number));
        let prolonged = previous.filter(|_| self.granted.is_multiple_of(2));
        let (number, until) = (prolonged.unwrap_or(self.granted), now + LASTS);
        self.standing.insert(number, until);
        Watched {
            watch: Watch { state: WatchState::Push, expires_at: Some(until) },
            handle: Some(WatchHandle(number.to_string())),
            renewed: prolonged.is_some(),
        }
    }

    /// Ends a watch; one that is not there is ended.
    pub(super) fn end(&mut self, handle: &WatchHandle) {
        let ended = number_of(handle).and_then(|number| self.standing.remove(&number));
        self.ended += u64::from(ended.is_some());
    }

    /// How many were granted and ended so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.granted, self.ended)
    }
}

fn number_of(handle: &WatchHandle) -> Option<u64> {
    handle.0.parse().ok()
}
