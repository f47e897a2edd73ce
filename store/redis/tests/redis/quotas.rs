//! Buckets on a real server: the suite of the port, several nodes, and a server that goes away.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use agentcal_engine::limits::{LimitKey, LimitKind, Rate};
use agentcal_engine::ports::{CellsGiven, CellsWanted, Quotas};
use agentcal_store_conformance::quotas::Passing;
use agentcal_store_redis::{RedisConfig, RedisFactCache, RedisQuotas};
use agentcal_testkit::{Redis, redis, redis_cluster};
use async_trait::async_trait;

use crate::common::{COMMAND_TIMEOUT, WITHIN, connect, connect_as_usual, until};

const HOUR: Duration = Duration::from_secs(3_600);
/// One answer without Redis: far less than for ever.
const ONE_ANSWER_WITHIN: Duration = Duration::from_secs(20);

static SERVER: LazyLock<Option<Redis>> = LazyLock::new(redis);
static CASES: AtomicU32 = AtomicU32::new(0);

/// A fallback for tests in which Redis answers everything.
pub(crate) struct Never;

#[async_trait]
impl Quotas for Never {
    async fn take(&self, wanted: &CellsWanted) -> CellsGiven {
        panic!("redis was to answer about {wanted:?}")
    }

    async fn pause(&self, _key: LimitKey, _length: Duration) {}

    fn share_among(&self, _nodes: u32) {}
}

/// A fallback that gives one cell each time, and counts.
#[derive(Default)]
struct Counting {
    takes: AtomicU64,
    pauses: AtomicU64,
    nodes: AtomicU32,
}

#[async_trait]
impl Quotas for Counting {
    async fn take(&self, _wanted: &CellsWanted) -> CellsGiven {
        self.takes.fetch_add(1, Ordering::SeqCst);
        CellsGiven { cells: 1, wait: Duration::ZERO, full_after: Duration::ZERO }
    }

    async fn pause(&self, _key: LimitKey, _length: Duration) {
        self.pauses.fetch_add(1, Ordering::SeqCst);
    }

    fn share_among(&self, nodes: u32) {
        self.nodes.store(nodes, Ordering::SeqCst);
    }
}

struct Waited;

impl Passing for Waited {
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn make() -> Option<(RedisQuotas, Waited)> {
    let server = SERVER.as_ref()?;
    let key_prefix = format!("quota-case-{}", CASES.fetch_add(1, Ordering::Relaxed));
    let config = RedisConfig { key_prefix, command_timeout: COMMAND_TIMEOUT, ..RedisConfig::at(server.url()) };
    let cache = RedisFactCache::connect(&config).unwrap();
    cache.ready(WITHIN).await.unwrap();
    Some((cache.quotas(Arc::new(Never)), Waited))
}

agentcal_store_conformance::quota_suite!(make);

fn wanted(id: u128, rate: Rate, most: u32) -> CellsWanted {
    CellsWanted { key: LimitKey { kind: LimitKind::ApiKey, id }, rate, most, spare: 0 }
}

fn slow(burst: u32) -> Rate {
    Rate::per(HOUR, 1, burst)
}

#[tokio::test]
async fn nodes_share_one_bucket() {
    let Some(server) = redis() else { return };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(connect(server.url()).await.quotas(Arc::new(Never)));
    }
    let asked = wanted(1, slow(100), 1);
    let takes = (0..300).map(|n| nodes[n % 3].take(&asked));
    let given: u32 = futures::future::join_all(takes).await.iter().map(|given| given.cells).sum();
    assert_eq!(given, 100);
    nodes[0].pause(wanted(2, slow(1), 1).key, HOUR).await;
    for node in &nodes {
        let refused = node.take(&wanted(2, slow(1), 1)).await;
        assert!(refused.cells == 0 && refused.wait > HOUR / 2, "a pause holds on every node: {refused:?}");
    }
}

#[tokio::test]
async fn without_redis_a_node_judges_alone_and_later_together_again() {
    let Some(mut server) = redis() else { return };
    let fallback = Arc::new(Counting::default());
    let quotas = connect_as_usual(server.url()).await.quotas(Arc::clone(&fallback) as Arc<dyn Quotas>);
    quotas.share_among(3);
    assert_eq!(fallback.nodes.load(Ordering::SeqCst), 3);
    // A bucket in which Redis judged both times, on a machine on which its answers may be late.
    let mut id = 0;
    until("a bucket of redis", async || {
        id += 1;
        let given =
            [quotas.take(&wanted(id, slow(2), 9)).await.cells, quotas.take(&wanted(id, slow(2), 9)).await.cells];
        given == [2, 0]
    })
    .await;
    let before = fallback.takes.load(Ordering::SeqCst);
    server.stop();
    for _ in 0..1_000 {
        let began = tokio::time::Instant::now();
        assert_eq!(quotas.take(&wanted(id, slow(2), 9)).await.cells, 1);
        assert!(began.elapsed() < ONE_ANSWER_WITHIN, "{:?}", began.elapsed());
    }
    assert_eq!(fallback.takes.load(Ordering::SeqCst), before + 1_000);
    quotas.pause(wanted(id, slow(2), 9).key, HOUR).await;
    assert_eq!(fallback.pauses.load(Ordering::SeqCst), 1, "a pause is remembered here too");
    server.start_again();
    until("redis judges again", async || quotas.take(&wanted(id, slow(2), 9)).await.cells != 1).await;
}

#[tokio::test]
async fn what_is_no_bucket_is_replaced_by_a_full_one() {
    let Some(server) = redis() else { return };
    let quotas = connect(server.url()).await.quotas(Arc::new(Never));
    let key = format!("agentcal:cells:api_key:{{{:032x}}}", 1);
    for set in [
        &["SET", &key, "rubbish"][..],
        &["SADD", &key, "rubbish"],
        &["SET", &key, "9007199254740991 0"],
        &["SET", &key, "-5 1e99"],
    ] {
        server.command(&["DEL", &key]);
        server.command(set);
        let given = quotas.take(&wanted(1, Rate::per(Duration::from_secs(1), 1_000, 100), 9)).await;
        if set[2].starts_with('9') {
            // A debt larger than any is that of a full bucket: it is gone when that would be.
            assert!(given.cells == 0 && given.full_after <= Duration::from_millis(100), "{given:?}");
        } else {
            assert_eq!(given.cells, 9, "{set:?}");
        }
    }
}

#[tokio::test]
async fn a_bucket_ends_when_it_is_full() {
    let Some(server) = redis() else { return };
    let quotas = connect(server.url()).await.quotas(Arc::new(Never));
    assert_eq!(quotas.take(&wanted(1, Rate::per(Duration::from_secs(10), 1, 3), 2)).await.cells, 2);
    let key = format!("agentcal:cells:api_key:{{{:032x}}}", 1);
    let left: i64 = server.command(&["PTTL", &key]).to_string().trim().parse().unwrap();
    assert!((1..=21_000).contains(&left), "{left}");
}

#[tokio::test]
async fn buckets_live_all_over_a_cluster() {
    let Some(cluster) = redis_cluster() else { return };
    let quotas = connect(cluster.url()).await.quotas(Arc::new(Never));
    for id in 0..200 {
        assert_eq!(quotas.take(&wanted(id, slow(2), 9)).await.cells, 2);
        quotas.pause(wanted(id, slow(2), 9).key, HOUR).await;
        assert!(quotas.take(&wanted(id, slow(2), 9)).await.wait > Duration::ZERO);
    }
    for node in cluster.nodes() {
        let keys = node.command(&["DBSIZE"]).to_string().parse::<u64>().unwrap();
        assert!(keys > 20, "{keys}");
    }
}
