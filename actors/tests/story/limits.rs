//! A provider is asked no more often than it puts up with.

use std::num::NonZeroU32;
use std::time::Duration;

use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::limits::{LimitKind, ProviderLimits, Rate};
use agentcal_engine::model::{SchedulingMode, WritebackState};
use agentcal_engine::ports::{FactStore, ProviderError};

use super::{Stage, hours, wait_for};

const HOUR: Duration = Duration::from_secs(3_600);

fn mailbox(rate: Rate) -> ProviderLimits {
    ProviderLimits { mailbox: Some(rate), ..ProviderLimits::default() }
}

async fn failures(stage: &Stage, calendar_id: CalendarId) -> u32 {
    let record = stage.store.load_calendar(stage.account_id(), calendar_id).await.unwrap();
    record.unwrap().sync.failures
}

async fn wait_for_written(stage: &Stage, booking_id: BookingId) {
    wait_for("the booking is written", || async {
        let hosts = stage.stored(booking_id).await.hosts;
        hosts.iter().all(|host| host.writeback.as_ref().is_some_and(|row| row.state == WritebackState::Written))
    })
    .await;
}

#[tokio::test]
async fn syncs_leave_a_cell_for_bookings() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar = stage.calendars()[0];
    stage.clock.stop();
    let before = stage.provider.asked();
    // Eight at once, one an hour: syncs leave one, whoever rings for them.
    stage.provider.limit(mailbox(Rate::per(HOUR, 1, 8)));
    while failures(&stage, calendar).await == 0 {
        let asked = stage.provider.asked().incremental;
        stage.scheduler.bell(stage.account_id(), calendar);
        let is_answered =
            || async { stage.provider.asked().incremental > asked || failures(&stage, calendar).await > 0 };
        wait_for("a sync has its turn, or has none", is_answered).await;
    }
    assert_eq!(stage.provider.asked().incremental, before.incremental + 7, "it was not asked");
    let booking = stage.booked(hours(10, 11).start).await;
    wait_for_written(&stage, booking.id).await;
    assert_eq!(stage.provider.asked().writes, before.writes + 1);
}

#[tokio::test]
async fn who_has_no_turn_waits_a_little_and_then_has_it() {
    let stage = Stage::set(1, SchedulingMode::Individual).await;
    let calendar = stage.calendars()[0];
    let client = Some(("one client".to_owned(), Rate::per(Duration::from_secs(1), 20, 1)));
    stage.provider.limit(ProviderLimits { client, ..mailbox(Rate::per(Duration::from_secs(1), 20, 2)) });
    let before = stage.provider.asked().incremental;
    for _ in 0..6 {
        stage.ring_and_sync(calendar).await;
    }
    assert!(stage.provider.asked().incremental >= before + 6);
    assert_eq!(failures(&stage, calendar).await, 0);
}

#[tokio::test]
async fn a_provider_that_asks_to_slow_down_is_left_alone() {
    for of in [LimitKind::Mailbox, LimitKind::Client] {
        let stage = Stage::set(2, SchedulingMode::Individual).await;
        let [first, second] = stage.calendars()[..] else { panic!("two calendars") };
        let plenty = Rate::per_minute(60_000, 1_000);
        let client = Some(("one client".to_owned(), plenty));
        stage.provider.limit(ProviderLimits { client, ..mailbox(plenty) });
        let before = stage.provider.asked().incremental;
        stage.provider.fail_syncs([ProviderError::RateLimited { retry_after: Some(Duration::from_secs(50)), of }]);
        stage.scheduler.bell(stage.account_id(), first);
        wait_for("it was asked", || async { failures(&stage, first).await > 0 }).await;
        stage.scheduler.bell(stage.account_id(), second);
        wait_for("the other has no turn", || async { failures(&stage, second).await > 0 }).await;
        assert_eq!(stage.provider.asked().incremental, before + 1, "a calendar of the same {of:?} waits too");
        stage.clock.jump(Duration::from_secs(120));
        wait_for("all go on", || async { failures(&stage, first).await == 0 && failures(&stage, second).await == 0 })
            .await;
    }
}

#[tokio::test]
async fn a_place_is_kept_for_bookings() {
    let stage = Stage::set(3, SchedulingMode::RoundRobin).await;
    let [first, second, _] = stage.calendars()[..] else { panic!("three calendars") };
    let before = stage.provider.asked();
    stage.provider.limit(ProviderLimits { mailbox_at_once: NonZeroU32::new(2), ..ProviderLimits::default() });
    stage.provider.shut_gate();
    stage.scheduler.bell(stage.account_id(), first);
    wait_for("one sync is under way", || async { stage.provider.asked().incremental > before.incremental }).await;
    stage.scheduler.bell(stage.account_id(), second);
    let booking = stage.book(hours(10, 11).start, Some(stage.users[2].id)).await;
    let agentcal_engine::calendar::request::CommitAnswer::Committed(agentcal_engine::calendar::request::Made::Booking(
        booking,
    )) = booking
    else {
        panic!("not booked: {booking:?}")
    };
    wait_for_written(&stage, booking.id).await;
    assert_eq!(stage.provider.asked().incremental, before.incremental + 1, "the other sync waits for a place");
    stage.provider.open_gate();
    wait_for("it has one", || async { stage.provider.asked().incremental >= before.incremental + 2 }).await;
}
