//! Writers beside one another: the highest version stands, and readers never see one go back.

use std::sync::Arc;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_store_redis::RedisFactCache;
use agentcal_testkit::redis;

use crate::common::{account, connect, facts, facts_of, own_shard, read, until};

const REVISIONS: u64 = 200;
/// So many that what is published does not fit into one read of a server, and withdrawals do.
const CALENDARS: u128 = 400;
/// What Redis says of the life of what is not there.
const GONE: i64 = -2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_highest_of_racing_writers_stands() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let mut writers = Vec::new();
    for epoch in 1..=4 {
        let cache = connect(server.url()).await;
        writers.push(tokio::spawn(async move {
            for revision in 1..=REVISIONS {
                cache.publish(own_shard(), facts(1, epoch, revision)).await.unwrap();
            }
        }));
    }
    let mut seen = (Epoch(0), 0);
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        if let Some(facts) = read(&cache, 1).await {
            let version = (facts.epoch, facts.revision);
            assert!(version >= seen, "{version:?} after {seen:?}");
            seen = version;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(read(&cache, 1).await, Some(facts(1, 4, REVISIONS)));
}

#[tokio::test]
async fn beats_of_all_shards_are_said_together() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let beat = Beat { epoch: Epoch(3), said_at: Timestamp::from_seconds(9) };
    let beats: Vec<(Shard, Beat)> = Shard::all().map(|shard| (shard, beat)).collect();
    // They count for five seconds: where that is too short for looking at them, they are said again.
    until("all beats at once", async || {
        cache.beat(&beats).await.unwrap();
        let read = Shard::all().step_by(97).map(|shard| cache.read(shard, &[]));
        let read = futures::future::join_all(read).await;
        read.into_iter().all(|read| read.unwrap().beat == Some(beat))
    })
    .await;
    until("a beat that ends by itself", async || {
        cache.beat(&beats).await.unwrap();
        let life = server.command(&["PTTL", "agentcal:{0}:beat"]).to_string().parse::<i64>().unwrap();
        assert!(life == GONE || (1..=5_000).contains(&life), "{life}");
        life != GONE
    })
    .await;
}

#[tokio::test]
async fn facts_end_by_themselves() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let facts = facts(1, 1, 1);
    cache.publish(own_shard(), Arc::clone(&facts)).await.unwrap();
    let key = format!("agentcal:{{{}}}:facts:{}", own_shard().number(), facts.calendar_id.as_uuid().simple());
    let life = server.command(&["TTL", &key]).to_string().parse::<i64>().unwrap();
    assert!((80_000..=86_400).contains(&life), "{life}");
}

/// Withdraws each of many calendars right after it was published, without waiting for that, and finds none of them afterwards.
async fn none_comes_back(cache: &RedisFactCache) {
    let published: Vec<_> = (1..=CALENDARS).map(|number| facts_of(account(number), number, 1, 1)).collect();
    let shard = |facts: &CalendarFacts| Shard::of(facts.account_id);
    let mut sent = Vec::new();
    for (place, facts) in published.iter().enumerate() {
        sent.push(cache.publish(shard(facts), Arc::clone(facts)));
        sent.push(cache.withdraw(shard(facts), facts.calendar_id));
        if place == published.len() / 2 {
            // One more: were connections to take turns, the one that publishes would withdraw from here on.
            sent.push(cache.withdraw(shard(facts), facts.calendar_id));
        }
    }
    // Each is sent when it is asked for the first time, and asked in this order.
    for result in futures::future::join_all(sent).await {
        result.unwrap();
    }
    for facts in published {
        let read = cache.read(shard(&facts), &[facts.calendar_id]).await.unwrap();
        assert_eq!(read.facts, [None], "withdrawn last");
    }
}

#[tokio::test]
async fn a_withdrawal_never_overtakes_what_was_published_before_it() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    none_comes_back(&cache).await;
}

#[tokio::test]
async fn nor_where_the_server_has_forgotten_the_scripts() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    server.command(&["SCRIPT", "FLUSH"]);
    none_comes_back(&cache).await;
}
