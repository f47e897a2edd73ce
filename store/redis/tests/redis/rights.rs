//! A user with the rights that the page lists, and no others, can do all that a node does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use agentcal_engine::limits::{LimitKey, LimitKind, Rate};
use agentcal_engine::ports::{Beat, CellsWanted, FactCache, Quotas};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_redis::{RedisConfig, RedisFactCache};
use agentcal_testkit::{Redis, Reply, redis, redis_cluster, redis_sentinel};

use crate::common::{COMMAND_TIMEOUT, WITHIN, calendar, connect, facts, own_shard, read};
use crate::quotas::Never;

const PAGE: &str = include_str!("../../../../docs/redis.md");
/// What the lines of the page begin with.
const COMMAND: &str = "ACL SETUSER agentcal ";
/// Who the page's first line makes.
const USER: &str = "agentcal:password@";

/// In the remarks on what every server needs.
const EVERYWHERE: &str = "everywhere";

/// A server for URLs that name a database.
static SERVER: LazyLock<Option<Redis>> = LazyLock::new(|| {
    let server = redis()?;
    grant(&server, &[EVERYWHERE, "database"]);
    Some(server)
});
static CASES: AtomicU32 = AtomicU32::new(0);

/// Performs the lines of the page whose remarks have these words.
fn grant(server: &Redis, remarks: &[&str]) {
    for remark in remarks {
        let lines = PAGE.lines().filter_map(|line| line.strip_prefix(COMMAND)?.split_once('#'));
        let found: Vec<&str> = lines.filter(|(_, said)| said.contains(remark)).map(|(rights, _)| rights).collect();
        assert!(!found.is_empty(), "no line of the page is about {remark}");
        for rights in found {
            let words: Vec<_> = ["ACL", "SETUSER", "agentcal"].into_iter().chain(rights.split_whitespace()).collect();
            server.command(&words);
        }
    }
}

/// The URL with the user in it.
fn as_user(url: &str) -> String {
    url.replace("://", &format!("://{USER}"))
}

async fn make() -> Option<RedisFactCache> {
    let url = format!("{}/3", as_user(&SERVER.as_ref()?.url()));
    let key_prefix = format!("agentcal:case-{}", CASES.fetch_add(1, Ordering::Relaxed));
    let cache =
        RedisFactCache::connect(&RedisConfig { key_prefix, command_timeout: COMMAND_TIMEOUT, ..RedisConfig::at(url) });
    let cache = cache.unwrap();
    cache.ready(WITHIN).await.unwrap();
    Some(cache)
}

agentcal_store_conformance::cache_suite_where_there!(make);

/// Everything once; and what was refused on the way, though it was put up with, the server tells.
async fn does_it_all<'a>(url: &str, servers: impl IntoIterator<Item = &'a Redis>) {
    let cache = connect(as_user(url)).await;
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)));
    let beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };
    for _ in 0..2 {
        cache.beat(&[(own_shard(), beat)]).await.unwrap();
    }
    cache.end_beat(own_shard(), Epoch(1)).await.unwrap();
    cache.mark_dirty(own_shard(), calendar(1)).await.unwrap();
    assert_eq!(cache.take_dirty(own_shard()).await.unwrap(), [calendar(1)]);
    cache.withdraw(own_shard(), calendar(1)).await.unwrap();
    let quotas = cache.quotas(Arc::new(Never));
    let (key, hour) = (LimitKey { kind: LimitKind::ApiKey, id: 1 }, Duration::from_secs(3_600));
    quotas.pause(key, hour).await;
    let given = quotas.take(&CellsWanted { key, rate: Rate::per(hour, 1, 1), most: 1, spare: 0 }).await;
    assert!(given.cells == 0 && given.wait > hour / 2, "{given:?}");
    assert_eq!(cache.health().await.unwrap().remarks, Vec::<String>::new());
    cache.server_now().await.unwrap();
    cache.close().await;
    for server in servers {
        assert_eq!(server.command(&["ACL", "LOG"]), Reply::Many(Vec::new()), "the server refused something");
    }
}

#[tokio::test]
async fn on_one_server() {
    let Some(server) = redis() else { return };
    grant(&server, &[EVERYWHERE]);
    does_it_all(&server.url(), [&server]).await;
}

#[tokio::test]
async fn in_a_database_of_its_own() {
    let Some(server) = redis() else { return };
    grant(&server, &[EVERYWHERE, "database"]);
    does_it_all(&format!("{}/3", server.url()), [&server]).await;
}

#[tokio::test]
async fn on_a_cluster() {
    let Some(cluster) = redis_cluster() else { return };
    for node in cluster.nodes() {
        grant(node, &[EVERYWHERE, "Cluster"]);
    }
    does_it_all(&cluster.url(), cluster.nodes()).await;
}

#[tokio::test]
async fn behind_sentinel() {
    let Some(set) = redis_sentinel() else { return };
    for server in set.servers() {
        grant(server, &[EVERYWHERE, "behind Sentinel"]);
    }
    grant(set.sentinel(), &["each sentinel"]);
    does_it_all(&set.url(), set.servers().iter().chain([set.sentinel()])).await;
}
