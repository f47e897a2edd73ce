//! Facts of shards that are another node's: from the cache while its owner vouches for it, else from the owner, else from
//! the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::{CalendarFacts, Knowledge, UnknownReason};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::planted;
use agentcal_engine::ports::{Beat, FactsWanted, PeerError};
use agentcal_engine::shard::{Epoch, Shard};
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use crate::context::Context;
use crate::metrics;
use crate::ownership::Place;
use crate::questions::{Wanted, is_answer, is_stale};

/// Longest wait for the cache.
const CACHE_PATIENCE: Duration = Duration::from_millis(100);
/// Longest wait for an owner that need not ask a provider.
const OWNER_PATIENCE: Duration = Duration::from_millis(300);
/// Longest wait until an owner has taken in a change of configuration.
const CHANGE_PATIENCE: Duration = Duration::from_secs(2);
/// How often an owner that could not be told is told again, and after how long. Longer than a lease lasts: if it is dead,
/// somebody else owns the shard by then.
const TELLS_MAX: u32 = 30;
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Part of the caller's patience kept back for the store.
const KEPT_FOR_STORE: Duration = Duration::from_millis(50);

impl Context {
    /// Facts of an account's calendars that this node does not keep, in the order asked.
    pub(crate) async fn facts_elsewhere(
        self: &Arc<Self>,
        account_id: AccountId,
        wanted: &[Wanted],
        until: Instant,
    ) -> Vec<Arc<CalendarFacts>> {
        let mut found = self.facts_of_cache(account_id, wanted).await;
        let missing: Vec<Wanted> =
            wanted.iter().filter(|wanted| !found.contains_key(&wanted.calendar_id)).copied().collect();
        if !missing.is_empty() {
            found.extend(self.facts_of_owner(account_id, &missing, until).await);
        }
        self.look_again_elsewhere(account_id, wanted, &found);
        join_all(wanted.iter().map(|wanted| {
            let found = found.get(&wanted.calendar_id).cloned();
            async move {
                match found {
                    Some(facts) => facts,
                    None => self.facts_of_store(account_id, wanted.calendar_id).await,
                }
            }
        }))
        .await
    }

    /// Rings the owner for what answers and is worth another look.
    fn look_again_elsewhere(
        self: &Arc<Self>,
        account_id: AccountId,
        wanted: &[Wanted],
        found: &BTreeMap<CalendarId, Arc<CalendarFacts>>,
    ) {
        let now = self.store_now();
        let is_old = |wanted: &&Wanted| {
            found.get(&wanted.calendar_id).is_some_and(|facts| is_stale(facts, wanted.look_after, now))
        };
        for wanted in wanted.iter().filter(is_old) {
            self.ring_elsewhere(account_id, wanted.calendar_id, Ring::Changed);
        }
    }

    /// What the cache has, as far as the owner vouches for it and it is fresh enough.
    async fn facts_of_cache(
        &self,
        account_id: AccountId,
        wanted: &[Wanted],
    ) -> BTreeMap<CalendarId, Arc<CalendarFacts>> {
        let shard = Shard::of(account_id);
        let ids: Vec<CalendarId> = wanted.iter().map(|wanted| wanted.calendar_id).collect();
        let read = timeout_at(Instant::now() + CACHE_PATIENCE, self.parts.cache.read(shard, &ids)).await;
        let Ok(Ok(read)) = read else {
            count("cache", "unavailable");
            return BTreeMap::new();
        };
        let now = self.store_now();
        let known = if planted!(OldEpochAccepted) { Epoch(0) } else { self.ownership.row_epoch(shard) };
        let counts = |beat: &Beat| beat.covers(known, now) && self.is_trusted(shard, beat);
        let Some(beat) = read.beat.filter(counts) else {
            count("cache", "no_beat");
            return BTreeMap::new();
        };
        let counts = |wanted: &Wanted, facts: &CalendarFacts| {
            facts.epoch == beat.epoch
                && facts.account_id == account_id
                && facts.calendar_id == wanted.calendar_id
                && is_answer(facts, wanted.max_age, now)
        };
        let pairs = wanted.iter().zip(read.facts);
        let found: BTreeMap<_, _> = pairs
            .filter_map(|(wanted, facts)| Some((wanted.calendar_id, facts.filter(|facts| counts(wanted, facts))?)))
            .collect();
        count("cache", if found.len() == wanted.len() { "all" } else { "some" });
        found
    }

    async fn facts_of_owner(
        &self,
        account_id: AccountId,
        wanted: &[Wanted],
        until: Instant,
    ) -> BTreeMap<CalendarId, Arc<CalendarFacts>> {
        let (Place::There(owner, _), Some(peers)) = (self.ownership.place(Shard::of(account_id)), &self.parts.peers)
        else {
            return BTreeMap::new();
        };
        if self.ownership.is_silent(owner.id) {
            return BTreeMap::new();
        }
        let asks_provider = wanted.iter().any(|wanted| wanted.max_age.is_some());
        let until = until - KEPT_FOR_STORE;
        let until = if asks_provider { until } else { until.min(Instant::now() + OWNER_PATIENCE) };
        let patience = until.saturating_duration_since(Instant::now());
        let asked: Vec<FactsWanted> = wanted
            .iter()
            .map(|wanted| FactsWanted { calendar_id: wanted.calendar_id, max_age: wanted.max_age })
            .collect();
        let answer = timeout_at(until, peers.facts(&owner, account_id, &asked, patience)).await;
        let answer = answer.unwrap_or_else(|_late| Err(PeerError::Silent("no facts in time".into())));
        match answer {
            Ok(facts) => {
                count("owner", "all");
                let own = facts.into_iter().filter(|facts| facts.account_id == account_id);
                own.map(|facts| (facts.calendar_id, facts)).collect()
            }
            Err(PeerError::NotOwner) => {
                count("owner", "not_owner");
                self.ownership.look.notify_one();
                BTreeMap::new()
            }
            Err(error @ (PeerError::Silent(_) | PeerError::Lost(_))) => {
                count("owner", "silent");
                tracing::info!(node = %owner.id.0, %error, "an owner gave no facts; taking the store's");
                self.ownership.note_silence(owner.id);
                BTreeMap::new()
            }
        }
    }

    /// The store's own facts: claims as they are, busy time as old as it is.
    pub(crate) async fn facts_of_store(&self, account_id: AccountId, calendar_id: CalendarId) -> Arc<CalendarFacts> {
        count("store", "all");
        match self.parts.store.load_facts(account_id, calendar_id).await {
            Ok(Some(source)) => Arc::new(CalendarFacts::assemble(source)),
            Ok(None) => self.unknown_of(account_id, calendar_id, UnknownReason::CalendarGone),
            Err(error) => {
                tracing::warn!(%calendar_id, %error, "facts could not be read");
                self.unknown_of(account_id, calendar_id, UnknownReason::DeadlineExceeded)
            }
        }
    }

    /// Has the owner of an account take in that its configuration was written. One that cannot be told now is told later:
    /// it sees changed rules by itself, and commits compare revisions, but claims that moved it would go on showing.
    pub(crate) async fn tell_config_changed(self: &Arc<Self>, account_id: AccountId) {
        if self.try_tell_config_changed(account_id).await {
            return;
        }
        tracing::warn!("an owner could not be told of a changed configuration; it is tried again");
        let context = Arc::clone(self);
        self.tasks.spawn(async move {
            // A scheduler that stops does not tell once more.
            let tell =
                || async { context.stopping.is_cancelled() || context.try_tell_config_changed(account_id).await };
            context.tell_again(tell).await;
        });
    }

    /// Tells an owner that could not be told, again and again, and once more at once when the scheduler stops. Whether it was
    /// told in the end.
    pub(crate) async fn tell_again<F: Future<Output = bool>>(&self, mut tell: impl FnMut() -> F) -> bool {
        for _ in 0..TELLS_MAX {
            if self.stopping.is_cancelled() {
                return false;
            }
            self.rest(TELL_AGAIN_AFTER).await;
            if tell().await {
                return true;
            }
        }
        false
    }

    /// Waits, or until the scheduler stops.
    pub(crate) async fn rest(&self, time: Duration) {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => {}
            () = sleep(time) => {}
        }
    }

    async fn try_tell_config_changed(self: &Arc<Self>, account_id: AccountId) -> bool {
        match (self.ownership.place(Shard::of(account_id)), &self.parts.peers) {
            (Place::There(owner, _), Some(peers)) => {
                let until = Instant::now() + CHANGE_PATIENCE;
                matches!(timeout_at(until, peers.config_changed(&owner, account_id)).await, Ok(Ok(())))
            }
            (Place::Moving, _) => false,
            _ => {
                self.catch_up_account_or_warn(account_id).await;
                true
            }
        }
    }

    /// Waits until a calendar of another node has synced once, or failed at it.
    pub(crate) async fn first_sync_elsewhere(
        self: &Arc<Self>,
        account_id: AccountId,
        calendar_id: CalendarId,
        until: Instant,
    ) -> bool {
        let wanted = [Wanted::up_to(calendar_id, Some(Duration::MAX.into()))];
        let facts = self.facts_of_owner(account_id, &wanted, until).await.remove(&calendar_id);
        let facts = match facts {
            Some(facts) => facts,
            None => self.facts_of_store(account_id, calendar_id).await,
        };
        let waits = Knowledge::Unknown(UnknownReason::NotSynced) == facts.knowledge
            || facts.knowledge == Knowledge::Unknown(UnknownReason::DeadlineExceeded);
        !waits
    }
}

fn count(source: &'static str, outcome: &'static str) {
    ::metrics::counter!(metrics::FACTS_ELSEWHERE, "source" => source, "outcome" => outcome).increment(1);
}
