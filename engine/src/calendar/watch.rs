//! The watch of one calendar, without IO: when to ask its provider to ring, when to renew that, and which watches are still
//! to be ended.
//!
//! A watch is looked at after every sync that succeeded, and only then: a provider that does not answer a sync is not asked
//! for more. So it needs no timer of its own; the sync is due no later than the watch is to be renewed. Whatever becomes of
//! a watch, syncs go on. Invariant: a watch that another takes the place of is kept among the outdated ones, in the very
//! save that keeps the new one, until the provider has ended it or it has run out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{Watch, WatchState};
use crate::ports::{Entropy, OutdatedWatch, ProviderError, WatchHandle, WatchRecord, Watched};
use crate::time::Timestamp;

use super::backoff::backoff;
use super::sync::Saved;

/// Share of what was granted after which a watch is renewed, in percent: the rest is for tries that fail.
pub const RENEW_AFTER_PERCENT: u32 = 60;
/// Most watches kept that are still to be ended; the oldest are left to run out.
pub const OUTDATED_MAX: usize = 8;

const RETRY_FIRST: Duration = Duration::from_secs(60);
const RETRY_LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// Until a provider is asked again that cannot watch a calendar, or cannot ring where we are.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(6 * 60 * 60);
/// Until the provider is asked again to end a watch.
const END_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

/// What a provider says that concerns a calendar. It is believed so far as to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    /// Something may have changed.
    #[default]
    Changed,
    /// The watch ends soon unless it is renewed.
    WatchToRenew,
    /// The watch is no more.
    WatchEnded,
}

/// What the machine asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEffect {
    /// Ask the provider for a watch; answer with [`WatchMachine::handle_watched`].
    Ask {
        /// The one that stands.
        previous: Option<WatchHandle>,
    },
    /// Keep this; answer with [`WatchMachine::handle_saved`].
    Save(WatchRecord),
    /// End a watch; answer with [`WatchMachine::handle_ended`].
    End(WatchHandle),
    /// End a watch that cannot be kept, if that can be done; nobody waits for it.
    Abandon(WatchHandle),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Asking,
    /// With the watch that nobody could end if it were not kept.
    Saving {
        fresh: Option<WatchHandle>,
    },
    Ending,
    Lost,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct WatchMachine {
    /// Where the provider may ring; `None`: nowhere, and the calendar is polled.
    url: Option<String>,
    record: WatchRecord,
    phase: Phase,
    /// What is kept differs from what the store has.
    is_unsaved: bool,
    end_not_before: Timestamp,
    effects: VecDeque<WatchEffect>,
}

impl WatchMachine {
    /// A machine that continues from what the store keeps.
    pub fn new(url: Option<String>, record: WatchRecord) -> Self {
        Self {
            url,
            record,
            phase: Phase::Idle,
            is_unsaved: false,
            end_not_before: Timestamp::EARLIEST,
            effects: VecDeque::new(),
        }
    }

    /// What is known of the watch.
    pub fn record(&self) -> &WatchRecord {
        &self.record
    }

    /// The watch that stands: until when the provider rings, and when to see to it that it goes on.
    pub fn standing(&self, now: Timestamp) -> Option<Standing> {
        self.record.watch.until(now).map(|until| Standing { until, renew_at: self.record.due_at.min(until) })
    }

    /// Whether nothing is under way.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Lost) && self.effects.is_empty()
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<WatchEffect> {
        self.effects.pop_front()
    }

    /// A sync succeeded: the provider answers, and what is due may be asked of it.
    pub fn handle_synced(&mut self, now: Timestamp) {
        if self.phase == Phase::Idle {
            self.advance(now);
        }
    }

    /// The provider says something of the watch itself. After a failure it waits its time all the same.
    pub fn handle_ring(&mut self, ring: Ring, now: Timestamp) {
        if ring == Ring::WatchEnded && self.record.watch.state == WatchState::Push {
            // The handle stays: if the provider is mistaken, the watch is renewed, and otherwise ended once more.
            self.record.watch = Watch::POLLING;
        }
        if ring != Ring::Changed && self.record.failures == 0 {
            self.record.due_at = self.record.due_at.min(now);
        }
    }

    /// The provider answered. Says whether a watch stands now where none stood: what changed before it is still to be seen.
    pub fn handle_watched(
        &mut self,
        answer: Result<Watched, ProviderError>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> bool {
        debug_assert_eq!(self.phase, Phase::Asking, "an answer came that nobody asked for");
        let had = self.record.watch.until(now).is_some();
        let fresh = match answer {
            Ok(watched) => self.take(watched, now),
            Err(error) => {
                self.fail(&error, now, entropy);
                None
            }
        };
        self.save(fresh);
        !had && self.record.watch.until(now).is_some()
    }

    /// The store answered a save.
    pub fn handle_saved(&mut self, saved: Saved, now: Timestamp) {
        let Phase::Saving { fresh } = std::mem::replace(&mut self.phase, Phase::Idle) else {
            debug_assert!(false, "a save ended that nobody asked for");
            return;
        };
        match saved {
            Saved::Done => {
                self.is_unsaved = false;
                self.advance(now);
            }
            // It is tried again after the next sync.
            Saved::Failed => {}
            Saved::Lost => {
                self.effects.extend(fresh.map(WatchEffect::Abandon));
                self.phase = Phase::Lost;
            }
        }
    }

    /// The provider ended a watch, or did not.
    pub fn handle_ended(&mut self, answer: Result<(), ProviderError>, now: Timestamp) {
        debug_assert_eq!(self.phase, Phase::Ending, "a watch ended that nobody asked for");
        self.phase = Phase::Idle;
        if answer.is_ok() {
            self.record.outdated.remove(0);
            return self.save(None);
        }
        self.end_not_before = now + END_AGAIN_AFTER;
    }

    fn advance(&mut self, now: Timestamp) {
        if self.is_unsaved {
            return self.save(None);
        }
        if self.url.is_none() {
            if self.record.handle.is_some() || self.record.watch.state == WatchState::Push {
                self.put_aside(now);
                self.record = WatchRecord { watch: Watch::POLLING, url: None, failures: 0, ..self.record.clone() };
                return self.save(None);
            }
        } else if self.record.due_at <= now || self.url != self.record.url {
            self.phase = Phase::Asking;
            let previous = self.record.handle.clone();
            return self.effects.push_back(WatchEffect::Ask { previous });
        }
        self.end_next(now);
    }

    fn end_next(&mut self, now: Timestamp) {
        let kept = self.record.outdated.len();
        self.record.outdated.retain(|outdated| now < outdated.until);
        self.is_unsaved |= self.record.outdated.len() < kept;
        if let Some(outdated) = self.record.outdated.first().filter(|_| self.end_not_before <= now) {
            self.effects.push_back(WatchEffect::End(outdated.handle.clone()));
            self.phase = Phase::Ending;
        }
    }

    /// Keeps what was granted; returns what nobody could end if it were lost.
    fn take(&mut self, watched: Watched, now: Timestamp) -> Option<WatchHandle> {
        if !watched.renewed {
            self.put_aside(now);
        }
        let is_watched = watched.watch.until(now).is_some();
        let due_at = match watched.watch.expires_at {
            Some(expires_at) if is_watched => now + expires_at.saturating_since(now) * RENEW_AFTER_PERCENT / 100,
            _ => now + ASK_AGAIN_AFTER,
        };
        self.record.watch = watched.watch.at(now);
        self.record.handle = watched.handle;
        self.record.url.clone_from(&self.url);
        self.record.due_at = due_at;
        self.record.failures = 0;
        self.record.handle.clone().filter(|_| !watched.renewed)
    }

    fn fail(&mut self, error: &ProviderError, now: Timestamp, entropy: &dyn Entropy) {
        if self.record.watch.state == WatchState::Push && self.record.watch.until(now).is_none() {
            self.record.watch = Watch::POLLING;
            self.record.handle = None;
        }
        self.record.failures = self.record.failures.saturating_add(1);
        let wait = backoff(RETRY_FIRST, RETRY_LONGEST, self.record.failures, entropy);
        let wait = match error {
            ProviderError::RateLimited { retry_after: Some(asked), .. } => wait.max(*asked).min(RETRY_LONGEST),
            _ => wait,
        };
        self.record.due_at = now + wait;
        // Asked for this doorbell; otherwise it would be asked again at once.
        self.record.url.clone_from(&self.url);
    }

    /// The watch that stood is to be ended.
    fn put_aside(&mut self, now: Timestamp) {
        let Some(handle) = self.record.handle.take() else { return };
        let until = self.record.watch.expires_at.unwrap_or(now + ASK_AGAIN_AFTER);
        let outdated = &mut self.record.outdated;
        outdated.push(OutdatedWatch { handle, until });
        outdated.drain(..outdated.len().saturating_sub(OUTDATED_MAX));
    }

    fn save(&mut self, fresh: Option<WatchHandle>) {
        if self.record.watch.state == WatchState::None {
            // It has synced, or nobody would have come here.
            self.record.watch = Watch::POLLING;
        }
        self.is_unsaved = true;
        self.phase = Phase::Saving { fresh };
        self.effects.push_back(WatchEffect::Save(self.record.clone()));
    }
}

/// A watch that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Until when the provider rings.
    pub until: Timestamp,
    /// When to see to it that it goes on.
    pub renew_at: Timestamp,
}

#[cfg(test)]
mod tests;
