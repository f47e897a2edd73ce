use std::time::Duration;

use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::ports::FactCache;
use tokio::time::Instant;

use crate::links::Way;
use crate::town::{Town, at, standing, until};

#[tokio::test(start_paused = true)]
async fn two_nodes_share_the_shards_and_agree() {
    let town = Town::found().await;
    let one = town.join("one").await;
    assert_eq!(one.shard_count(), 4_096, "who is first owns everything at once");
    let other = town.join("other").await;
    until("the shards are shared", || other.shard_count() > 1_800).await;
    let map = one.scheduler.shard_map();
    assert!(map.shards.iter().all(|row| row.owner == Some(one.id()) || row.owner == Some(other.id())));
}

#[tokio::test(start_paused = true)]
async fn a_commit_through_another_node_is_made_by_the_owner_and_seen_at_once() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!other.sees_taken(&person, 9).await);
    let booking = other.booked(town.booking(&person, 9)).await;
    assert!(one.sees_taken(&person, 9).await && other.sees_taken(&person, 9).await);
    assert!(matches!(other.commit(town.booking(&person, 9)).await, CommitAnswer::Refused(_)));
    other.booked(town.cancellation(&person, &booking)).await;
    assert!(!one.sees_taken(&person, 9).await && !other.sees_taken(&person, 9).await);
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_of_what_is_not_yet_committed() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(50, 100));
    let mut booking = None;
    for was_taken in [false, true] {
        let request = match booking.take() {
            None => town.booking(&person, 9),
            Some(booking) => town.cancellation(&person, &booking),
        };
        let committing = tokio::spawn({
            let one = one.clone();
            async move { one.booked(request).await }
        });
        while !committing.is_finished() {
            let reads = [one.sees_taken(&person, 9).await, other.sees_taken(&person, 9).await];
            let is_committed = standing(&town, &person).contains(&at(9)) != was_taken;
            assert!(is_committed || reads == [was_taken; 2], "read before it was committed: {reads:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        booking = Some(committing.await.unwrap());
        assert_eq!([one.sees_taken(&person, 9).await, other.sees_taken(&person, 9).await], [!was_taken; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn past_an_owner_that_is_cut_off_bookings_go_on_and_it_hears_of_them() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    town.links.set(&one.scheduler, Way::Cut);
    let began = Instant::now();
    other.booked(town.booking(&person, 9)).await;
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    let committed = Instant::now();
    while !(one.sees_taken(&person, 9).await && other.sees_taken(&person, 9).await) {
        assert!(committed.elapsed() < Duration::from_secs(5), "a sold slot is still offered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(one.commit(town.booking(&person, 9)).await, CommitAnswer::Refused(_)));
    one.booked(town.booking(&person, 11)).await;
    assert_eq!(standing(&town, &person), [at(9), at(11)].into());
}

#[tokio::test(start_paused = true)]
async fn a_slot_sold_past_a_cut_off_owner_is_refused_by_it_at_once() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    town.links.set(&one.scheduler, Way::Cut);
    other.booked(town.booking(&person, 9)).await;
    assert!(matches!(one.commit(town.booking(&person, 9)).await, CommitAnswer::Refused(_)));
    assert_eq!(standing(&town, &person), [at(9)].into());
}

#[tokio::test(start_paused = true)]
async fn a_dead_owners_shards_are_taken_over_when_its_lease_has_run_out() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.store.hold();
    town.links.set(&one.scheduler, Way::Cut);
    let died = Instant::now();
    other.booked(town.booking(&person, 9)).await;
    assert!(died.elapsed() < Duration::from_secs(1), "bookings do not wait for the takeover");
    until("the shards are taken over", || other.shard_count() == 4_096).await;
    assert!(died.elapsed() < Duration::from_secs(15), "{:?}", died.elapsed());
    let began = Instant::now();
    other.booked(town.booking(&person, 10)).await;
    assert!(began.elapsed() < Duration::from_millis(100), "it is the owner now");
    assert!(other.sees_taken(&person, 9).await && other.sees_taken(&person, 10).await);
}

#[tokio::test(start_paused = true)]
async fn a_paused_owner_wakes_and_finds_itself_fenced() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 8)).await;
    one.store.hold();
    town.links.set(&one.scheduler, Way::Cut);
    let request = town.booking(&person, 9);
    let in_hand = tokio::spawn({
        let one = one.clone();
        async move { one.commit(request).await }
    });
    until("the shards are taken over", || other.shard_count() == 4_096).await;
    other.booked(town.booking(&person, 9)).await;
    one.store.resume();
    town.links.set(&one.scheduler, Way::Open);
    let answer = in_hand.await.unwrap();
    assert!(!matches!(answer, CommitAnswer::Committed(_)), "{answer:?}");
    assert!(matches!(one.commit(town.booking(&person, 9)).await, CommitAnswer::Refused(_)));
    assert!(one.sees_taken(&person, 9).await);
    until("it is given shards again", || one.shard_count() > 1_800).await;
    assert_eq!(standing(&town, &person), [at(8), at(9)].into());
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_past_the_owner_is_never_performed_by_it() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    let taken = one.booked(town.booking(&person, 9)).await;
    // It takes requests in and does nothing about them, and nobody hears from it.
    one.store.hold();
    town.links.set(&one.scheduler, Way::Mute);
    let refused = other.commit(town.booking(&person, 9)).await;
    assert!(matches!(refused, CommitAnswer::Refused(_)), "{refused:?}");
    town.links.set(&one.scheduler, Way::Cut);
    other.booked(town.cancellation(&person, &taken)).await;
    one.store.resume();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(standing(&town, &person), [].into(), "the request it had in hand was refused for good");
    town.links.set(&one.scheduler, Way::Open);
    other.booked(town.booking(&person, 9)).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_hands_over_in_a_moment_and_loses_no_request() {
    let town = Town::found().await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(1, 20));
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    let mut under_way = Vec::new();
    for hour in 8..20 {
        let (node, request) = (if hour % 2 == 0 { &one } else { &other }, town.booking(&person, hour));
        let node = node.clone();
        under_way.push(tokio::spawn(async move { node.commit(request).await }));
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    let began = Instant::now();
    let leaving = tokio::spawn({
        let one = one.clone();
        async move { one.scheduler.shutdown().await }
    });
    until("the other one owns everything", || other.shard_count() == 4_096).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for answer in under_way {
        let answer = answer.await.unwrap();
        assert!(matches!(answer, CommitAnswer::Committed(_)), "{answer:?}");
    }
    leaving.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(standing(&town, &person), (8..20).map(at).collect());
}

#[tokio::test(start_paused = true)]
async fn while_the_cache_is_away_readers_ask_the_owner_and_then_trust_it_again() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 8)).await;
    town.cache.set_down(true);
    one.booked(town.booking(&person, 9)).await;
    assert!(other.sees_taken(&person, 9).await, "the owner tells");
    // What the cache held before is still in it, and older than the booking made meanwhile.
    town.cache.set_down(false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    town.links.set(&one.scheduler, Way::Cut);
    let began = Instant::now();
    assert!(other.sees_taken(&person, 9).await, "it was published again");
    assert!(began.elapsed() < Duration::from_millis(10), "from the cache, whose beat counts again");
}

#[tokio::test(start_paused = true)]
async fn a_silent_owners_facts_come_from_the_store() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 9)).await;
    town.cache.set_down(true);
    town.links.set(&one.scheduler, Way::Cut);
    let began = Instant::now();
    assert!(other.sees_taken(&person, 9).await);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_configuration_on_another_node_reaches_the_owner() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 9)).await;
    assert!(one.sees_taken(&person, 9).await);
    let moved = town.rehome(&person).await;
    other.scheduler.config_changed(person.tenant.account_id).await;
    for node in [&one, &other] {
        assert!(!node.sees_taken(&person, 9).await && node.sees_taken(&moved, 9).await);
    }
    // One that cannot be told is told as soon as it can.
    town.links.set(&one.scheduler, Way::Cut);
    let again = town.rehome(&moved).await;
    other.scheduler.config_changed(person.tenant.account_id).await;
    town.links.set(&one.scheduler, Way::Open);
    tokio::time::sleep(Duration::from_secs(5)).await;
    for node in [&one, &other] {
        assert!(!node.sees_taken(&moved, 9).await && node.sees_taken(&again, 9).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_without_its_store_serves_no_memories() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    assert!(!one.sees_taken(&person, 9).await);
    one.store.hold();
    town.links.set(&one.scheduler, Way::Cut);
    let sold = Instant::now();
    other.booked(town.booking(&person, 9)).await;
    tokio::time::sleep(Duration::from_secs(5) - sold.elapsed()).await;
    let asked = tokio::spawn(async move { one.sees_taken(&person, 9).await });
    // The cache has what the other one published, and the store does not answer: nothing says that the hour is free.
    let answer = tokio::time::timeout(Duration::from_secs(2), asked).await;
    assert!(answer.is_err() || answer.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_remembers_less_than_the_store_looks_before_it_says_no() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    let taken = one.booked(town.booking(&person, 9)).await;
    town.links.set(&one.scheduler, Way::Cut);
    other.booked(town.cancellation(&person, &taken)).await;
    one.booked(town.booking(&person, 9)).await;
    assert_eq!(standing(&town, &person), [at(9)].into());
}

#[tokio::test(start_paused = true)]
async fn no_beat_is_said_while_facts_are_owed_to_the_cache() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 8)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let beat = || async { town.cache.read(person.shard(), &[]).await.unwrap().beat };
    assert!(beat().await.is_some(), "the shard of a calendar that is awake has a beat");
    town.cache.set_refusing(true);
    one.booked(town.booking(&person, 9)).await;
    for _ in 0..80 {
        assert_eq!(beat().await, None);
        assert!(other.sees_taken(&person, 9).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    town.cache.set_refusing(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(beat().await.is_some() && other.sees_taken(&person, 9).await);
}

#[tokio::test(start_paused = true)]
async fn while_shards_move_nobody_offers_what_was_sold() {
    let town = Town::found().await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(1, 20));
    let one = town.join("one").await;
    for person in &town.people {
        assert!(!one.sees_taken(person, 7).await);
    }
    let other = town.join("other").await;
    // Shards move by the clock, and how long bookings take is up to chance.
    for hour in (7..).take_while(|&hour| hour < 60 || other.shard_count() <= 1_800) {
        assert!(hour < 200, "shards move meanwhile");
        let (seller, reader) = if hour % 2 == 0 { (&one, &other) } else { (&other, &one) };
        for person in &town.people {
            seller.booked(town.booking(person, hour)).await;
            assert!(reader.sees_taken(person, hour).await && seller.sees_taken(person, hour).await, "hour {hour}");
        }
    }
}
