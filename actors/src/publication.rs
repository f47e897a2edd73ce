//! Facts on their way to the cache, and the word that they are all there.
//!
//! What could not be published or withdrawn is kept in arrears, and no beat is said for its shard until it is done: then
//! readers ask the owner instead. So it is tried again soon, one calendar at first, all of them once that one was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::planted;
use agentcal_engine::ports::{BEAT_TTL, Beat, CacheError};
use agentcal_engine::shard::Shard;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::context::Context;

/// Longest wait for the cache to take something; whoever commits waits as long.
const CACHE_DEADLINE: Duration = Duration::from_millis(100);
/// Longest wait for the cache to take the beats.
const BEAT_DEADLINE: Duration = Duration::from_secs(1);
/// Time between two rounds of beats.
const BEAT_INTERVAL: Duration = BEAT_TTL.checked_div(4).expect("four is not zero");
/// Most calendars in arrears that are tried in one round.
const REPAIRED_MAX: usize = 256;
/// Time until what is owed is tried again; doubles while the cache takes nothing. Each time that is one calendar.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest time until then.
const RETRY_MAX: Duration = Duration::from_millis(250);

/// Calendars of which the cache may hold something old.
#[derive(Default)]
pub(crate) struct Arrears {
    owed: Mutex<BTreeMap<Shard, BTreeSet<CalendarId>>>,
    /// Rings when a shard has fallen into arrears.
    fallen: Notify,
}

/// How a round of paying what is owed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repaired {
    All,
    /// More is owed than is paid at once.
    Part,
    /// The cache does not take it.
    Nothing,
}

impl Arrears {
    fn has(&self, shard: Shard) -> bool {
        self.lock().contains_key(&shard)
    }

    fn add(&self, shard: Shard, calendar_id: CalendarId) {
        self.lock().entry(shard).or_default().insert(calendar_id);
    }

    /// Nothing is owed of a calendar any more, if what was done still is what should be: looked at under the lock, so that
    /// whoever adds it meanwhile is not forgotten.
    fn settle(&self, shard: Shard, calendar_id: CalendarId, is_done: impl FnOnce() -> bool) {
        let mut owed = self.lock();
        if let Some(calendars) = owed.get_mut(&shard)
            && is_done()
        {
            calendars.remove(&calendar_id);
            if calendars.is_empty() {
                owed.remove(&shard);
            }
        }
    }

    fn forget_where(&self, is_over: impl Fn(Shard) -> bool) {
        self.lock().retain(|&shard, _| !is_over(shard));
    }

    fn shards(&self) -> Vec<Shard> {
        self.lock().keys().copied().collect()
    }

    fn first(&self) -> Vec<(Shard, CalendarId)> {
        let owed = self.lock();
        owed.iter().flat_map(|(&shard, ids)| ids.iter().map(move |&id| (shard, id))).take(REPAIRED_MAX).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, BTreeSet<CalendarId>>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// Publishes facts to the cache. Where that fails, it stays owed.
    pub(crate) async fn publish_to_cache(&self, facts: Arc<CalendarFacts>) {
        let (shard, calendar_id) = (Shard::of(facts.account_id), facts.calendar_id);
        if self.ownership.held(shard).is_none_or(|epoch| epoch > facts.epoch) {
            // Under an ownership that is over nothing is said any more.
            return;
        }
        if self.arrears.has(shard) {
            self.arrears.add(shard, calendar_id);
            return;
        }
        let result = in_time(self.parts.cache.publish(shard, facts)).await;
        self.handle_cached(shard, calendar_id, result).await;
    }

    /// Takes a calendar's facts out of the cache: nobody keeps them true while it sleeps.
    pub(crate) async fn withdraw_from_cache(&self, account_id: AccountId, calendar_id: CalendarId) {
        let shard = Shard::of(account_id);
        if self.arrears.has(shard) {
            self.arrears.add(shard, calendar_id);
            return;
        }
        let result = in_time(self.parts.cache.withdraw(shard, calendar_id)).await;
        self.handle_cached(shard, calendar_id, result).await;
    }

    async fn handle_cached(&self, shard: Shard, calendar_id: CalendarId, result: Result<(), CacheError>) {
        let Err(error) = result else { return };
        tracing::warn!(%calendar_id, %error, "the cache did not take a change of facts");
        if self.ownership.is_alone() {
            return;
        }
        self.arrears.add(shard, calendar_id);
        self.end_beat(shard).await;
        self.arrears.fallen.notify_one();
    }

    async fn end_beat(&self, shard: Shard) {
        let Some(epoch) = self.ownership.held(shard) else { return };
        if let Err(error) = in_time(self.parts.cache.end_beat(shard, epoch)).await {
            tracing::warn!(shard = shard.number(), %error, "a beat could not be ended; it runs out by itself");
        }
    }

    /// Says of every shard with awake calendars that the cache stands as this node would answer.
    async fn say_beats(self: &Arc<Self>, said: &mut BTreeMap<Shard, Beat>) {
        let beats = self.beats();
        said.retain(|shard, _| beats.contains_key(shard));
        let news: Vec<(Shard, Beat)> =
            beats.into_iter().filter(|(shard, beat)| said.get(shard) != Some(beat)).collect();
        if news.is_empty() {
            return;
        }
        match timeout(BEAT_DEADLINE, self.parts.cache.beat(&news)).await {
            Ok(Ok(())) => said.extend(news.iter().copied()),
            Ok(Err(error)) => tracing::warn!(%error, "beats could not be said"),
            Err(_late) => tracing::warn!("the cache did not take the beats in time"),
        }
        // What fell into arrears meanwhile ended a beat that was not yet said.
        for (shard, _) in news.into_iter().filter(|&(shard, _)| self.arrears.has(shard) && !planted!(BeatWhileOwing)) {
            said.remove(&shard);
            self.end_beat(shard).await;
        }
    }

    fn beats(&self) -> BTreeMap<Shard, Beat> {
        let Some(said_at) = self.ownership.learned_at() else { return BTreeMap::new() };
        let shards: BTreeSet<Shard> = self.directory.awake().iter().map(|slot| Shard::of(slot.account_id)).collect();
        let speaks = shards.into_iter().filter(|&shard| planted!(BeatWhileOwing) || !self.arrears.has(shard));
        speaks.filter_map(|shard| Some((shard, Beat { epoch: self.ownership.serves(shard)?, said_at }))).collect()
    }

    /// Tries again what is owed.
    async fn repair(&self) -> Repaired {
        self.arrears.forget_where(|shard| self.ownership.held(shard).is_none());
        let owed = self.arrears.first();
        for &(shard, calendar_id) in &owed {
            let present = || self.directory.peek(calendar_id).and_then(|slot| slot.facts());
            let facts = present();
            let cache = &self.parts.cache;
            let tried = match &facts {
                Some(facts) => in_time(cache.publish(shard, Arc::clone(facts))).await,
                None => in_time(cache.withdraw(shard, calendar_id)).await,
            };
            if tried.is_err() {
                // Very likely none of the others would be taken either.
                return Repaired::Nothing;
            }
            let is_same = || match (facts, present()) {
                (Some(published), Some(present)) => Arc::ptr_eq(&published, &present),
                (None, None) => true,
                _ => false,
            };
            self.arrears.settle(shard, calendar_id, is_same);
        }
        if owed.len() < REPAIRED_MAX { Repaired::All } else { Repaired::Part }
    }
}

/// When what is owed is tried again.
#[derive(Default)]
struct Retry {
    at: Option<Instant>,
    failed: u32,
}

impl Retry {
    /// Waits until it is time; for ever where nothing is owed.
    async fn due(&self) {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn handle_fallen(&mut self, now: Instant) {
        self.at.get_or_insert(now + RETRY_FIRST);
    }

    fn handle_repaired(&mut self, repaired: Repaired, now: Instant) {
        self.failed = if repaired == Repaired::Nothing { self.failed.saturating_add(1) } else { 0 };
        let wait = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(self.failed)).min(RETRY_MAX);
        self.at = (repaired != Repaired::All).then_some(now + wait);
    }
}

/// Says beats, and pays what is owed, until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>) {
    let mut ticks = interval(BEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut said, mut retry) = (BTreeMap::new(), Retry::default());
    loop {
        let is_retry = tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            () = context.caught_up.notified() => false,
            _ = ticks.tick() => false,
            () = retry.due() => true,
            () = context.arrears.fallen.notified() => {
                retry.handle_fallen(Instant::now());
                continue;
            }
        };
        // Their beats were ended, and are said again once nothing is owed.
        for shard in context.arrears.shards() {
            said.remove(&shard);
        }
        let repaired = context.repair().await;
        retry.handle_repaired(repaired, Instant::now());
        // A cache that takes no calendar takes no beats, of which there may be thousands.
        if !(is_retry && repaired == Repaired::Nothing) {
            context.say_beats(&mut said).await;
        }
    }
}

async fn in_time(asked: impl Future<Output = Result<(), CacheError>>) -> Result<(), CacheError> {
    match timeout(CACHE_DEADLINE, asked).await {
        Ok(result) => result,
        Err(_late) => Err(CacheError::Unavailable("no answer in time".into())),
    }
}
