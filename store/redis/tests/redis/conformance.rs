//! The suite every fact cache passes, on one server for all cases, under a prefix for each.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use agentcal_store_redis::{RedisConfig, RedisFactCache};
use agentcal_testkit::{Redis, redis};

use crate::common::{COMMAND_TIMEOUT, WITHIN};

static SERVER: LazyLock<Option<Redis>> = LazyLock::new(redis);
static CASES: AtomicU32 = AtomicU32::new(0);

async fn make() -> Option<RedisFactCache> {
    let server = SERVER.as_ref()?;
    let key_prefix = format!("case-{}", CASES.fetch_add(1, Ordering::Relaxed));
    let config = RedisConfig { key_prefix, command_timeout: COMMAND_TIMEOUT, ..RedisConfig::at(server.url()) };
    let cache = RedisFactCache::connect(&config).unwrap();
    cache.ready(WITHIN).await.unwrap();
    Some(cache)
}

agentcal_store_conformance::cache_suite_where_there!(make);
