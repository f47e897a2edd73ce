//! What is remembered of keys and of whose account is whose, so that a known caller costs no query.
//!
//! A memory counts only while the store's change counter is the one it was made under, and while that counter was read
//! within the last seconds: so a key revoked anywhere is dead here within [`CONFIRMATION_AGE_MAX`], come what may.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use agentcal_engine::ids::{AccountId, OrganizationId};
use agentcal_engine::model::Mode;
use agentcal_engine::ports::{ChangeCounters, KeyRecord, Store, StoreError};
use quick_cache::sync::Cache;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::limits::{Gate, Gates};

/// Time between two looks at the counters.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Age of the last look beyond which nothing remembered counts.
const CONFIRMATION_AGE_MAX: Duration = Duration::from_secs(4);
/// Most keys remembered.
const KEYS_MAX: usize = 100_000;
/// Most accounts remembered.
const ACCOUNTS_MAX: usize = 200_000;

/// Something remembered, and the counter it was read under.
#[derive(Clone)]
struct Memory<T> {
    counter: u64,
    value: T,
}

/// A key, and what its requests have to pass; `None`: nothing.
#[derive(Clone)]
pub(crate) struct KnownKey {
    pub(crate) record: Arc<KeyRecord>,
    pub(crate) gate: Option<Arc<Gate>>,
}

/// Keys and owners of accounts, as far as they are known.
pub(crate) struct Trust {
    store: Arc<dyn Store>,
    keys: Cache<[u8; 32], Memory<KnownKey>>,
    gates: Option<Gates>,
    owners: Cache<AccountId, Memory<(OrganizationId, Mode)>>,
    keys_counter: AtomicU64,
    config_counter: AtomicU64,
    born: Instant,
    /// When the look that last succeeded began, in milliseconds after `born`, plus one; zero: never.
    confirmed_ms: AtomicU64,
}

impl Trust {
    pub(crate) fn new(store: Arc<dyn Store>, gates: Option<Gates>) -> Self {
        Self {
            store,
            keys: Cache::new(KEYS_MAX),
            gates,
            owners: Cache::new(ACCOUNTS_MAX),
            keys_counter: AtomicU64::new(0),
            config_counter: AtomicU64::new(0),
            born: Instant::now(),
            confirmed_ms: AtomicU64::new(0),
        }
    }

    /// The key with this hash, unless it is unknown or revoked.
    pub(crate) async fn key(&self, hash: &[u8; 32]) -> Result<Option<KnownKey>, StoreError> {
        let counter = self.keys_counter.load(Ordering::Acquire);
        if let Some(memory) = self.keys.get(hash)
            && memory.counter == counter
            && self.is_confirmed()
        {
            return Ok(Some(memory.value));
        }
        let Some(record) = self.store.key_by_hash(hash).await? else { return Ok(None) };
        let gate = self.gates.as_ref().map(|gates| gates.of(record.key.id));
        let known = KnownKey { record: Arc::new(record), gate };
        self.keys.insert(*hash, Memory { counter, value: known.clone() });
        Ok(Some(known))
    }

    /// Whether an account belongs to this organization and mode.
    pub(crate) async fn owns(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        account_id: AccountId,
    ) -> Result<bool, StoreError> {
        let counter = self.config_counter.load(Ordering::Acquire);
        if let Some(memory) = self.owners.get(&account_id)
            && memory.counter == counter
            && self.is_confirmed()
        {
            return Ok(memory.value == (organization_id, mode));
        }
        let found = self.store.account(organization_id, mode, account_id).await?.is_some();
        if found {
            self.owners.insert(account_id, Memory { counter, value: (organization_id, mode) });
        }
        Ok(found)
    }

    /// Forgets an account this process deleted.
    pub(crate) fn forget_account(&self, account_id: AccountId) {
        self.owners.remove(&account_id);
        self.config_counter.fetch_add(1, Ordering::AcqRel);
    }

    fn is_confirmed(&self) -> bool {
        let confirmed_ms = self.confirmed_ms.load(Ordering::Acquire);
        let age = self.now_ms().saturating_sub(confirmed_ms);
        confirmed_ms > 0 && u128::from(age) < CONFIRMATION_AGE_MAX.as_millis()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn confirm(&self, counters: ChangeCounters, begun_ms: u64) {
        self.keys_counter.store(counters.keys, Ordering::Release);
        self.config_counter.store(counters.config, Ordering::Release);
        self.confirmed_ms.store(begun_ms, Ordering::Release);
    }
}

/// Looks at the counters each second for as long as somebody trusts them.
pub(crate) async fn watch(trust: Weak<Trust>) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(trust) = trust.upgrade() else { return };
        let begun_ms = trust.now_ms();
        match timeout(POLL_INTERVAL, trust.store.change_counters()).await {
            Ok(Ok(counters)) => trust.confirm(counters, begun_ms),
            Ok(Err(error)) => tracing::warn!(%error, "failed to read the change counters"),
            Err(_elapsed) => tracing::warn!("the change counters took longer than a second"),
        }
    }
}
