//! Bells of calendars whose shards are another node's. Providers ring at any node; the owner hears of it over one hop. One that
//! does not hear is rung for again, for longer than it takes until somebody else owns the shard: the next sweep of a calendar
//! that is watched may be hours away.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::PeerError;
use agentcal_engine::shard::Shard;
use tokio::time::{Instant, timeout_at};

use crate::context::Context;
use crate::ownership::Place;

/// The first bell of a calendar goes out at once; those within this time after it go out together.
const WINDOW: Duration = Duration::from_millis(250);
/// Most calendars with a bell on its way from here. One more is lost, and the next sweep sees what it was about.
const RINGING_MAX: usize = 10_000;
/// Longest wait until a bell was heard.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calendars of other nodes that rang within the last moment, with what rang since.
#[derive(Default)]
pub(crate) struct Ringing(Mutex<BTreeMap<CalendarId, Option<Ring>>>);

/// What to do about a bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Pass it on, and what comes after it.
    First,
    /// It goes with the next one.
    Joined,
    /// Too many are on their way.
    Lost,
}

impl Ringing {
    /// A bell rang.
    fn hear(&self, calendar_id: CalendarId, ring: Ring) -> Heard {
        let mut ringing = self.ringing();
        let is_full = ringing.len() >= RINGING_MAX;
        match ringing.entry(calendar_id) {
            Entry::Occupied(mut joined) => {
                let more = joined.get().map_or(ring, |before| before.max(ring));
                joined.insert(Some(more));
                Heard::Joined
            }
            Entry::Vacant(_) if is_full => Heard::Lost,
            Entry::Vacant(first) => {
                first.insert(None);
                Heard::First
            }
        }
    }

    /// A bell that was not heard, with what rang since; it is still on its way.
    fn join(&self, calendar_id: CalendarId, ring: Ring) -> Ring {
        let since = self.ringing().get_mut(&calendar_id).and_then(Option::take);
        since.map_or(ring, |since| since.max(ring))
    }

    /// What rang since; `None`: nothing, and the next bell is a first one.
    fn take(&self, calendar_id: CalendarId) -> Option<Ring> {
        let mut ringing = self.ringing();
        let since = ringing.get_mut(&calendar_id).and_then(Option::take);
        if since.is_none() {
            ringing.remove(&calendar_id);
        }
        since
    }

    fn ringing(&self) -> MutexGuard<'_, BTreeMap<CalendarId, Option<Ring>>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Rings a calendar of another node, until its owner hears.
    pub(crate) fn ring_elsewhere(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId, ring: Ring) {
        match self.ringing.hear(calendar_id, ring) {
            Heard::First => {}
            Heard::Joined => return,
            Heard::Lost => return tracing::warn!(%calendar_id, "a bell was lost among many; the next sweep repairs it"),
        }
        let context = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut next = Some(ring);
            while let Some(ring) = next {
                context.carry_bell(account_id, calendar_id, ring).await;
                context.rest(WINDOW).await;
                next = context.ringing.take(calendar_id);
            }
        });
    }

    /// Passes a bell on, again and again where nobody hears. It is marked in the cache as well: whoever owns the calendar next
    /// finds it there if this node is gone by then.
    async fn carry_bell(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId, ring: Ring) {
        if self.pass_bell_on(account_id, calendar_id, ring).await {
            return;
        }
        self.mark(account_id, calendar_id).await;
        let mut ring = ring;
        let pass_on = || {
            ring = self.ringing.join(calendar_id, ring);
            self.pass_bell_on(account_id, calendar_id, ring)
        };
        if !self.tell_again(pass_on).await && !self.stopping.is_cancelled() {
            tracing::warn!(%calendar_id, "nobody heard a bell; the next sweep sees what it was about");
        }
    }

    /// Whether the owner heard.
    async fn pass_bell_on(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> bool {
        let Some(peers) = &self.parts.peers else { return self.ring(account_id, calendar_id, ring) };
        // An owner of before says that it is none: then the map is looked at, and whoever is the owner now is rung.
        for _ in 0..2 {
            let owner = match self.ownership.place(Shard::of(account_id)) {
                Place::Here(_) => return self.ring(account_id, calendar_id, ring),
                Place::There(owner, _) if !self.ownership.is_silent(owner.id) => owner,
                Place::There(..) | Place::Moving | Place::Nowhere => return false,
            };
            let told = peers.bell(&owner, account_id, calendar_id, ring);
            match timeout_at(Instant::now() + PATIENCE, told).await {
                Ok(Ok(())) => return true,
                Ok(Err(PeerError::NotOwner)) => self.look_now().await,
                Ok(Err(PeerError::Silent(_) | PeerError::Lost(_))) | Err(_) => {
                    self.ownership.note_silence(owner.id);
                    return false;
                }
            }
        }
        false
    }

    async fn mark(&self, account_id: AccountId, calendar_id: CalendarId) {
        let marked = self.parts.cache.mark_dirty(Shard::of(account_id), calendar_id);
        if !matches!(timeout_at(Instant::now() + PATIENCE, marked).await, Ok(Ok(()))) {
            tracing::info!(%calendar_id, "a bell that nobody heard yet could not be marked in the cache");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn calendar(number: u128) -> CalendarId {
        CalendarId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn many_bells_of_a_calendar_become_one_and_the_weightiest_word_counts() {
        let ringing = Ringing::default();
        assert_eq!(ringing.hear(calendar(1), Ring::Changed), Heard::First);
        assert_eq!(ringing.hear(calendar(2), Ring::Changed), Heard::First, "another calendar's is its own");
        for ring in [Ring::Changed, Ring::WatchEnded, Ring::WatchToRenew, Ring::Changed] {
            assert_eq!(ringing.hear(calendar(1), ring), Heard::Joined);
        }
        assert_eq!(ringing.take(calendar(1)), Some(Ring::WatchEnded));
        assert_eq!(ringing.hear(calendar(1), Ring::Changed), Heard::Joined, "the window after the second goes on");
        assert_eq!(ringing.take(calendar(1)), Some(Ring::Changed));
        assert_eq!(ringing.join(calendar(1), Ring::WatchEnded), Ring::WatchEnded, "nothing rang since");
        assert_eq!(ringing.hear(calendar(1), Ring::WatchEnded), Heard::Joined);
        assert_eq!(ringing.join(calendar(1), Ring::Changed), Ring::WatchEnded);
        assert_eq!(ringing.take(calendar(1)), None);
        assert_eq!(ringing.hear(calendar(1), Ring::Changed), Heard::First);
    }

    #[test]
    fn no_more_bells_are_on_their_way_than_may_be() {
        let ringing = Ringing::default();
        for number in 0..RINGING_MAX as u128 {
            assert_eq!(ringing.hear(calendar(number), Ring::Changed), Heard::First);
        }
        assert_eq!(ringing.hear(calendar(u128::MAX), Ring::Changed), Heard::Lost);
        assert_eq!(ringing.hear(calendar(0), Ring::Changed), Heard::Joined);
        assert_eq!(ringing.take(calendar(1)), None);
        assert_eq!(ringing.hear(calendar(u128::MAX), Ring::Changed), Heard::First);
    }
}
