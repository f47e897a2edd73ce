//! Actors that die.

use std::sync::Arc;

use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::facts::{Knowledge, UnknownReason};
use agentcal_engine::model::{ConnectionStatus, SchedulingMode};

use super::{Stage, hours, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_actor_is_restarted_and_nothing_is_lost() {
    let stage = Arc::new(Stage::set(1, SchedulingMode::Individual).await);
    let calendar_id = stage.calendars()[0];
    stage.booked(hours(24, 25).start).await;
    wait_for("it is written", || async { stage.provider.ours(calendar_id).len() == 1 }).await;
    stage.ring_and_sync(calendar_id).await;
    // The sync waits at the gate; when it comes back, its actor dies over it.
    stage.provider.shut_gate();
    stage.provider.put(calendar_id, "dentist", Some(hours(30, 31)));
    let before = stage.provider.asked().incremental;
    stage.scheduler.bell(stage.account_id(), calendar_id);
    wait_for("the sync has read", || async { stage.provider.asked().incremental > before }).await;
    stage.chance.strike(1);
    stage.provider.open_gate();
    wait_for("it was struck", || async { stage.chance.has_struck() }).await;
    let booked = stage.book(hours(26, 27).start, None).await;
    assert!(matches!(booked, CommitAnswer::Committed(_)), "{booked:?}");
    wait_for("the change is seen", || async { stage.facts(calendar_id).await.external == [hours(30, 31)] }).await;
    assert_eq!(stage.facts(calendar_id).await.claims.len(), 2);
    assert_eq!(stage.provider.asked().full, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_keeps_dying_shows_it_and_recovers() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    wait_for("the connection is well", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    stage.chance.curse(true);
    stage.scheduler.bell(stage.account_id(), calendar_id);
    wait_for("it is shown", || async { stage.connection().await.status == ConnectionStatus::Error }).await;
    assert!(stage.connection().await.status_reason.is_some());
    wait_for("it is unknown", || async {
        stage.facts(calendar_id).await.knowledge == Knowledge::Unknown(UnknownReason::ProviderError)
    })
    .await;
    stage.chance.curse(false);
    wait_for("it is well again", || async { stage.connection().await.status == ConnectionStatus::Active }).await;
    wait_for("it is known again", || async { stage.facts(calendar_id).await.as_of().is_some() }).await;
}
