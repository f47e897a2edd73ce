//! Values that are not what their key says count as absent, and stand in nobody's way.

use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_redis::packed;
use agentcal_testkit::{Redis, redis};

use crate::common::{account, calendar, connect, facts, facts_of, own_shard, read};

fn key(calendar_id: CalendarId) -> String {
    format!("agentcal:{{{}}}:facts:{}", own_shard().number(), calendar_id.as_uuid().simple())
}

fn put(server: &Redis, value: &[u8]) {
    server.command_of_bytes(&[b"SET", key(calendar(1)).as_bytes(), value]);
}

#[tokio::test]
async fn what_is_damaged_is_absent_and_replaced() {
    let Some(server) = redis() else { return };
    let cache = connect(server.url()).await;
    let whole = packed::pack(&facts(1, 9, 9));
    let damaged = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x40;
        bytes
    };
    let values = [
        Vec::new(),
        b"x".to_vec(),
        vec![0xff; 24],
        vec![0xff; packed::VERSION_LEN],
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], b"x"].concat(),
        damaged(0),
        damaged(packed::VERSION_LEN + 3),
        damaged(whole.len() - 1),
        // Whole, and another calendar's; and of an account whose shard this is not.
        packed::pack(&facts(2, 9, 9)),
        packed::pack(&facts_of(account(2), 1, 9, 9)),
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
    let mut later = packed::pack(&facts(1, 2, 2));
    later[packed::VERSION_LEN] = 2;
    put(&server, &later);
    cache.publish(own_shard(), facts(1, 2, 1)).await.unwrap();
    assert_eq!(read(&cache, 1).await, None, "what stands is newer");
    cache.publish(own_shard(), facts(1, 2, 3)).await.unwrap();
    assert_eq!(read(&cache, 1).await, Some(facts(1, 2, 3)));
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
    // The second is a beat's length and the highest of epochs, and never ends.
    for value in [&b"x"[..], &[0xff; 19]] {
        server.command_of_bytes(&[b"SET", name.as_bytes(), value]);
        assert_eq!(cache.read(own_shard(), &[]).await.unwrap().beat, None);
        cache.beat(&[(own_shard(), beat)]).await.unwrap();
        assert_eq!(cache.read(own_shard(), &[]).await.unwrap().beat, Some(beat));
    }
}
