//! A cluster, and a server behind Sentinel.

use std::sync::Arc;

use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_testkit::{redis_cluster, redis_sentinel};

use crate::common::{account, connect, facts, facts_of, own_shard, read, until};

#[tokio::test]
async fn shards_live_all_over_a_cluster() {
    let Some(cluster) = redis_cluster() else { return };
    let cache = connect(cluster.url()).await;
    for number in 1..60 {
        let published = facts_of(account(number), number, 1, 1);
        let shard = Shard::of(published.account_id);
        let sibling = facts_of(account(number), number + 1_000, 1, 1);
        cache.publish(shard, Arc::clone(&published)).await.unwrap();
        cache.publish(shard, Arc::clone(&sibling)).await.unwrap();
        let ids = [published.calendar_id, sibling.calendar_id];
        let facts = cache.read(shard, &ids).await.unwrap().facts;
        assert_eq!(facts, [Some(Arc::clone(&published)), Some(sibling)]);
        cache.mark_dirty(shard, published.calendar_id).await.unwrap();
        assert_eq!(cache.take_dirty(shard).await.unwrap(), [published.calendar_id]);
    }
    let beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };
    let beats: Vec<_> = Shard::all().map(|shard| (shard, beat)).collect();
    cache.beat(&beats).await.unwrap();
    for node in cluster.nodes() {
        let keys = node.command(&["DBSIZE"]).to_string().parse::<u64>().unwrap();
        assert!(keys > 1_000, "{keys}");
    }
    assert_eq!(cache.health().await.unwrap().remarks, Vec::<String>::new());
}

#[tokio::test]
async fn another_primary_is_found_through_sentinel() {
    let Some(mut set) = redis_sentinel() else { return };
    let cache = connect(set.url()).await;
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)));
    set.fail_over();
    until("writing again", async || cache.publish(own_shard(), facts(1, 1, 2)).await.is_ok()).await;
    until("reading again", async || cache.read(own_shard(), &[]).await.is_ok()).await;
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 2)));
}
