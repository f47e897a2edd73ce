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

use crate::calendar::Msg;
use crate::context::Context;
use crate::ownership::Place;
use crate::slot::Slot;

/// Longest wait for a calendar to load its facts anew after a configuration change; then its old ones are withdrawn.
const RELOAD_DEADLINE: Duration = Duration::from_secs(2);

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
        let (Some(before), Ok(Some(after))) = (before, after) else { return self.catch_up_account(account_id).await };
        let touched = touched_calendars(&before, &after);
        join_all(touched.into_iter().map(|calendar_id| self.catch_up(account_id, calendar_id))).await;
    }

    /// Has all awake calendars of an account load again, and takes the sleeping ones out of the cache.
    pub(crate) async fn catch_up_account(&self, account_id: AccountId) {
        let awake = self.directory.awake_of(account_id);
        join_all(awake.iter().map(|slot| reload(slot))).await;
        if self.ownership.is_alone() {
            return;
        }
        let Ok(Some(config)) = self.config(account_id).await else { return };
        for calendar in &config.calendars {
            if self.directory.peek(calendar.id).is_none() {
                self.withdraw_from_cache(account_id, calendar.id).await;
            }
        }
    }

    /// Has a calendar load its facts again, or takes them out of the cache while it sleeps.
    pub(crate) async fn catch_up(&self, account_id: AccountId, calendar_id: CalendarId) {
        match self.directory.peek(calendar_id) {
            Some(slot) => reload(&slot).await,
            None if self.ownership.is_alone() => {}
            None => self.withdraw_from_cache(account_id, calendar_id).await,
        }
    }
}

/// Has a calendar load its facts again, and waits for it; a calendar that cannot is withdrawn.
pub(crate) async fn reload(slot: &Slot) {
    let (done, loaded) = oneshot::channel();
    let is_sent = slot.send(Msg::Reload { done: Some(done) });
    if !is_sent || !matches!(tokio::time::timeout(RELOAD_DEADLINE, loaded).await, Ok(Ok(()))) {
        slot.withdraw();
        slot.ring();
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
