//! What was sold without an owner, just when somebody else became it.

use std::time::Duration;

use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::ports::{BEAT_TTL, Beat, FactCache};
use tokio::time::Instant;

use crate::links::Way;
use crate::town::{Node, Person, Town, at, standing, until};

/// Somebody who is this node's, which that one does not know yet.
fn just_inherited(town: &Town, heir: &Node, stranger: &Node) -> Option<Person> {
    let knows = |person: &Person| stranger.scheduler.shard_map().shards[person.index()].owner == Some(heir.id());
    let is_news = |person: &&Person| heir.owns(person) && !knows(person);
    town.people.iter().find(is_news).copied()
}

/// Has the heir answer for somebody it just inherited, and has that person's time sold by a node that knows of no heir.
async fn sell_past_the_heir(town: &Town, heir: &Node, stranger: &Node) {
    until("a shard has an owner that another node does not know", || just_inherited(town, heir, stranger).is_some())
        .await;
    let person = just_inherited(town, heir, stranger).unwrap();
    assert!(!heir.sees_taken(&person, 9).await, "it reads what there is, and keeps it");
    assert!(just_inherited(town, heir, stranger).is_some(), "nobody told the other one meanwhile");
    stranger.booked(town.booking(&person, 9)).await;
    assert!(heir.sees_taken(&person, 9).await && stranger.sees_taken(&person, 9).await);
    assert_eq!(standing(town, &person), [at(9)].into());
}

#[tokio::test(start_paused = true)]
async fn the_heir_of_a_dead_owner_hears_at_once_of_what_was_sold_past_it() {
    let town = Town::found().await;
    let (gone, stranger) = town.two_nodes().await;
    let heir = town.join("heir").await;
    until("the third one has its share", || heir.shard_count() > 1_200).await;
    gone.store.hold();
    town.links.set(&gone.scheduler, Way::Cut);
    sell_past_the_heir(&town, &heir, &stranger).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_was_handed_a_shard_hears_at_once_of_what_was_sold_past_the_giver() {
    let town = Town::found().await;
    // Who joined first looks first, and so sees what the second one gave only when it looks again.
    let (stranger, giver) = town.two_nodes().await;
    // It gives to the newcomer what it should, and nobody can ask it about it.
    town.links.set(&giver.scheduler, Way::Cut);
    let heir = town.join("heir").await;
    sell_past_the_heir(&town, &heir, &stranger).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_former_owner_says_late_replaces_nothing_of_its_heir() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    // It cannot wait for the cache so long; what it sent is on its way all the same.
    town.cache.set_lag(Duration::from_secs(4));
    let booking = one.booked(town.booking(&person, 9)).await;
    town.cache.set_lag(Duration::ZERO);
    let reader = town.join("reader").await;
    one.scheduler.shutdown().await;
    let heir = if other.owns(&person) { &other } else { &reader };
    let stranger = if other.owns(&person) { &reader } else { &other };
    heir.booked(town.cancellation(&person, &booking)).await;
    heir.booked(town.booking(&person, 11)).await;
    let published = town.cache.read(person.shard(), &[person.calendar_id]).await.unwrap().facts;
    assert!(published[0].is_some());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let after = town.cache.read(person.shard(), &[person.calendar_id]).await.unwrap();
    assert_eq!(after.facts, published, "the higher epoch stays");
    town.links.set(&heir.scheduler, Way::Cut);
    let began = Instant::now();
    assert!(!stranger.sees_taken(&person, 9).await && stranger.sees_taken(&person, 11).await);
    assert!(began.elapsed() < Duration::from_millis(10), "from the cache");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_lost_everything_is_not_filled_with_what_a_former_owner_knew() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    let known = one.facts(&person).await;
    one.scheduler.shutdown().await;
    until("the other one has it", || other.owns(&person)).await;
    let reader = town.join("reader").await;
    other.booked(town.booking(&person, 9)).await;
    // Nothing in the cache says any more that there was a higher epoch.
    town.cache.lose(person.shard(), person.calendar_id).await;
    let said_at = other.scheduler.store_now().await;
    town.cache.publish(person.shard(), known.clone()).await.unwrap();
    town.cache.beat(&[(person.shard(), Beat { epoch: known.epoch, said_at })]).await.unwrap();
    assert!(reader.sees_taken(&person, 9).await && other.sees_taken(&person, 9).await);
}

#[tokio::test(start_paused = true)]
async fn no_word_of_an_owner_counts_for_longer_than_it_was_given_for() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!other.sees_taken(&person, 9).await);
    // The owner dies, and whoever sells its time cannot write the cache.
    one.store.hold();
    town.links.set(&one.scheduler, Way::Cut);
    town.cache.set_refusing(true);
    let sold = Instant::now();
    other.booked(town.booking(&person, 9)).await;
    tokio::time::sleep(BEAT_TTL.saturating_sub(sold.elapsed())).await;
    assert!(other.sees_taken(&person, 9).await, "what was published is still there, and its beat is over");
}

#[tokio::test(start_paused = true)]
async fn what_was_sold_past_an_owner_is_offered_nowhere_five_seconds_later() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let reader = town.join("reader").await;
    until("the third one has its share", || reader.shard_count() > 1_200).await;
    let person = town.person_of(&one);
    for node in [&one, &other, &reader] {
        assert!(!node.sees_taken(&person, 9).await);
    }
    // It lives, answers and has its store, and neither other nodes nor the cache can tell it or be told.
    town.links.set(&one.scheduler, Way::Cut);
    town.cache.set_refusing(true);
    other.booked(town.booking(&person, 9)).await;
    tokio::time::sleep(BEAT_TTL).await;
    for node in [&one, &other, &reader] {
        assert!(node.sees_taken(&person, 9).await);
    }
    assert!(matches!(one.commit(town.booking(&person, 9)).await, CommitAnswer::Refused(_)));
}
