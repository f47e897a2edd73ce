//! Accounts' configuration, kept in memory while it is current.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::ports::{AccountConfig, StoreError};
use agentcal_engine::shard::Shard;
use futures::future::join_all;
use quick_cache::sync::Cache;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::calendar::Msg;
use crate::context::Context;
use crate::ownership::Place;
use crate::slot::Slot;

/// Longest wait for a calendar to load its facts anew after a configuration change; then its old ones are withdrawn.
const RELOAD_DEADLINE: Duration = Duration::from_secs(2);

/// Longest wait for the store to say whether somebody wrote configuration. Other things may wait for it longer, since nothing in
/// memory counts by them.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);
/// Age of the last look beyond which what is in memory is forgotten with each look that fails. With a look under way it is less
/// than the five seconds after which changed rules count everywhere.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(3);

pub(crate) struct Configs {
    cache: Cache<AccountId, Arc<AccountConfig>>,
    /// Raised by everything that makes cached values old, so that a load begun before is not kept after.
    invalidations: AtomicU64,
}

impl Configs {
    pub(crate) fn new(accounts_cached_max: usize) -> Self {
        Self { cache: Cache::new(accounts_cached_max), invalidations: AtomicU64::new(0) }
    }

    pub(crate) fn forget(&self, account_id: AccountId) -> Option<Arc<AccountConfig>> {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.cache.remove(&account_id).map(|(_id, config)| config)
    }

    pub(crate) fn forget_all(&self) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.cache.clear();
    }
}

impl Context {
    /// An account's configuration, from memory while it is current.
    pub(crate) async fn config(&self, account_id: AccountId) -> Result<Option<Arc<AccountConfig>>, StoreError> {
        match self.configs.cache.get(&account_id) {
            Some(config) => Ok(Some(config)),
            None => self.fresh_config(account_id).await,
        }
    }

    /// An account's configuration as the store now has it.
    pub(crate) async fn fresh_config(&self, account_id: AccountId) -> Result<Option<Arc<AccountConfig>>, StoreError> {
        let before = self.configs.invalidations.load(Ordering::SeqCst);
        let Some(config) = self.parts.store.account_config(account_id).await? else {
            self.configs.forget(account_id);
            return Ok(None);
        };
        let config = Arc::new(config);
        self.configs.cache.insert(account_id, Arc::clone(&config));
        if self.configs.invalidations.load(Ordering::SeqCst) != before {
            self.configs.cache.remove(&account_id);
        }
        Ok(Some(config))
    }

    /// The account's configuration was written: returns once nothing answers from what was before.
    pub(crate) async fn config_changed(self: &Arc<Self>, account_id: AccountId) {
        let before = self.configs.forget(account_id);
        let after = self.fresh_config(account_id).await;
        match self.ownership.place(Shard::of(account_id)) {
            Place::There(..) | Place::Moving => return self.tell_config_changed(account_id).await,
            Place::Here(_) | Place::Nowhere => {}
        }
        let (Some(before), Ok(Some(after))) = (before, after) else {
            return self.catch_up_account_or_warn(account_id).await;
        };
        let touched = touched_calendars(&before, &after);
        join_all(touched.into_iter().map(|calendar_id| self.catch_up(account_id, calendar_id))).await;
    }

    /// Has all awake calendars of an account load again, and takes the sleeping ones out of the cache.
    ///
    /// # Errors
    /// When the store does not say which calendars there are: something old of a sleeping one may be in the cache.
    pub(crate) async fn catch_up_account(self: &Arc<Self>, account_id: AccountId) -> Result<(), StoreError> {
        let awake = self.directory.awake_of(account_id);
        join_all(awake.iter().map(|slot| self.reload(slot))).await;
        if self.ownership.is_alone() {
            return Ok(());
        }
        let Some(config) = self.config(account_id).await? else { return Ok(()) };
        for calendar in &config.calendars {
            if self.directory.peek(calendar.id).is_none() {
                self.withdraw_from_cache(account_id, calendar.id).await;
            }
        }
        Ok(())
    }

    /// The same where whoever changed something has seen to the cache already.
    pub(crate) async fn catch_up_account_or_warn(self: &Arc<Self>, account_id: AccountId) {
        if let Err(error) = self.catch_up_account(account_id).await {
            tracing::warn!(%account_id, %error, "it could not be seen which calendars an account has");
        }
    }

    /// Has a calendar load its facts again, or takes them out of the cache while it sleeps.
    pub(crate) async fn catch_up(self: &Arc<Self>, account_id: AccountId, calendar_id: CalendarId) {
        match self.directory.peek(calendar_id) {
            Some(slot) => self.reload(&slot).await,
            None => self.withdraw_from_cache(account_id, calendar_id).await,
        }
    }

    /// Has a calendar load its facts again, and waits for it; a calendar that cannot is withdrawn.
    async fn reload(self: &Arc<Self>, slot: &Slot) {
        let (done, loaded) = oneshot::channel();
        let is_sent = slot.send(Msg::Reload { done: Some(done) });
        if !is_sent || !matches!(tokio::time::timeout(RELOAD_DEADLINE, loaded).await, Ok(Ok(()))) {
            self.withdraw(slot).await;
            slot.ring();
        }
    }
}

/// Looks whether other processes wrote configuration, until the scheduler stops; then what is in memory may be old.
pub(crate) async fn watch(context: Arc<Context>) {
    let mut ticks = interval(context.parts.settings.sweep_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut known, mut confirmed_at) = (None, Instant::now());
    loop {
        tokio::select! {
            biased;
            () = context.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let asked_at = Instant::now();
        match timeout(LOOK_DEADLINE, context.parts.store.change_counters()).await {
            Ok(Ok(counters)) => {
                if known.replace(counters.config) != Some(counters.config) {
                    context.configs.forget_all();
                }
                confirmed_at = asked_at;
                continue;
            }
            Ok(Err(error)) => tracing::warn!(%error, "it could not be seen whether configuration was written"),
            Err(_late) => tracing::warn!("the store did not say in time whether configuration was written"),
        }
        if confirmed_at.elapsed() >= UNCONFIRMED_MAX {
            context.configs.forget_all();
        }
    }
}

/// Calendars whose claims, owners or existence differ between two configurations of one account.
fn touched_calendars(before: &AccountConfig, after: &AccountConfig) -> BTreeSet<CalendarId> {
    let mut touched = BTreeSet::new();
    let (homes_before, homes_after) = (homes(before), homes(after));
    for (_, home, calendar_id, _) in homes_before.symmetric_difference(&homes_after) {
        touched.insert(*home);
        touched.extend(*calendar_id);
    }
    // Whoever goes takes the holds on it along, and these held others too.
    let stays = |(user, ..): &Home<'_>| homes_after.iter().any(|(other, ..)| other == user);
    if !homes_before.iter().all(stays) {
        touched.extend(homes_after.iter().map(|(_, home, ..)| *home));
    }
    let calendars = |config: &AccountConfig| {
        config.calendars.iter().map(|calendar| (calendar.id, calendar.timezone.name())).collect::<BTreeSet<_>>()
    };
    let (before, after) = (calendars(before), calendars(after));
    touched.extend(before.symmetric_difference(&after).map(|&(id, _)| id));
    touched
}

type Home<'a> = (UserId, CalendarId, Option<CalendarId>, &'a str);

fn homes(config: &AccountConfig) -> BTreeSet<Home<'_>> {
    let users = config.users.iter().map(|(user, _)| user);
    users.map(|user| (user.id, user.home_calendar_id, user.calendar_id, user.email.as_str())).collect()
}
