//! Writing bookings: read, compare, write on the condition that nothing moved in between, as over any wire.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{
    CalendarRef, EventDelete, EventWrite, ProviderError, SandboxEvent, WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::TimeRange;
use uuid::Uuid;

use crate::provider::{SandboxProvider, flavour_of, seed_of, unavailable};

/// Prefix of the names of our events; what follows is the booking's UUID without hyphens.
const PREFIX: &str = "agentcal-";
/// Times a write is tried again because somebody changed the event in between.
const RACES_MAX: u32 = 5;

/// The name of a booking's event in a sandbox calendar.
pub fn event_id_of(booking_id: BookingId) -> String {
    format!("{PREFIX}{}", booking_id.as_uuid().simple())
}

/// The booking an event was written for, where it is ours.
pub(crate) fn booking_of(event_id: &str) -> Option<BookingId> {
    let uuid = Uuid::try_parse(event_id.strip_prefix(PREFIX)?).ok()?;
    Some(BookingId::from_uuid(uuid))
}

/// Makes the calendar show a booking.
pub(crate) async fn write(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    write: &EventWrite,
) -> Result<WriteOutcome, ProviderError> {
    check_writable(calendar)?;
    let is_first = write.known.is_none();
    let first = if is_first { put(provider, calendar, write.booking_id, Some(write.range), 0).await? } else { None };
    let change = match first {
        Some(change) => change,
        // It is there after all, from a try whose answer nobody heard.
        None => settle(provider, calendar, write.booking_id, Some(write.range)).await?,
    };
    let written = WrittenEvent { provider_event_id: event_id_of(write.booking_id), etag: Some(change.to_string()) };
    Ok(WriteOutcome::Written(written))
}

/// Takes a booking out of the calendar.
pub(crate) async fn delete(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    delete: &EventDelete,
) -> Result<(), ProviderError> {
    check_writable(calendar)?;
    settle(provider, calendar, delete.booking_id, None).await.map(drop)
}

fn check_writable(calendar: &CalendarRef) -> Result<(), ProviderError> {
    seed_of(&calendar.credentials)?;
    let writable = flavour_of(calendar)?.writable();
    writable.then_some(()).ok_or_else(|| ProviderError::Refused("the calendar is read-only".to_owned()))
}

/// Brings a booking's event to a time, or away. Returns the change the event then stands at.
async fn settle(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    booking_id: BookingId,
    range: Option<TimeRange>,
) -> Result<u64, ProviderError> {
    let event_id = event_id_of(booking_id);
    for _ in 0..RACES_MAX {
        let found = find(provider, calendar, &event_id).await?;
        // A deleted event is as good as one that never was.
        let found = found.filter(|event| event.range.is_some());
        let change = found.as_ref().map_or(0, |event| event.change);
        if found.map(|event| (event.range, event.blocks)) == range.map(|range| (Some(range), true)) {
            return Ok(change);
        }
        if let Some(change) = put(provider, calendar, booking_id, range, change).await? {
            return Ok(change);
        }
    }
    Err(ProviderError::Unavailable("the event keeps changing".to_owned()))
}

/// Writes a booking's event, if it stands at this change; 0: if it is not there.
async fn put(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    booking_id: BookingId,
    range: Option<TimeRange>,
    change: u64,
) -> Result<Option<u64>, ProviderError> {
    let event = SandboxEvent { event_id: event_id_of(booking_id), range, blocks: true, change: 0 };
    // An error means that the semaphore was closed, which nobody does.
    let _turn = provider.writes.acquire().await;
    let put = provider.state.put_sandbox_event(calendar.account_id, calendar.calendar_id, &event, Some(change));
    put.await.map_err(unavailable)
}

async fn find(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    event_id: &str,
) -> Result<Option<SandboxEvent>, ProviderError> {
    let changes = provider.state.sandbox_changes(calendar.account_id, calendar.calendar_id, 0).await;
    Ok(changes.map_err(unavailable)?.into_iter().find(|event| event.event_id == event_id))
}
