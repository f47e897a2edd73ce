//! Shards on their way from one node to another.

use std::time::Duration;

use agentcal_engine::ports::FactCache;
use tokio::time::{Instant, sleep, timeout};

use crate::town::{Node, Person, Town, at, has_beat, reads_free_in_cache, standing, until};

/// Somebody whose shard the store gives to another node than the one that gave it away, and has not yet heard so, knows.
fn just_given(town: &Town, giver: &Node) -> Option<Person> {
    let (rows, _) = town.disk.view().ownership();
    let is_given = |person: &&Person| giver.owns(person) && rows[person.index()].owner != Some(giver.id());
    town.people.iter().find(is_given).copied()
}

/// Its receiver may hear of it first, and sell.
#[tokio::test(start_paused = true)]
async fn a_giver_answers_nothing_from_memory_before_it_knows_what_went() {
    let town = Town::found().await;
    let giver = town.join("giver").await;
    for person in &town.people {
        assert!(!giver.sees_taken(person, 9).await);
    }
    sleep(Duration::from_secs(3)).await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
    let heir = town.join("heir").await;
    let began = Instant::now();
    while just_given(&town, &giver).is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is handed over");
        sleep(Duration::from_millis(1)).await;
    }
    let person = just_given(&town, &giver).unwrap();
    // What the store answered is on its way to the giver, for however long.
    giver.store.hold();
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
    let given = Instant::now();
    until("the receiver has looked", || heir.owns(&person)).await;
    heir.booked(town.booking(&person, 9)).await;
    assert!(given.elapsed() < Duration::from_secs(4), "the giver's lease and knowledge still last");
    // Nothing comes from the store, so it either says what the cache says or nothing.
    let answer = timeout(Duration::from_millis(500), giver.sees_taken(&person, 9)).await;
    assert!(!matches!(answer, Ok(false)), "it offers what its heir sold");
    let read = town.cache.read(person.shard(), &[person.calendar_id]).await.unwrap();
    assert!(read.facts[0].is_some(), "the heir has published");
    giver.store.resume();
    until("the giver knows", || !giver.owns(&person)).await;
    assert!(giver.sees_taken(&person, 9).await);
    assert_eq!(standing(&town, &person), [at(9)].into());
}

/// Who leaves owns nothing from the first moment on, and answers as before until it ends.
#[tokio::test(start_paused = true)]
async fn who_leaves_goes_on_answering_for_shards_it_gave_away() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 8)).await;
    let began = Instant::now();
    one.scheduler.hand_over().await;
    assert!(began.elapsed() < Duration::from_secs(1), "handed over in {:?}", began.elapsed());
    until("the other one has everything", || other.shard_count() == 4_096).await;
    for hour in 9..15 {
        one.booked(town.booking(&person, hour)).await;
        assert!(one.sees_taken(&person, hour).await && other.sees_taken(&person, hour).await);
        assert_eq!(one.shard_count(), 0, "nothing is given back to it");
        sleep(Duration::from_secs(1)).await;
    }
    one.scheduler.shutdown().await;
    assert!(other.sees_taken(&person, 8).await && other.sees_taken(&person, 14).await);
    other.booked(town.booking(&person, 15)).await;
}

/// The giver of a shard hears that its commit was made just before it hears that it may hand over, so that it may not publish
/// any more. Its word for what was before still stands, and cannot be taken back in a cache that it does not reach.
#[tokio::test(start_paused = true)]
async fn what_is_made_as_its_shard_goes_is_shown() {
    for reaches_cache in [true, false] {
        make_as_shard_goes(reaches_cache).await;
    }
}

async fn make_as_shard_goes(reaches_cache: bool) {
    let town = Town::found().await;
    let (giver, _heir) = town.two_nodes().await;
    let reader = town.third("reader").await;
    let person = town.person_of(&giver);
    reads_free_in_cache(&town, &giver, &reader, &person).await;
    let made = tokio::spawn({
        let (giver, request) = (giver.clone(), town.booking(&person, 9));
        async move { giver.booked(request).await }
    });
    until("it is made", || !standing(&town, &person).is_empty()).await;
    giver.store.hold();
    // Nor does the reader hear whose the shard is now.
    reader.store.hold();
    sleep(Duration::from_millis(100)).await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
    let handed_over = tokio::spawn({
        let giver = giver.clone();
        async move { giver.scheduler.hand_over().await }
    });
    sleep(Duration::from_millis(1)).await;
    assert!(!made.is_finished() && giver.owns(&person));
    town.cache.set_read_only(!reaches_cache);
    giver.store.resume();
    made.await.unwrap();
    assert!(!giver.owns(&person) && has_beat(&town, &person).await, "it is handed over, and the giver's word stands");
    // Nothing comes from the store, so it either says what the cache says or nothing.
    let answer = timeout(Duration::from_millis(500), reader.sees_taken(&person, 9)).await;
    assert!(!matches!(answer, Ok(false)), "it offers what was sold; cache reached: {reaches_cache}");
    reader.store.resume();
    assert!(reader.sees_taken(&person, 9).await);
    handed_over.await.unwrap();
}
