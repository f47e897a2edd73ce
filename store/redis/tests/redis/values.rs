//! Values that are not what their key says count as absent, and stand in nobody's way.

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::{Beat, CacheError, FactCache};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_redis::packed;
use agentcal_testkit::{Redis, redis};

use crate::common::{account, calendar, connect, facts, facts_of, own_shard, read, until};

const STAMP: &[u8] = b"0123456789abcdef";

fn key(calendar_id: CalendarId) -> String {
    format!("agentcal:{{{}}}:facts:{}", own_shard().number(), calendar_id.as_uuid().simple())
}

/// As a server stores it, under a stamp that is none of its own.
fn stored(facts: &CalendarFacts) -> Vec<u8> {
    [&packed::pack(facts)[..], STAMP].concat()
}

/// As a release stored it that knew no stamps.
fn of_before(facts: &CalendarFacts) -> Vec<u8> {
    let mut bytes = packed::pack(facts);
    bytes.truncate(bytes.len() - 8);
    bytes[packed::VERSION_LEN] = 1;
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn put(server: &Redis, value: &[u8]) {
    server.command_of_bytes(&[b"SET", key(calendar(1)).as_bytes(), value]);
}

#[tokio::test]
async fn what_is_damaged_is_absent_and_replaced() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let whole = stored(&facts(1, 9, 9));
    let checksum_end = whole.len() - STAMP.len();
    let damaged = |value: &[u8], place: usize| {
        let mut bytes = value.to_vec();
        bytes[place] ^= 0x40;
        bytes
    };
    let values = [
        Vec::new(),
        b"x".to_vec(),
        vec![0xff; 24],
        vec![0xff; packed::VERSION_LEN],
        whole[..whole.len() - 1].to_vec(),
        whole[..checksum_end].to_vec(),
        [&whole[..], b"x"].concat(),
        damaged(&whole, 0),
        damaged(&whole, packed::VERSION_LEN + 3),
        damaged(&whole, checksum_end - 1),
        // What a program of before left there.
        damaged(&of_before(&facts(1, 9, 9)), 0),
        // Whole, and another calendar's; and of an account whose shard this is not.
        stored(&facts(2, 9, 9)),
        stored(&facts_of(account(2), 1, 9, 9)),
    ];
    for value in values {
        put(&server, &value);
        assert_eq!(read(&cache, 1).await, None, "{value:x?}");
        cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
        assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)), "{value:x?}");
    }
}

#[tokio::test]
async fn a_later_releases_value_is_absent_and_kept() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let mut later = stored(&facts(1, 2, 2));
    later[packed::VERSION_LEN] = 3;
    put(&server, &later);
    cache.publish(own_shard(), facts(1, 2, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, None, "what stands is newer");
    cache.publish(own_shard(), facts(1, 2, 3)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 2, 3)));
}

#[tokio::test]
async fn an_earlier_releases_value_is_absent_and_replaced_by_its_version() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let earlier = of_before(&facts(1, 2, 2));
    put(&server, &earlier);
    assert_eq!(read(&cache, 1).await, None);
    cache.publish(own_shard(), facts(1, 2, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, None, "what stands is newer");
    cache.publish(own_shard(), facts(1, 2, 2)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 2, 2)));
    put(&server, &earlier);
    cache.publish(own_shard(), facts(1, 2, 3)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 2, 3)));
}

#[tokio::test]
async fn an_earlier_releases_beat_is_absent_and_replaced_by_its_version() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let beat = |epoch: u64| Beat { epoch: Epoch(epoch), said_at: Timestamp::from_seconds(1) };
    let said_at = (beat(2).said_at.as_micros() as u64) ^ (1 << 63);
    let shard = own_shard().number().to_be_bytes();
    let earlier = [&2_u64.to_be_bytes()[..], &said_at.to_be_bytes(), &[1], &shard].concat();
    let name = format!("agentcal:{{{}}}:beat", own_shard().number());
    server.command_of_bytes(&[b"SET", name.as_bytes(), &earlier, b"EX", b"1000"]);
    assert_eq!(cache.read(own_shard(), &[]).await.unwrap().beat, None);
    cache.beat(&[(own_shard(), beat(1))]).await.unwrap();
    let life = server.command(&["TTL", &name]).to_string().parse::<i64>().unwrap();
    assert!(life > 5, "it was replaced by a beat of an older owner");
    until("another beat", async || {
        cache.beat(&[(own_shard(), beat(2))]).await.unwrap();
        cache.read(own_shard(), &[]).await.unwrap().beat == Some(beat(2))
    })
    .await;
}

#[tokio::test]
async fn facts_are_believed_beside_a_beat_of_their_stamp_alone() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    put(&server, &stored(&facts(1, 1, 1)));
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)), "nobody speaks for anything");
    let beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };
    until("a beat", async || {
        cache.beat(&[(own_shard(), beat)]).await.unwrap();
        let read = cache.read(own_shard(), &[calendar(1)]).await.unwrap();
        assert!(read.beat.is_none() || read.facts == [None], "{read:?}");
        read.beat == Some(beat)
    })
    .await;
    // As it was published, so that only the stamp is another one.
    cache.publish(own_shard(), facts(1, 1, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 1, 1)));
}

/// As a managed service may do.
#[tokio::test]
async fn a_server_that_does_not_tell_its_replication_id_takes_nothing() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    server.command(&["ACL", "SETUSER", "default", "-info"]);
    let refusals = [
        cache.publish(own_shard(), facts(1, 1, 1)).await,
        cache.beat(&[(own_shard(), Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) })]).await,
    ];
    for refused in refusals {
        assert!(matches!(refused, Err(CacheError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(server.command(&["DBSIZE"]).to_string().trim(), "0");
}

#[tokio::test]
async fn keys_of_another_kind_are_taken_over() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let shard = own_shard();
    for name in [key(calendar(1)), format!("agentcal:{{{}}}:beat", shard.number())] {
        server.command(&["RPUSH", &name, "x"]);
    }
    server.command(&["SET", &format!("agentcal:{{{}}}:dirty", shard.number()), "x"]);
    assert_eq!(cache.read(shard, &[calendar(1)]).await.unwrap().facts, [None]);
    let beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };
    cache.publish(shard, facts(1, 1, 1)).await.unwrap();
    cache.beat(&[(shard, beat)]).await.unwrap();
    assert_eq!(cache.take_dirty(shard).await.unwrap(), []);
    cache.mark_dirty(shard, calendar(1)).await.unwrap();
    assert_eq!(cache.take_dirty(shard).await.unwrap(), [calendar(1)]);
    let read = cache.read(shard, &[calendar(1)]).await.unwrap();
    assert_eq!((read.beat, read.facts), (Some(beat), vec![Some(facts(1, 1, 1))]));
}

#[tokio::test]
async fn a_beat_that_is_none_counts_for_nothing() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let name = format!("agentcal:{{{}}}:beat", own_shard().number());
    let beat = Beat { epoch: Epoch(1), said_at: Timestamp::from_seconds(1) };
    // The others are of a beat's length and the highest of epochs, and never end.
    for value in [&b"x"[..], &[0xff; 19], &[0xff; 35]] {
        server.command_of_bytes(&[b"SET", name.as_bytes(), value]);
        assert_eq!(cache.read(own_shard(), &[]).await.unwrap().beat, None);
        cache.beat(&[(own_shard(), beat)]).await.unwrap();
        assert_eq!(cache.read(own_shard(), &[]).await.unwrap().beat, Some(beat));
    }
}
