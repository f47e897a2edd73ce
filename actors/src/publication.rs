//! Facts on their way to the cache.
//!
//! What could not be published or withdrawn is kept in arrears, and no beat is said for its shard until it is done: then
//! readers ask the owner instead. So it is tried again soon, one calendar at first, all of them once that one was taken. A beat
//! that was said before is taken back before anybody hears of what is in arrears.
//!
//! A cache may also lose what it took. Another node then asks the owner instead, and what it asked for is published again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::CacheError;
use agentcal_engine::shard::Shard;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::beats::BEAT_INTERVAL;
use crate::context::Context;
use crate::slot::Slot;

/// Longest wait for the cache to take something; whoever commits waits as long.
const CACHE_DEADLINE: Duration = Duration::from_millis(100);
/// Most calendars in arrears that are tried in one round.
const REPAIRED_MAX: usize = 256;
/// Most calendars that are published again in one round, of which there is one with every round of beats. A cache that lost all
/// it had fills with what is asked for, two hundred calendars a second from each node.
const REFILLED_MAX: usize = 256;
/// Time until what is owed is tried again; doubles while the cache takes nothing. Each time that is one calendar.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest time until then.
const RETRY_MAX: Duration = Duration::from_millis(250);

/// Calendars of which the cache may hold something old.
#[derive(Default)]
pub(crate) struct Arrears {
    owed: Mutex<BTreeMap<Shard, Owed>>,
    /// Rings when a shard has fallen into arrears.
    fallen: Notify,
    /// Rings when the beat of a shard in arrears was taken back, or everybody told that can be.
    told: Notify,
    /// Beats were sent and not all of them answered: one may arrive after it was taken back.
    pub(crate) beats_on_their_way: AtomicBool,
}

/// What is owed of a shard.
#[derive(Default)]
struct Owed {
    calendars: BTreeSet<CalendarId>,
    /// Nobody trusts the beats of before who can be reached.
    is_told: bool,
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

/// Calendars that another node asked their owner about, so that the cache may lack them.
#[derive(Default)]
pub(crate) struct Missed(Mutex<BTreeSet<CalendarId>>);

impl Missed {
    /// Adds a calendar. Where too many wait it is left out, and missed again by the next question.
    pub(crate) fn add(&self, calendar_id: CalendarId) {
        let mut missed = self.lock();
        if missed.len() < REFILLED_MAX {
            missed.insert(calendar_id);
        }
    }

    fn take_all(&self) -> BTreeSet<CalendarId> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<CalendarId>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrears {
    pub(crate) fn has(&self, shard: Shard) -> bool {
        self.lock().contains_key(&shard)
    }

    /// Adds a calendar; whether its shard had owed nothing before.
    fn add(&self, shard: Shard, calendar_id: CalendarId) -> bool {
        let mut owed = self.lock();
        let is_first = !owed.contains_key(&shard);
        owed.entry(shard).or_default().calendars.insert(calendar_id);
        is_first
    }

    /// Adds a calendar if its shard owes something; whether it does.
    fn add_to_owed(&self, shard: Shard, calendar_id: CalendarId) -> bool {
        let mut owed = self.lock();
        let of_shard = owed.get_mut(&shard);
        of_shard.map(|of_shard| of_shard.calendars.insert(calendar_id)).is_some()
    }

    fn set_told(&self, shard: Shard) {
        if let Some(owed) = self.lock().get_mut(&shard) {
            owed.is_told = true;
        }
        self.told.notify_waiters();
    }

    /// Waits until whoever can be told was told.
    async fn until_told(&self, shard: Shard) {
        loop {
            let told = self.told.notified();
            if self.lock().get(&shard).is_none_or(|owed| owed.is_told) {
                return;
            }
            told.await;
        }
    }

    /// Nothing is owed of a calendar any more, if what was done still is what should be: looked at under the lock, so that
    /// whoever adds it meanwhile is not forgotten.
    fn settle(&self, shard: Shard, calendar_id: CalendarId, is_done: impl FnOnce() -> bool) {
        let mut owed = self.lock();
        if let Some(of_shard) = owed.get_mut(&shard)
            && is_done()
        {
            of_shard.calendars.remove(&calendar_id);
            if of_shard.calendars.is_empty() {
                owed.remove(&shard);
                self.told.notify_waiters();
            }
        }
    }

    fn forget_where(&self, is_over: impl Fn(Shard) -> bool) {
        self.lock().retain(|&shard, _| !is_over(shard));
        self.told.notify_waiters();
    }

    fn shards(&self) -> Vec<Shard> {
        self.lock().keys().copied().collect()
    }

    fn first(&self) -> Vec<(Shard, CalendarId)> {
        let owed = self.lock();
        let of_shard =
            |(&shard, owed): (&Shard, &Owed)| owed.calendars.iter().map(move |&id| (shard, id)).collect::<Vec<_>>();
        owed.iter().flat_map(of_shard).take(REPAIRED_MAX).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, Owed>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While somebody tells that beats of a shard ended. Whoever waits for it goes on when that fails inside, too.
struct Telling<'a> {
    arrears: &'a Arrears,
    shard: Shard,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.arrears.set_told(self.shard);
    }
}

impl Context {
    /// Publishes facts to the cache. Where that fails, it stays owed.
    pub(crate) async fn publish_to_cache(self: &Arc<Self>, facts: Arc<CalendarFacts>) {
        let (shard, calendar_id) = (Shard::of(facts.account_id), facts.calendar_id);
        if self.ownership.held(shard).is_none_or(|epoch| epoch > facts.epoch) {
            // Under an ownership that is over, or may be, nothing is said any more. What was said before may still be believed:
            // it goes, since whoever waits for this may tell of a commit that it does not have.
            return self.withdraw_from_cache(facts.account_id, calendar_id).await;
        }
        if self.owe_more(shard, calendar_id).await {
            return;
        }
        let result = in_time(self.parts.cache.publish(shard, facts)).await;
        self.handle_cached(shard, calendar_id, result).await;
    }

    /// Sees to it that nobody reads a calendar's old facts, here or at another node. They are read from the store.
    pub(crate) async fn withdraw(self: &Arc<Self>, slot: &Slot) {
        slot.withdraw();
        self.withdraw_from_cache(slot.account_id, slot.calendar_id).await;
    }

    /// Takes a calendar's facts out of the cache: nobody keeps them true while it sleeps.
    pub(crate) async fn withdraw_from_cache(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId) {
        let shard = Shard::of(account_id);
        if self.owe_more(shard, calendar_id).await {
            return;
        }
        let result = in_time(self.parts.cache.withdraw(shard, calendar_id)).await;
        self.handle_cached(shard, calendar_id, result).await;
    }

    /// Adds a calendar to the arrears of its shard, if there are any, and waits until that can be heard of.
    async fn owe_more(&self, shard: Shard, calendar_id: CalendarId) -> bool {
        // In one step: what is settled between a look and an addition would have nobody who tells, and nobody who pays.
        if !self.arrears.add_to_owed(shard, calendar_id) {
            return false;
        }
        self.arrears.until_told(shard).await;
        true
    }

    async fn handle_cached(self: &Arc<Self>, shard: Shard, calendar_id: CalendarId, result: Result<(), CacheError>) {
        let Err(error) = result else { return };
        tracing::warn!(%calendar_id, %error, "the cache did not take a change of facts");
        if self.ownership.is_alone() {
            return;
        }
        let is_first = self.arrears.add(shard, calendar_id);
        self.arrears.fallen.notify_one();
        if !is_first {
            return self.arrears.until_told(shard).await;
        }
        // A task of its own: others wait for it, too, whatever becomes of this one.
        let context = Arc::clone(self);
        let told = self.tasks.spawn(async move {
            let _telling = Telling { arrears: &context.arrears, shard };
            context.take_beat_back(shard).await;
        });
        if let Err(error) = told.await {
            tracing::error!(%error, "taking a beat back failed inside");
        }
    }

    /// Tries again what is owed.
    async fn repair(&self) -> Repaired {
        self.arrears.forget_where(|shard| self.ownership.own(shard).is_none());
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

impl Context {
    /// Publishes again what was missed in the cache, as it is. Whoever reads asks the owner as long as it is not there, so a cache
    /// that does not take it is no reason to take a word back.
    async fn refill(&self) {
        for calendar_id in self.missed.take_all() {
            let Some(facts) = self.directory.peek(calendar_id).and_then(|slot| slot.facts()) else { continue };
            let shard = Shard::of(facts.account_id);
            if self.ownership.held(shard).is_none_or(|epoch| epoch > facts.epoch) || self.arrears.has(shard) {
                continue;
            }
            if in_time(self.parts.cache.publish(shard, facts)).await.is_err() {
                return;
            }
        }
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
        if !is_retry {
            context.refill().await;
        }
    }
}

/// Waits for the cache no longer than callers can.
pub(crate) async fn in_time(asked: impl Future<Output = Result<(), CacheError>>) -> Result<(), CacheError> {
    match timeout(CACHE_DEADLINE, asked).await {
        Ok(result) => result,
        Err(_late) => Err(CacheError::Unavailable("no answer in time".into())),
    }
}
