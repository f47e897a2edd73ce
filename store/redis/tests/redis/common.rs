//! A server, a cache on it, and facts to keep there.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::facts::{CalendarFacts, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::FactCache;
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_store_redis::{RedisConfig, RedisFactCache};
use uuid::Uuid;

/// How long anything may take to come true.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
/// How long a command may take, since tests share a machine on which anything may stand still for seconds.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Patient.
pub(crate) async fn connect(url: impl Into<String>) -> RedisFactCache {
    connect_with(RedisConfig { command_timeout: COMMAND_TIMEOUT, ..RedisConfig::at(url) }).await
}

/// As patient as in production.
pub(crate) async fn connect_as_usual(url: impl Into<String>) -> RedisFactCache {
    connect_with(RedisConfig::at(url)).await
}

async fn connect_with(config: RedisConfig) -> RedisFactCache {
    let cache = RedisFactCache::connect(&config).unwrap();
    cache.ready(WITHIN).await.unwrap();
    cache
}

pub(crate) fn account(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(number))
}

pub(crate) const fn calendar(number: u128) -> CalendarId {
    CalendarId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn own_shard() -> Shard {
    Shard::of(account(1))
}

/// Facts of the first account.
pub(crate) fn facts(number: u128, epoch: u64, revision: u64) -> Arc<CalendarFacts> {
    facts_of(account(1), number, epoch, revision)
}

pub(crate) fn facts_of(account_id: AccountId, number: u128, epoch: u64, revision: u64) -> Arc<CalendarFacts> {
    let range =
        |from: i64| TimeRange::new(Timestamp::from_seconds(from), Timestamp::from_seconds(from + 1_800)).unwrap();
    Arc::new(CalendarFacts {
        calendar_id: calendar(number),
        account_id,
        epoch: Epoch(epoch),
        revision,
        knowledge: Knowledge::Synced { as_of: Timestamp::from_seconds(7), window: range(0), watched_until: None },
        external: (0..20).map(|place| range(place * 7_200)).collect(),
        displaced: Vec::new(),
        claims: Vec::new(),
    })
}

/// Reads one calendar of the first account.
pub(crate) async fn read(cache: &RedisFactCache, number: u128) -> Option<Arc<CalendarFacts>> {
    cache.read(own_shard(), &[calendar(number)]).await.unwrap().facts.remove(0)
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !condition().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    assert!(tokio::time::timeout(WITHIN, asked).await.is_ok(), "{what} did not come true");
}
