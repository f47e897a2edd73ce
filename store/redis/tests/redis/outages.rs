//! Redis away, paused, restarted, emptied: bounded errors, then recovery without another client.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::FactCache;
use agentcal_engine::shard::Shard;
use agentcal_store_redis::{RedisConfig, RedisFactCache};
use agentcal_testkit::{Redis, redis};
use futures::FutureExt;
use futures::future::{join_all, poll_immediate};
use tokio::time::Instant;

use crate::common::{account, calendar, connect, connect_as_usual, facts, facts_of, own_shard, read, until};

/// One time-out and the machine's own delays: far less than for ever.
const ONE_ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// What a thousand refusals may take together: far less than the hundred seconds of a thousand time-outs.
const REFUSALS_WITHIN: Duration = Duration::from_secs(40);
/// Connections of a cache: two to read, two to write.
const CONNECTIONS: usize = 4;
/// Writes for so many accounts that each connection has some.
const WRITES: u128 = 16;
const CALENDARS: [CalendarId; 1] = [calendar(1)];

async fn is_served(cache: &RedisFactCache) -> bool {
    cache.read(own_shard(), &[calendar(1)]).await.is_ok()
}

async fn comes_back(cache: &RedisFactCache) {
    until("recovery", async || cache.publish(own_shard(), facts(1, 1, 2)).await.is_ok()).await;
    until("reading", async || is_served(cache).await && read(cache, 1).await.is_some()).await;
}

/// Whatever is asked is refused, each within a bound, and most without waiting.
async fn is_refused_quickly(cache: &RedisFactCache) {
    let began = Instant::now();
    until("a refusal", async || {
        let asked = Instant::now();
        let refused = !is_served(cache).await;
        assert!(asked.elapsed() < ONE_ANSWER_WITHIN, "{:?}", asked.elapsed());
        refused
    })
    .await;
    assert!(began.elapsed() < ONE_ANSWER_WITHIN * 2);
    for _ in 0..3 {
        let _ = cache.publish(own_shard(), facts(1, 1, 1)).await;
        let _ = cache.read(own_shard(), &[calendar(1)]).await;
    }
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(!is_served(cache).await);
    }
    assert!(began.elapsed() < REFUSALS_WITHIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_flush_loses_facts_and_nothing_else() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    server.flush();
    assert_eq!(read(&cache, 1).await, None);
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)));
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    for revision in 1..4 {
        cache.publish(own_shard(), facts(1, 1, revision)).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 3)));
}

#[tokio::test]
async fn a_restart_is_survived() {
    let Some(mut server) = redis() else { return };
    let cache = connect_as_usual(server.url()).await;
    until("a server that answers in time", async || cache.publish(own_shard(), facts(1, 1, 1)).await.is_ok()).await;
    server.stop();
    is_refused_quickly(&cache).await;
    server.start_again();
    comes_back(&cache).await;
}

#[tokio::test]
async fn a_pause_is_survived() {
    let Some(server) = redis() else { return };
    let cache = connect_as_usual(server.url()).await;
    until("a server that answers in time", async || cache.publish(own_shard(), facts(1, 1, 1)).await.is_ok()).await;
    server.suspend();
    is_refused_quickly_while_paused(&cache).await;
    server.resume();
    comes_back(&cache).await;
}

/// While connections stand nobody knows that the server is gone but by asking: one question at a time pays for that.
async fn is_refused_quickly_while_paused(cache: &RedisFactCache) {
    let (began, time_out) = (Instant::now(), RedisConfig::at("").command_timeout);
    let mut waited = 0;
    for _ in 0..1_000 {
        let asked = Instant::now();
        assert!(!is_served(cache).await);
        assert!(asked.elapsed() < ONE_ANSWER_WITHIN, "{:?}", asked.elapsed());
        waited += u32::from(asked.elapsed() >= time_out);
    }
    // One for each pause of those who ask, and the first few: a slow machine makes that more, and not nearly all.
    assert!(waited <= 300, "{waited} questions waited");
    assert!(began.elapsed() < REFUSALS_WITHIN, "{:?}", began.elapsed());
}

/// What a connection still owes when its commands were given up must not be read by those that come later.
#[tokio::test]
async fn every_connection_that_was_silent_is_made_anew() {
    let Some(server) = redis() else { return };
    let cache = connect_as_usual(server.url()).await;
    let mut silent = BTreeSet::new();
    until("a pause that all connections wait in", async || {
        // So that its script is there.
        let is_served = cache.publish(own_shard(), facts(1, 1, 1)).await.is_ok();
        silent = connections(&server);
        is_served && silent.len() == CONNECTIONS && all_wait_in_a_pause(&server, &cache).await
    })
    .await;
    until("other connections", async || {
        let present = connections(&server);
        present.len() == CONNECTIONS && present.is_disjoint(&silent)
    })
    .await;
    comes_back(&cache).await;
}

/// Pauses the server while each connection owes an answer. False where one was away, on a machine on which that happens.
async fn all_wait_in_a_pause(server: &Redis, cache: &RedisFactCache) -> bool {
    let read = || cache.read(own_shard(), &CALENDARS).map(|answer| answer.is_ok()).boxed_local();
    let write = |number| {
        let facts = facts_of(account(number), number, 1, 1);
        cache.publish(Shard::of(facts.account_id), facts).map(|answer| answer.is_ok()).boxed_local()
    };
    // Questions take turns with the two connections for them; writes go by shards, and these are for both.
    let mut questions: Vec<_> = [read(), read()].into_iter().chain((1..=WRITES).map(write)).collect();
    server.suspend();
    let mut waiting = 0;
    for question in &mut questions {
        waiting += usize::from(poll_immediate(question).await.is_none());
    }
    let mut answers = Vec::new();
    let all_wait = waiting == questions.len();
    if all_wait {
        answers = join_all(questions).await;
    }
    server.resume();
    assert!(!answers.contains(&true), "nobody answers in a pause");
    all_wait
}

/// The server's numbers for the cache's connections; those of tests speak an older protocol.
fn connections(server: &Redis) -> BTreeSet<String> {
    let list = server.command(&["CLIENT", "LIST"]).to_string();
    let own = list.lines().filter(|line| line.split_whitespace().any(|field| field == "resp=3"));
    own.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_found_later() {
    let Some(mut server) = redis() else { return };
    server.stop();
    let cache = RedisFactCache::connect(&RedisConfig::at(server.url())).unwrap();
    assert!(!is_served(&cache).await);
    server.start_again();
    comes_back(&cache).await;
}

#[tokio::test]
async fn a_wrong_password_is_said() {
    let Some(server) = agentcal_testkit::redis_with(&["--maxmemory-policy", "allkeys-lru"]) else { return };
    let health = connect(server.url()).await.health().await.unwrap();
    assert!(health.remarks.iter().any(|remark| remark.contains("allkeys-lru")), "{health:?}");
    server.command(&["CONFIG", "SET", "requirepass", "secret"]);
    let url = server.url().replace("redis://", "redis://:wrong@");
    let cache = RedisFactCache::connect(&RedisConfig::at(url)).unwrap();
    until("WRONGPASS as the reason", async || {
        cache.ready(Duration::from_secs(2)).await.unwrap_err().to_string().contains("WRONGPASS")
    })
    .await;
    connect(server.url().replace("redis://", "redis://:secret@")).await;
}
