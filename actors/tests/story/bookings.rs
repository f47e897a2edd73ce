//! Commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentcal_engine::calendar::request::{ChangedBy, CommitAnswer, CommitKind, Made, Rejection, UnavailableReason};
use agentcal_engine::decision::Reason;
use agentcal_engine::ids::{BookingId, UserId};

use agentcal_engine::model::{Booking, BookingStatus, OnStale, SchedulingMode};
use agentcal_engine::ports::{ConfigStore, ProviderError};
use agentcal_engine::time::Timestamp;
use futures::future::join_all;

use super::stage::with_key;
use super::{Stage, Terms, hours, wait_for};

fn committed(answers: &[CommitAnswer]) -> Vec<&Booking> {
    answers
        .iter()
        .filter_map(|answer| match answer {
            CommitAnswer::Committed(made) => made.booking(),
            _ => None,
        })
        .collect()
}

fn moving_to(booking_id: BookingId, start: Timestamp) -> CommitKind {
    CommitKind::Reschedule { booking_id, start, offered: false, by: ChangedBy::Key }
}

/// Lesson: the check is far from the insert; two guests a second apart both book.
#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_concurrent_bookings_of_one_slot_one_wins() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    for round in 0..4 {
        let start = hours(24 + round, 25 + round).start;
        let answers = join_all((0..50).map(|_| stage.book(start, None))).await;
        assert_eq!(committed(&answers).len(), 1, "round {round}: {answers:?}");
        let refused = answers.iter().filter(|answer| matches!(answer, CommitAnswer::Refused(_))).count();
        assert_eq!(refused, 49, "round {round}");
        let facts = stage.facts(stage.calendars()[0]).await;
        assert!(facts.claims.iter().any(|claim| claim.range.start == start), "published before the answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_what_else() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    stage.booked(hours(24, 25).start).await;
    let CommitAnswer::Refused(refusal) = stage.book(hours(24, 25).start, None).await else {
        panic!("the slot is taken")
    };
    assert_eq!(refusal.decision.verdicts[0].reasons, [Reason::Booked]);
    assert_eq!(refusal.alternatives.len(), 5);
    let offered = refusal.alternatives[0].start;
    assert!(matches!(stage.book(offered, None).await, CommitAnswer::Committed(_)), "what is offered can be booked");
}

/// Lesson: a team hold that holds one host.
#[tokio::test(flavor = "multi_thread")]
async fn a_collective_takes_all_hosts_or_none() {
    let stage = Stage::set(3, SchedulingMode::Collective).await;
    let slots: Vec<_> = (0..6).map(|slot| hours(24 + slot, 25 + slot).start).collect();
    let answers =
        join_all(slots.iter().flat_map(|&start| (0..8).map(move |_| start)).map(|start| stage.book(start, None)));
    let answers = answers.await;
    let won = committed(&answers);
    assert_eq!(won.len(), slots.len());
    for booking in won {
        assert_eq!(booking.hosts.len(), 3);
    }
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts(calendar_id).await.claims.len(), slots.len(), "every home publishes before the answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_goes_on_to_the_next_host_after_a_lost_race() {
    let stage = Stage::set(4, SchedulingMode::RoundRobin).await;
    let start = hours(24, 25).start;
    let answers = join_all((0..12).map(|_| stage.book(start, None))).await;
    let hosts: BTreeSet<UserId> = committed(&answers).iter().map(|booking| booking.hosts[0].user_id).collect();
    assert_eq!((committed(&answers).len(), hosts.len()), (4, 4));
    let next = stage.booked(hours(25, 26).start).await;
    assert_eq!(next.hosts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_repeats_the_answer() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let request = with_key(stage.book_request(hours(24, 25).start, None), 1, 1);
    let answers = join_all((0..10).map(|_| stage.scheduler.commit(request.clone()))).await;
    let first = committed(&answers);
    assert_eq!(first.len(), 1);
    let replays = answers
        .iter()
        .filter(|answer| matches!(answer, CommitAnswer::Replayed(made) if made.booking() == Some(first[0])));
    assert_eq!(replays.count(), 9);
    let other = with_key(stage.book_request(hours(25, 26).start, None), 1, 2);
    assert_eq!(stage.scheduler.commit(other).await, CommitAnswer::IdempotencyMismatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_booking_id_twice_is_one_booking() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let request = stage.book_request(hours(24, 25).start, None);
    let first = stage.scheduler.commit(request.clone()).await;
    assert!(matches!(first, CommitAnswer::Committed(_)));
    assert!(matches!(stage.scheduler.commit(request).await, CommitAnswer::Committed(_)), "found, not refused");
    assert_eq!(stage.facts(stage.calendars()[0]).await.claims.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_moves_and_is_cancelled_and_both_can_be_repeated() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let booking = stage.booked(hours(24, 25).start).await;
    let (id, start) = (booking.id, hours(30, 31).start);
    let moving = || stage.scheduler.commit(stage.request(moving_to(id, start)));
    let CommitAnswer::Committed(Made::Booking(moved)) = moving().await else { panic!("the new time is free") };
    assert_eq!((moved.range, moved.sequence), (hours(30, 31), 1));
    let CommitAnswer::Committed(Made::Booking(again)) = moving().await else {
        panic!("moving to where it is is a success")
    };
    assert_eq!((again.range, again.sequence), (hours(30, 31), 1), "and changes nothing");
    assert_eq!(stage.stored(id).await.sequence, 1);
    for calendar_id in stage.calendars() {
        assert_eq!(stage.facts(calendar_id).await.claims[0].range, hours(30, 31));
    }
    let cancel = |reason: &str| CommitKind::Cancel { booking_id: id, reason: Some(reason.into()), by: ChangedBy::Key };
    let CommitAnswer::Committed(Made::Booking(cancelled)) = stage.scheduler.commit(stage.request(cancel("ill"))).await
    else {
        panic!("it can be cancelled")
    };
    assert_eq!((cancelled.status, cancelled.sequence), (BookingStatus::Cancelled, 2));
    let CommitAnswer::Committed(Made::Booking(again)) = stage.scheduler.commit(stage.request(cancel("again"))).await
    else {
        panic!("cancelling twice is the same answer")
    };
    assert_eq!((again.cancel_reason.as_deref(), again.sequence), (Some("ill"), 2));
    assert_eq!(moving().await, CommitAnswer::Rejected(Rejection::BookingCancelled));
    assert!(stage.facts(stage.calendars()[0]).await.claims.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_moves_by_less_than_its_own_length() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let mut event_type = stage.event_type.clone();
    event_type.slot_interval_minutes = 15;
    let revision = stage.scheduler.config(stage.account_id()).await.unwrap().unwrap().config_revision;
    stage.store.update_event_type(&stage.tenant, &event_type, revision, None).await.unwrap();
    stage.scheduler.config_changed(stage.account_id()).await;
    let booking = stage.booked(hours(24, 25).start).await;
    let calendar_id = stage.calendars()[0];
    wait_for("it is written", || async { stage.provider.ours(calendar_id).len() == 1 }).await;
    stage.ring_and_sync(calendar_id).await;
    let start = booking.range.start.plus_micros(15 * 60_000_000);
    let moved = stage.scheduler.commit(stage.request(moving_to(booking.id, start))).await;
    assert!(matches!(moved, CommitAnswer::Committed(_)), "{moved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_rejected() {
    let stage = Stage::set(2, SchedulingMode::Collective).await;
    let named = stage.book(hours(24, 25).start, Some(stage.users[0].id)).await;
    assert_eq!(named, CommitAnswer::Rejected(Rejection::UserNotAllowedForCollective));
    let missing = agentcal_engine::ids::BookingId::from_uuid(uuid::Uuid::from_u128(7));
    let cancel = stage.request(CommitKind::Cancel { booking_id: missing, reason: None, by: ChangedBy::Key });
    assert_eq!(stage.scheduler.commit(cancel).await, CommitAnswer::Rejected(Rejection::BookingMissing));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_facts_are_renewed_before_a_booking_or_it_is_not_made() {
    let check = |on_stale: OnStale, fails: bool| async move {
        let terms = Terms { mode: SchedulingMode::Individual, on_stale };
        let stage = Stage::set_unsynced(1, terms, |settings| settings.sweep_batch_max = 0).await;
        let calendar_id = stage.calendars()[0];
        stage.ring_and_sync(calendar_id).await;
        // Somebody books the hour in the calendar, and nobody polls.
        stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
        stage.clock.jump(std::time::Duration::from_secs(1_000));
        if fails {
            stage.provider.always_fail(Some(ProviderError::Unavailable("down".into())));
        }
        stage.book(hours(24, 25).start, None).await
    };
    let busy = check(OnStale::Verify, false).await;
    assert!(
        matches!(&busy, CommitAnswer::Refused(refusal) if refusal.decision.verdicts[0].reasons == [Reason::Busy]),
        "{busy:?}"
    );
    for (on_stale, fails) in [(OnStale::Verify, true), (OnStale::Refuse, false)] {
        let stale = check(on_stale, fails).await;
        assert!(matches!(stale, CommitAnswer::Unavailable(UnavailableReason::FactsStale { .. })), "{stale:?}");
    }
    let accepted = check(OnStale::Accept, false).await;
    assert!(matches!(accepted, CommitAnswer::Committed(_)), "{accepted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_follow_their_user_to_another_home() {
    let stage = Stage::set(2, SchedulingMode::Individual).await;
    let [first, second] = [stage.calendars()[0], stage.calendars()[1]];
    stage.booked(hours(24, 25).start).await;
    assert_eq!((stage.facts(first).await.claims.len(), stage.facts(second).await.claims.len()), (1, 0));
    let mut user = stage.users[0].clone();
    user.calendar_id = Some(second);
    user.home_calendar_id = second;
    let revision = stage.scheduler.config(stage.account_id()).await.unwrap().unwrap().config_revision;
    stage.store.update_user(&stage.tenant, &user, revision, None).await.unwrap();
    stage.scheduler.config_changed(stage.account_id()).await;
    assert_eq!((stage.facts(first).await.claims.len(), stage.facts(second).await.claims.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_finishes_what_was_accepted_and_takes_no_more() {
    let stage = Arc::new(Stage::set(1, SchedulingMode::Individual).await);
    let booking = tokio::spawn({
        let stage = Arc::clone(&stage);
        async move { join_all((24..34).map(|hour| stage.book(hours(hour, hour + 1).start, None))).await }
    });
    wait_for("some are made", || async { !stage.facts(stage.calendars()[0]).await.claims.is_empty() }).await;
    stage.scheduler.shutdown().await;
    let answers = booking.await.unwrap();
    for answer in &answers {
        match answer {
            CommitAnswer::Committed(Made::Booking(booking)) => {
                assert_eq!(stage.stored(booking.id).await.id, booking.id);
            }
            CommitAnswer::Unavailable(UnavailableReason::ShuttingDown) => {}
            other => panic!("neither made nor refused for the end: {other:?}"),
        }
    }
    let late = stage.book(hours(40, 41).start, None).await;
    assert_eq!(late, CommitAnswer::Unavailable(UnavailableReason::ShuttingDown));
}
