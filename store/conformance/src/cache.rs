//! The fact cache.

use std::sync::Arc;

use agentcal_engine::facts::{CalendarFacts, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{Beat, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::{TimeRange, Timestamp};
use uuid::Uuid;

fn facts(calendar: u128, epoch: u64, revision: u64, as_of_seconds: i64) -> Arc<CalendarFacts> {
    let (start, end) = (Timestamp::from_seconds(0), Timestamp::from_seconds(3_600));
    let window = TimeRange::new(start, end).expect("not empty");
    Arc::new(CalendarFacts {
        calendar_id: CalendarId::from_uuid(Uuid::from_u128(calendar)),
        account_id: AccountId::from_uuid(Uuid::from_u128(1)),
        epoch: Epoch(epoch),
        revision,
        knowledge: Knowledge::Synced { as_of: Timestamp::from_seconds(as_of_seconds), window, watched_until: None },
        external: vec![window],
        displaced: Vec::new(),
        claims: Vec::new(),
    })
}

/// Of the account that all facts here belong to.
fn own_shard() -> Shard {
    Shard::of(AccountId::from_uuid(Uuid::from_u128(1)))
}

async fn publish(cache: &impl FactCache, facts: &Arc<CalendarFacts>) {
    cache.publish(Shard::of(facts.account_id), Arc::clone(facts)).await.expect("published");
}

async fn read(cache: &impl FactCache, calendars: &[u128]) -> Vec<Option<Arc<CalendarFacts>>> {
    let ids: Vec<_> = calendars.iter().map(|&id| CalendarId::from_uuid(Uuid::from_u128(id))).collect();
    cache.read(own_shard(), &ids).await.expect("readable").facts
}

/// What is published is read, whole.
pub async fn what_is_published_is_read(cache: impl FactCache) {
    assert_eq!(read(&cache, &[1]).await, [None]);
    let published = facts(1, 1, 1, 0);
    publish(&cache, &published).await;
    assert_eq!(read(&cache, &[1]).await, [Some(published)]);
}

/// Facts come in the order asked, with holes where the cache has none.
pub async fn answers_keep_the_order_asked(cache: impl FactCache) {
    let [one, three] = [facts(1, 1, 1, 0), facts(3, 1, 1, 0)];
    publish(&cache, &one).await;
    publish(&cache, &three).await;
    let expected = [Some(Arc::clone(&three)), None, Some(one), Some(three)];
    assert_eq!(read(&cache, &[3, 2, 1, 3]).await, expected);
}

/// A lower `(epoch, revision, as_of)` never replaces a higher one: a late writer changes nothing.
pub async fn a_lower_version_never_replaces(cache: impl FactCache) {
    let present = facts(1, 5, 5, 50);
    publish(&cache, &present).await;
    for (epoch, revision, as_of) in [(4, 9, 90), (5, 4, 90), (5, 5, 49)] {
        publish(&cache, &facts(1, epoch, revision, as_of)).await;
        assert_eq!(read(&cache, &[1]).await, [Some(Arc::clone(&present))], "{epoch} {revision} {as_of}");
    }
    for (epoch, revision, as_of) in [(5, 5, 51), (5, 6, 10), (6, 1, 1)] {
        let newer = facts(1, epoch, revision, as_of);
        publish(&cache, &newer).await;
        assert_eq!(read(&cache, &[1]).await, [Some(newer)], "{epoch} {revision} {as_of}");
    }
}

/// A withdrawn calendar is gone, and only that one; it may come back.
pub async fn a_withdrawn_calendar_is_gone(cache: impl FactCache) {
    let [one, two] = [facts(1, 1, 1, 0), facts(2, 1, 1, 0)];
    publish(&cache, &one).await;
    publish(&cache, &two).await;
    cache.withdraw(Shard::of(one.account_id), one.calendar_id).await.expect("withdrawn");
    assert_eq!(read(&cache, &[1, 2]).await, [None, Some(two)]);
    publish(&cache, &one).await;
    assert_eq!(read(&cache, &[1]).await, [Some(one)]);
}

/// A value says itself whose it is: one that stands under a shard which is not its account's is not served.
pub async fn facts_are_found_only_in_their_shard(cache: impl FactCache) {
    let published = facts(1, 1, 1, 0);
    let own = Shard::of(published.account_id);
    let other = (2..).map(|n| Shard::of(AccountId::from_uuid(Uuid::from_u128(n)))).find(|shard| *shard != own);
    let other = other.expect("there is more than one shard");
    cache.publish(other, Arc::clone(&published)).await.expect("taken or not");
    assert_eq!(cache.read(other, &[published.calendar_id]).await.expect("readable").facts, [None]);
    assert_eq!(read(&cache, &[1]).await, [None]);
}

async fn read_beat(cache: &impl FactCache) -> Option<Beat> {
    cache.read(own_shard(), &[]).await.expect("readable").beat
}

fn beat(epoch: u64, said_at_seconds: i64) -> Beat {
    Beat { epoch: Epoch(epoch), said_at: Timestamp::from_seconds(said_at_seconds) }
}

/// A beat comes with the facts of its shard; a late one of a superseded owner changes nothing, and does not end a newer.
pub async fn a_beat_speaks_for_its_ownership(cache: impl FactCache) {
    assert_eq!(read_beat(&cache).await, None);
    cache.beat(&[(own_shard(), beat(2, 10))]).await.expect("said");
    assert_eq!(read_beat(&cache).await, Some(beat(2, 10)));
    cache.beat(&[(own_shard(), beat(2, 11))]).await.expect("said");
    assert_eq!(read_beat(&cache).await, Some(beat(2, 11)));
    cache.beat(&[(own_shard(), beat(1, 99))]).await.expect("said");
    assert_eq!(read_beat(&cache).await, Some(beat(2, 11)), "of an older owner");
    cache.end_beat(own_shard(), Epoch(1)).await.expect("ended");
    assert_eq!(read_beat(&cache).await, Some(beat(2, 11)), "not its own");
    cache.end_beat(own_shard(), Epoch(2)).await.expect("ended");
    assert_eq!(read_beat(&cache).await, None);
}

/// A mark is handed out once, to whoever owns the shard.
pub async fn a_mark_is_taken_once(cache: impl FactCache) {
    let [one, two] = [1, 2].map(|n| CalendarId::from_uuid(Uuid::from_u128(n)));
    for calendar_id in [two, one, two] {
        cache.mark_dirty(own_shard(), calendar_id).await.expect("marked");
    }
    let mut taken = cache.take_dirty(own_shard()).await.expect("taken");
    taken.sort();
    assert_eq!(taken, [one, two]);
    assert_eq!(cache.take_dirty(own_shard()).await.expect("taken"), []);
}
