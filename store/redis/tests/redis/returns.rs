//! A server that goes back to what it was: its owner's next word does not speak for what stands there again.

use std::sync::Arc;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_redis::RedisFactCache;
use agentcal_testkit::{Redis, redis, redis_with};

use crate::common::{calendar, connect, facts, own_shard, until};

/// A replica's first copy is not waited with for others.
const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];
const BEAT: Beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };

/// What a reader finds beside the owner's word. That is said again where it ran out before it was read.
async fn vouched_for(cache: &RedisFactCache) -> Option<Arc<CalendarFacts>> {
    let mut found = None;
    until("a beat", async || {
        let is_said = cache.beat(&[(own_shard(), BEAT)]).await.is_ok();
        let Ok(mut read) = cache.read(own_shard(), &[calendar(1)]).await else { return false };
        found = read.facts.remove(0);
        is_said && read.beat == Some(BEAT)
    })
    .await;
    found
}

/// Whether facts of this revision stand there, whoever speaks for them.
async fn holds(cache: &RedisFactCache, server: &Redis, revision: u64) -> bool {
    server.command(&["DEL", &format!("agentcal:{{{}}}:beat", own_shard().number())]);
    found_at(cache, revision).await
}

/// The same at a server that may be a replica, and without touching it.
async fn found_at(cache: &RedisFactCache, revision: u64) -> bool {
    let read = cache.read(own_shard(), &[calendar(1)]).await;
    read.is_ok_and(|mut read| read.facts.remove(0) == Some(facts(1, 1, revision)))
}

async fn publish(cache: &RedisFactCache, revision: u64) {
    cache.publish(own_shard(), facts(1, 1, revision)).await.unwrap();
    assert_eq!(vouched_for(cache).await, Some(facts(1, 1, revision)));
}

#[tokio::test]
async fn after_a_restart_from_an_older_file_older_facts_are_not_believed() {
    let Some(mut server) = redis() else { return };
    let cache = connect(server.url()).await;
    publish(&cache, 5).await;
    server.command(&["SAVE"]);
    publish(&cache, 6).await;
    server.stop();
    server.start_again();
    assert_eq!(vouched_for(&cache).await, None);
    assert!(holds(&cache, &server, 5).await, "the file was read");
    publish(&cache, 6).await;
}

#[tokio::test]
async fn after_a_restart_from_an_older_file_withdrawn_facts_are_not_believed() {
    let Some(mut server) = redis() else { return };
    let cache = connect(server.url()).await;
    publish(&cache, 5).await;
    server.command(&["SAVE"]);
    cache.withdraw(own_shard(), calendar(1)).await.unwrap();
    server.stop();
    server.start_again();
    assert_eq!(vouched_for(&cache).await, None);
    assert!(holds(&cache, &server, 5).await, "the file was read");
}

/// The replica takes the place of a primary whose last words it has not heard; and gives it back, so that the process which
/// took in the facts is the primary again.
#[tokio::test]
async fn after_a_failover_and_another_back_older_facts_are_not_believed() {
    let Some(primary) = redis_with(&AT_ONCE) else { return };
    let Some(replica) = redis_with(&AT_ONCE) else { return };
    let (cache, beyond) = (connect(primary.url()).await, connect(replica.url()).await);
    follow(&replica, &primary);
    // A primary begins another history with its first replica.
    until("a link", async || replica.command(&["INFO", "replication"]).to_string().contains("master_link_status:up"))
        .await;
    publish(&cache, 5).await;
    until("a replica with the facts", async || found_at(&beyond, 5).await).await;

    replica.command(&["REPLICAOF", "NO", "ONE"]);
    publish(&cache, 6).await;
    follow(&primary, &replica);
    assert_eq!(vouched_for(&beyond).await, None, "the replica did not hear of it");
    assert!(holds(&beyond, &replica, 5).await, "nothing else was lost");

    until("a former primary without its last words", async || found_at(&cache, 5).await).await;
    primary.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(vouched_for(&cache).await, None, "in the process that took them in, too");
    publish(&cache, 6).await;
}

fn follow(server: &Redis, primary: &Redis) {
    server.command(&["REPLICAOF", "127.0.0.1", &primary.address().port().to_string()]);
}
