//! Writers beside one another: the highest version stands, and readers never see one go back.

use std::sync::Arc;

use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_testkit::redis;

use crate::common::{connect, facts, own_shard, read, until};

const REVISIONS: u64 = 200;
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
