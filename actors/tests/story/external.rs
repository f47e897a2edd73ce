//! What people do to our events.

use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{ExternalState, SchedulingMode, WritebackState};

use super::provider::event_name;
use super::{Stage, hours, wait_for};

async fn state(stage: &Stage, booking_id: BookingId) -> Option<ExternalState> {
    stage.stored(booking_id).await.hosts[0].external_state
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_deleted_and_overlaid_events_are_noticed() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar_id = stage.calendars()[0];
    let booking = stage.booked(hours(24, 25).start).await;
    wait_for("it is written", || async {
        let writeback = stage.stored(booking.id).await.hosts[0].writeback.clone();
        writeback.is_some_and(|writeback| writeback.state == WritebackState::Written)
    })
    .await;
    let name = event_name(booking.id);
    let check = async |expected: ExternalState, displaced: usize| {
        stage.ring_and_sync(calendar_id).await;
        assert_eq!(state(&stage, booking.id).await, Some(expected));
        assert_eq!(stage.facts(calendar_id).await.displaced.len(), displaced, "{expected:?}");
    };
    check(ExternalState::InSync, 0).await;
    stage.provider.put(calendar_id, &name, Some(hours(40, 41)));
    check(ExternalState::Moved, 1).await;
    stage.provider.put(calendar_id, &name, Some(hours(24, 25)));
    stage.provider.put(calendar_id, "dentist", Some(hours(23, 26)));
    check(ExternalState::Conflict, 0).await;
    stage.provider.put(calendar_id, "dentist", None);
    check(ExternalState::InSync, 0).await;
    stage.provider.put(calendar_id, &name, None);
    check(ExternalState::Deleted, 0).await;
}
