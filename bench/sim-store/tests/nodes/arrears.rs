//! What an owner sold and could not tell the cache of, and what the cache forgot that it was told.

use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, Made};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::ports::FactCache;
use tokio::time::{Instant, sleep};

use crate::links::Way;
use crate::town::{Node, Person, Town, at, has_beat, reads_free_in_cache, standing, until};

/// Longest time until a cache that takes facts again has all that is owed, and the owner's word for it.
const PAID_WITHIN: Duration = Duration::from_millis(300);

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_paid_as_soon_as_the_cache_takes_it() {
    for gone_for in [Duration::from_millis(10), Duration::from_secs(1), Duration::from_secs(30)] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let people: Vec<&Person> = town.people.iter().filter(|person| one.owns(person)).collect();
        assert!(people.len() > 2, "there is more than one shard to pay for");
        for person in &people {
            one.booked(town.booking(person, 8)).await;
        }
        sleep(Duration::from_secs(3)).await;
        town.cache.set_refusing(true);
        for person in &people {
            one.booked(town.booking(person, 9)).await;
        }
        sleep(gone_for).await;
        // One for each booking, and then one at a time for all of them together.
        let tries_max = people.len() + 2 + usize::try_from(gone_for.as_millis() / 200).unwrap();
        assert!(town.cache.refused() as usize <= tries_max, "{} tries in {gone_for:?}", town.cache.refused());
        town.cache.set_refusing(false);
        let began = Instant::now();
        for person in &people {
            while !has_beat(&town, person).await {
                assert!(began.elapsed() < PAID_WITHIN, "still owed after {gone_for:?}");
                sleep(Duration::from_millis(5)).await;
            }
        }
        town.links.set(&one.scheduler, Way::Cut);
        let began = Instant::now();
        for person in &people {
            assert!(other.sees_taken(person, 9).await);
        }
        assert!(began.elapsed() < Duration::from_millis(10), "from the cache, whose beats count again");
    }
}

/// What is asked for stands in a cache again that lost it, without anybody's asking the store or a provider.
#[tokio::test(start_paused = true)]
async fn what_a_cache_lost_is_published_again_when_it_is_missed() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 9)).await;
    let kept = || async { town.cache.read(person.shard(), &[person.calendar_id]).await.unwrap() };
    assert!(kept().await.facts[0].is_some());
    town.cache.lose(person.shard(), person.calendar_id).await;
    sleep(Duration::from_secs(30)).await;
    assert!(kept().await.facts[0].is_none(), "nobody asked for it");
    assert!(other.sees_taken(&person, 9).await);
    sleep(Duration::from_secs(3)).await;
    assert!(kept().await.beat.is_some() && kept().await.facts[0].is_some());
}

/// The cache still has what was before, and the owner's word for it, which it could not take back there.
#[tokio::test(start_paused = true)]
async fn whose_word_stands_in_a_cache_it_cannot_write_tells_everybody() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    one.booked(town.booking(&person, 8)).await;
    sleep(Duration::from_secs(3)).await;
    town.cache.set_read_only(true);
    for hour in 9..12 {
        one.booked(town.booking(&person, hour)).await;
        assert!(has_beat(&town, &person).await, "it has not run out");
        assert!(other.sees_taken(&person, hour).await, "hour {hour}");
    }
    // One that cannot be told trusts it until it runs out, and no longer.
    town.cache.set_read_only(false);
    sleep(Duration::from_secs(5)).await;
    town.cache.set_read_only(true);
    town.links.set(&other.scheduler, Way::Cut);
    one.booked(town.booking(&person, 12)).await;
    sleep(Duration::from_secs(5)).await;
    assert!(other.sees_taken(&person, 12).await);
    town.cache.set_read_only(false);
    sleep(Duration::from_secs(5)).await;
    town.links.set(&one.scheduler, Way::Cut);
    let began = Instant::now();
    assert!(other.sees_taken(&person, 12).await);
    assert!(began.elapsed() < Duration::from_millis(10), "from the cache, whose beats count again");
}

/// An owner tells the nodes that it knew of when it last renewed its lease. One that began since then hears nothing, and so
/// does one whose lease ran out meanwhile.
#[tokio::test(start_paused = true)]
async fn who_is_not_told_that_beats_end_does_not_trust_them() {
    let times = (20_000..22_500).step_by(700);
    for (gone_for_ms, is_new) in times.flat_map(|gone_for_ms| [(gone_for_ms, true), (gone_for_ms, false)]) {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let person = town.person_of(&one);
        one.booked(town.booking(&person, 8)).await;
        assert!(other.sees_taken(&person, 8).await);
        sleep(Duration::from_secs(3)).await;
        other.store.hold();
        sleep(Duration::from_millis(gone_for_ms)).await;
        other.store.resume();
        assert!(has_beat(&town, &person).await, "the owner's word stands in the cache");
        let reader = if is_new { town.join("reader").await } else { other };
        sleep(Duration::from_millis(20)).await;
        town.cache.set_read_only(true);
        one.booked(town.booking(&person, 9)).await;
        assert!(has_beat(&town, &person).await, "it has not run out");
        assert!(reader.sees_taken(&person, 9).await, "new: {is_new}, gone for {gone_for_ms} ms");
    }
}

/// A beat was sent before its shard fell into arrears, and reaches the cache after it was taken back there.
#[tokio::test(start_paused = true)]
async fn a_beat_that_arrives_after_it_was_taken_back_misleads_nobody() {
    // One that is answered in time, and one whose sender does not wait for it any more.
    for lag in [Duration::from_millis(600), Duration::from_millis(1_400)] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let person = town.person_of(&one);
        one.booked(town.booking(&person, 8)).await;
        sleep(Duration::from_secs(3)).await;
        town.cache.set_beats_lag(lag);
        until("a beat is on its way", || town.cache.is_beat_under_way(person.shard())).await;
        sleep(lag.saturating_sub(Duration::from_millis(300))).await;
        town.cache.set_refusing(true);
        one.booked(town.booking(&person, 9)).await;
        assert!(!has_beat(&town, &person).await, "it was taken back");
        town.cache.set_read_only(true);
        until("the beat arrives", || !town.cache.is_beat_under_way(person.shard())).await;
        assert!(has_beat(&town, &person).await && other.sees_taken(&person, 9).await, "{lag:?}");
    }
}

fn with_key(request: CommitRequest) -> CommitRequest {
    CommitRequest { idempotency: Some(IdempotencyKey { scope: [7; 32], fingerprint: [7; 32] }), ..request }
}

/// Waits until the first commit for somebody is in the store, and not yet answered by it.
async fn until_made(town: &Town, person: &Person) {
    let until = Instant::now() + Duration::from_secs(1);
    while standing(town, person).is_empty() {
        assert!(Instant::now() < until, "it is not committed");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Ends the owner when it has committed something and not yet said so to anybody.
async fn die_after_commit(town: &Town, owner: &Node, person: &Person) {
    until_made(town, person).await;
    owner.store.hold();
    town.links.set(&owner.scheduler, Way::Cut);
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
}

/// Whoever hears from another node that it is booked finds it taken everywhere, although the owner published nothing.
#[tokio::test(start_paused = true)]
async fn what_an_owner_committed_last_is_published_by_whoever_says_so() {
    for is_same_commit in [true, false] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let reader = town.third("reader").await;
        let person = town.person_of(&one);
        reads_free_in_cache(&town, &one, &reader, &person).await;
        // Either the node that passed it on hears nothing any more, or its caller asks again elsewhere, with the same key.
        town.links.set(&one.scheduler, Way::Mute);
        let request = town.booking(&person, 9);
        let (first, request) = if is_same_commit { (&other, request) } else { (&one, with_key(request)) };
        let again = with_key(CommitRequest { kind: request.kind.clone(), ..town.booking(&person, 9) });
        let asked = tokio::spawn({
            let first = first.clone();
            async move { first.commit(request).await }
        });
        die_after_commit(&town, &one, &person).await;
        let answer = if is_same_commit { asked.await.unwrap() } else { other.commit(again).await };
        match is_same_commit {
            true => assert!(matches!(answer, CommitAnswer::Committed(_)), "{answer:?}"),
            false => assert!(matches!(answer, CommitAnswer::Replayed(_)), "{answer:?}"),
        }
        assert!(has_beat(&town, &person).await, "the dead owner's word still counts");
        assert!(reader.sees_taken(&person, 9).await && other.sees_taken(&person, 9).await);
        assert_eq!(standing(&town, &person), [at(9)].into());
    }
}

/// The same where the owner's last commit was still on its way to the store when another node looked whether it is there.
#[tokio::test(start_paused = true)]
async fn what_an_owner_committed_while_another_looked_is_published_too() {
    for delay_ms in (300..=480).step_by(20) {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let person = town.person_of(&one);
        reads_free_in_cache(&town, &one, &other, &person).await;
        town.links.set(&one.scheduler, Way::Cut);
        let request = with_key(town.booking(&person, 9));
        let again = with_key(CommitRequest { kind: request.kind.clone(), ..town.booking(&person, 9) });
        let asked = tokio::spawn({
            let other = other.clone();
            async move { other.commit(again).await }
        });
        drop(tokio::spawn({
            let one = one.clone();
            async move {
                sleep(Duration::from_millis(delay_ms)).await;
                one.commit(request).await
            }
        }));
        die_after_commit(&town, &one, &person).await;
        let answer = asked.await.unwrap();
        assert!(matches!(answer, CommitAnswer::Replayed(_) | CommitAnswer::Committed(_)), "{delay_ms}: {answer:?}");
        assert!(has_beat(&town, &person).await, "the owner's word still counts");
        assert!(other.sees_taken(&person, 9).await, "{delay_ms}: {answer:?}");
        assert_eq!(standing(&town, &person), [at(9)].into());
    }
}

/// An owner that was passed by, by one that died before it told, says yes to whoever asks again: then it shows it, too. Where it
/// cannot load it, nobody reads of before.
#[tokio::test(start_paused = true)]
async fn an_owner_that_says_what_another_made_shows_it() {
    for loads in [true, false] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let reader = town.third("reader").await;
        let person = town.person_of(&one);
        reads_free_in_cache(&town, &one, &reader, &person).await;
        town.links.set(&one.scheduler, Way::Cut);
        let request = with_key(town.booking(&person, 9));
        let again = with_key(CommitRequest { kind: request.kind.clone(), ..town.booking(&person, 9) });
        drop(tokio::spawn({
            let other = other.clone();
            async move { other.commit(request).await }
        }));
        die_after_commit(&town, &other, &person).await;
        assert!(!reader.sees_taken(&person, 9).await, "nobody was told");
        town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
        let asked = tokio::spawn({
            let one = one.clone();
            async move { one.commit(again).await }
        });
        // After the look for a kept answer, and before the end of what follows from it.
        sleep(Duration::from_millis(100)).await;
        if !loads {
            one.store.hold();
        }
        let answer = asked.await.unwrap();
        assert!(matches!(answer, CommitAnswer::Replayed(_)), "{answer:?}");
        assert!(has_beat(&town, &person).await && reader.sees_taken(&person, 9).await, "it loads: {loads}");
        one.store.resume();
        assert!(one.sees_taken(&person, 9).await);
    }
}

/// Whoever finds the answer kept and gives it again without a commit of its own has it shown first.
#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_shown_before_it_is_given_again() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    reads_free_in_cache(&town, &one, &other, &person).await;
    drop(tokio::spawn({
        let (one, request) = (one.clone(), with_key(town.booking(&person, 9)));
        async move { one.commit(request).await }
    }));
    die_after_commit(&town, &one, &person).await;
    let account_id = person.tenant.account_id;
    let booking = town.disk.view().bookings(account_id).pop().unwrap();
    assert!(
        has_beat(&town, &person).await && !other.sees_taken(&person, 9).await,
        "the dead owner's word still counts"
    );
    other.scheduler.have_shown(account_id, &Made::Booking(Box::new(booking))).await.unwrap();
    assert!(has_beat(&town, &person).await && other.sees_taken(&person, 9).await);
}

/// What was made is known to its owner before it hears that it was made, by a look at the store, and that look is still on its
/// way to the cache.
#[tokio::test(start_paused = true)]
async fn what_a_look_at_the_store_found_first_is_published_before_it_is_heard() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let person = town.person_of(&one);
    reads_free_in_cache(&town, &one, &other, &person).await;
    let made = tokio::spawn({
        let (one, request) = (one.clone(), town.booking(&person, 9));
        async move { one.booked(request).await }
    });
    until_made(&town, &person).await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
    town.cache.set_lag(Duration::from_millis(80));
    let looked = tokio::spawn({
        let one = one.clone();
        async move { one.scheduler.config_changed_for_peer(person.tenant.account_id).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert!(!made.is_finished() && one.sees_taken(&person, 9).await, "its owner knows, and has not heard");
    made.await.unwrap();
    assert!(has_beat(&town, &person).await && other.sees_taken(&person, 9).await);
    looked.await.unwrap().unwrap();
}

/// Whoever asks again, with the same key, while what was made is known to its owner and not yet in the cache, hears of it when it
/// is there.
#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_given_again_when_the_cache_has_it() {
    for is_committed_again in [false, true] {
        let town = Town::found().await;
        let (one, other) = town.two_nodes().await;
        let person = town.person_of(&one);
        reads_free_in_cache(&town, &one, &other, &person).await;
        let request = with_key(town.booking(&person, 9));
        let again = with_key(CommitRequest { kind: request.kind.clone(), ..town.booking(&person, 9) });
        town.cache.set_lag(Duration::from_millis(80));
        let made = tokio::spawn({
            let one = one.clone();
            async move { one.booked(request).await }
        });
        until_made(&town, &person).await;
        town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
        while !one.sees_taken(&person, 9).await {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!made.is_finished(), "nobody has heard of it");
        if is_committed_again {
            let answer = one.commit(again).await;
            assert!(matches!(answer, CommitAnswer::Replayed(_)), "{answer:?}");
        } else {
            let account_id = person.tenant.account_id;
            let booking = town.disk.view().bookings(account_id).pop().unwrap();
            one.scheduler.have_shown(account_id, &Made::Booking(Box::new(booking))).await.unwrap();
        }
        assert!(has_beat(&town, &person).await && other.sees_taken(&person, 9).await);
        made.await.unwrap();
    }
}

/// Who goes past an owner and cannot write the cache has nobody trust the word of that owner any more, itself included.
#[tokio::test(start_paused = true)]
async fn what_is_sold_past_an_owner_and_not_in_the_cache_is_offered_nowhere() {
    let town = Town::found().await;
    let (one, other) = town.two_nodes().await;
    let reader = town.third("reader").await;
    let person = town.person_of(&one);
    reads_free_in_cache(&town, &one, &reader, &person).await;
    assert!(!other.sees_taken(&person, 9).await);
    town.links.set(&one.scheduler, Way::Cut);
    town.cache.set_read_only(true);
    other.booked(town.booking(&person, 9)).await;
    assert!(has_beat(&town, &person).await, "the owner's word still counts");
    assert!(other.sees_taken(&person, 9).await && reader.sees_taken(&person, 9).await);
}
