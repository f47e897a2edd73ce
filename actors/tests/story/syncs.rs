//! Syncs, bells, sleep and writebacks.

use std::time::Duration;

use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::model::{ConnectionStatus, SchedulingMode, WritebackState};
use agentcal_engine::ports::{Clock, FactStore, ProviderError};

use super::{Stage, hours, wait_for};

/// Lesson: a last notification dropped because a sync was running (twenty 25482).
#[tokio::test(flavor = "multi_thread")]
async fn a_bell_during_a_sync_is_answered_by_one_more() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    wait_for("the connection is well", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    let before = stage.provider.asked();
    stage.provider.shut_gate();
    stage.scheduler.bell(stage.account_id(), calendar_id);
    wait_for("the sync has read", || async { stage.provider.asked().incremental > before.incremental }).await;
    stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
    stage.scheduler.bell(stage.account_id(), calendar_id);
    stage.scheduler.bell(stage.account_id(), calendar_id);
    stage.provider.open_gate();
    wait_for("the change is seen", || async { stage.facts(calendar_id).await.external == [hours(24, 25)] }).await;
    assert_eq!(stage.provider.asked().incremental, before.incremental + 2);
}

/// Where a provider is slow, whoever waits for a sync waits for a second of writebacks, and not for all that are due.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_writebacks_ends_in_time() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    stage.clock.stop();
    let calendar_id = stage.calendars()[0];
    wait_for("the connection is well", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    let before = stage.provider.asked();
    stage.provider.shut_gate();
    stage.scheduler.bell(stage.account_id(), calendar_id);
    wait_for("the sync has read", || async { stage.provider.asked().incremental > before.incremental }).await;
    for hour in 24..29 {
        stage.booked(hours(hour, hour + 1).start).await;
    }
    wait_for("the writes are wanted", || async {
        let machine = stage.scheduler.picture(calendar_id).await.unwrap().machine;
        machine.write_wanted && !machine.committing
    })
    .await;
    stage.scheduler.bell(stage.account_id(), calendar_id);
    stage.provider.slow_down_writes(&stage.clock, Duration::from_millis(600));
    let began = stage.provider.turns().len();
    stage.provider.open_gate();
    wait_for("all are written", || async { stage.provider.ours(calendar_id).len() == 5 }).await;
    let turns = stage.provider.turns().split_off(began);
    assert_eq!(turns[..4], ["write", "write", "sync", "write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_poll_finds_what_nobody_rang_for() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
    stage.clock.jump(Duration::from_secs(15));
    wait_for("the change is seen", || async { stage.facts(calendar_id).await.external == [hours(24, 25)] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_calendar_sleeps_and_wakes_for_its_poll_and_for_questions() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.booked(hours(24, 25).start).await;
    stage.clock.jump(Duration::from_secs(601));
    wait_for("it sleeps", || async { stage.scheduler.awake_calendars() == 0 }).await;
    let facts = stage.facts(calendar_id).await;
    assert_eq!(facts.claims.len(), 1, "woken by the question, with everything it knew");
    assert_eq!(stage.scheduler.awake_calendars(), 1);
    stage.clock.jump(Duration::from_secs(601));
    wait_for("it sleeps again", || async { stage.scheduler.awake_calendars() == 0 }).await;
    let before = stage.provider.asked().incremental;
    stage.provider.put(calendar_id, "dentist", Some(hours(30, 31)));
    stage.clock.jump(Duration::from_secs(120));
    wait_for("its poll woke it", || async { stage.provider.asked().incremental > before }).await;
    wait_for("it is seen", || async { stage.facts(calendar_id).await.external == [hours(30, 31)] }).await;
    assert_eq!(stage.provider.asked().full, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_needs_no_full_sync_while_the_cursor_is_good() {
    let mut stage = Stage::set(2, SchedulingMode::Individual).await;
    let booking = stage.booked(hours(24, 25).start).await;
    wait_for("it is written", || async { stage.provider.ours(stage.calendars()[0]).len() == 1 }).await;
    let before = stage.provider.asked();
    stage.provider.put(stage.calendars()[0], "dentist", Some(hours(30, 31)));
    stage.restart().await;
    stage.ring_and_sync(stage.calendars()[0]).await;
    let facts = stage.facts(stage.calendars()[0]).await;
    assert_eq!((facts.claims[0].booking_id(), facts.external.as_slice()), (Some(booking.id), &[hours(30, 31)][..]));
    assert_eq!(stage.provider.asked().full, before.full);
}

/// Lesson: 410 on a sync token, and the source is silent for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_gone_cursor_is_followed_by_a_full_sync() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.provider.put(calendar_id, "dentist", Some(hours(24, 25)));
    stage.provider.fail_syncs([ProviderError::CursorGone]);
    stage.ring_and_sync(calendar_id).await;
    assert_eq!(stage.facts(calendar_id).await.external, [hours(24, 25)]);
    assert_eq!(stage.provider.asked().full, 2);
}

/// Lesson: provider error counted as free; refresh token revoked, and nobody is told.
#[tokio::test(flavor = "multi_thread")]
async fn failures_are_shown_at_the_connection_and_mended_by_a_success() {
    let stage = Stage::set(2, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.provider.always_fail(Some(ProviderError::Unauthorized("401".into())));
    stage.scheduler.bell(stage.account_id(), calendar_id);
    let reauthorization = Knowledge::Unknown(UnknownReason::ReauthorizationRequired);
    wait_for("it is unknown", || async { stage.facts(calendar_id).await.knowledge == reauthorization }).await;
    let connection = stage.connection().await;
    assert_eq!(connection.status, ConnectionStatus::ReauthorizationRequired);
    assert!(connection.status_reason.is_some());
    wait_for("its sibling knows", || async { stage.facts(stage.calendars()[1]).await.knowledge == reauthorization })
        .await;
    stage.provider.always_fail(None);
    stage.clock.jump(Duration::from_secs(3_700));
    wait_for("it is well", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    wait_for("it is known", || async { stage.facts(calendar_id).await.as_of().is_some() }).await;
    wait_for("its sibling too", || async { stage.facts(stage.calendars()[1]).await.as_of().is_some() }).await;
}

/// Credentials were refused for a moment. One calendar waits an hour for better ones; another finds at its next poll that
/// they are good.
#[tokio::test(flavor = "multi_thread")]
async fn good_credentials_end_the_wait_of_every_calendar_of_the_connection() {
    let stage = Stage::set(2, SchedulingMode::Individual).await;
    let (refused, spared) = (stage.calendars()[0], stage.calendars()[1]);
    stage.provider.fail_syncs([ProviderError::Unauthorized("401".into())]);
    stage.scheduler.bell(stage.account_id(), refused);
    let reauthorization = Knowledge::Unknown(UnknownReason::ReauthorizationRequired);
    wait_for("it is unknown", || async { stage.facts(refused).await.knowledge == reauthorization }).await;
    let mended_after = stage.clock.now();
    stage.scheduler.bell(stage.account_id(), spared);
    wait_for("the connection is well", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    wait_for("what was refused is asked again", || async {
        stage.facts(refused).await.as_of().is_some_and(|as_of| as_of >= mended_after)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_makes_unknown_after_a_while_and_not_free() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    stage.provider.always_fail(Some(ProviderError::Unavailable("down".into())));
    for failures in 1..=5 {
        stage.clock.jump(Duration::from_secs(200));
        wait_for("the next try failed", || async {
            let record = stage.store.load_calendar(stage.account_id(), calendar_id).await.unwrap().unwrap();
            record.sync.failures >= failures
        })
        .await;
    }
    let unknown = Knowledge::Unknown(UnknownReason::ProviderError);
    wait_for("it is unknown", || async { stage.facts(calendar_id).await.knowledge == unknown }).await;
    assert_eq!(stage.connection().await.status, ConnectionStatus::Error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_written_once_however_often_it_is_tried() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    let late = || ProviderError::Unavailable("no answer in time".into());
    stage.provider.fail_writes([late(), late()]);
    let booking = stage.booked(hours(24, 25).start).await;
    for tries in 1..=3 {
        wait_for("the next try", || async { stage.provider.asked().writes >= tries }).await;
        stage.clock.jump(Duration::from_secs(10));
    }
    wait_for("it counts as written", || async {
        let writeback = stage.stored(booking.id).await.hosts[0].writeback.clone().unwrap();
        writeback.state == WritebackState::Written && writeback.attempts == 3
    })
    .await;
    assert_eq!(stage.provider.ours(calendar_id).len(), 1);
    stage.ring_and_sync(calendar_id).await;
    let facts = stage.facts(calendar_id).await;
    assert!(facts.displaced.is_empty() && facts.external.is_empty(), "our own event is no one's busy time");
}
