//! Bells that ring at a node which does not own the calendar.

use std::time::Duration;

use agentcal_engine::ports::FactCache;

use crate::links::Way;
use crate::town::{Person, Town, until};

#[tokio::test(start_paused = true)]
async fn a_bell_rings_at_the_owner_or_leaves_a_mark() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert_eq!((one.scheduler.awake_calendars(), other.scheduler.awake_calendars()), (0, 0));
    other.scheduler.bell(person.tenant.account_id, person.calendar_id);
    until("the owner's calendar is awake", || one.scheduler.awake_calendars() == 1).await;
    assert_eq!(other.scheduler.awake_calendars(), 0, "only owners wake calendars");
    town.links.set(&one.scheduler, Way::Cut);
    other.scheduler.bell(person.tenant.account_id, person.calendar_id);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(town.cache.take_dirty(person.shard()).await.unwrap(), [person.calendar_id]);
}

/// A calendar that is watched may not be looked at for hours otherwise.
#[tokio::test(start_paused = true)]
async fn a_bell_that_nobody_heard_rings_until_the_owner_does() {
    for cut_for in [Duration::from_millis(100), Duration::from_secs(3), Duration::from_secs(20)] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let person = town.person_of(&one);
        town.links.set(&one.scheduler, Way::Cut);
        other.scheduler.bell(person.tenant.account_id, person.calendar_id);
        tokio::time::sleep(cut_for).await;
        assert_eq!(one.scheduler.awake_calendars(), 0);
        town.links.set(&one.scheduler, Way::Open);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(one.scheduler.awake_calendars(), 1, "cut off for {cut_for:?}");
    }
}

/// Whoever rings does not know of the new owner yet, and the one it knows is none any more.
#[tokio::test(start_paused = true)]
async fn a_bell_finds_the_new_owner() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    other.store.hold();
    let third = town.join("third").await;
    let is_moved = |person: &&Person| third.owns(person) && other.believes_owned_by(person, &one);
    until("a shard has moved", || town.people.iter().any(|person| is_moved(&person))).await;
    let person = *town.people.iter().find(is_moved).unwrap();
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
    other.store.resume();
    other.scheduler.bell(person.tenant.account_id, person.calendar_id);
    assert!(other.believes_owned_by(&person, &one), "it does not know yet");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(third.scheduler.awake_calendars(), 1);
}
