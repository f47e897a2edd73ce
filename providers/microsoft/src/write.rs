//! Writing bookings: one transaction per booking, so that writing twice writes one event.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, EventDelete, EventWrite, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_engine::time::Timestamp;
use agentcal_provider_egress::AtMost;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::of_writing;
use crate::event::GraphEvent;
use crate::mark;
use crate::session::Session;

/// Times a write is tried again because somebody else wrote in between.
const ATTEMPTS_MAX: usize = 5;
/// What Graph says to a second event of one transaction.
const DUPLICATE: &str = "ErrorDuplicateTransactionId";

/// Most events that are looked at for the one that shows a booking; fewer are asked for.
const FOUND_MAX: usize = 100;

#[derive(Deserialize)]
struct EventPage {
    value: AtMost<GraphEvent, FOUND_MAX>,
}

/// What trying to change an event came to.
enum Changed {
    To(WrittenEvent),
    NotThere,
}

pub(crate) async fn write_event(
    session: &Session,
    calendar: &CalendarRef,
    write: &EventWrite,
) -> Result<WriteOutcome, ProviderError> {
    let Some(known) = &write.known else {
        return create(session, calendar, write, mark::transaction(write.booking_id)).await;
    };
    match change(session, calendar, write, &known.provider_event_id).await? {
        Changed::To(event) => Ok(WriteOutcome::Written(event)),
        // Somebody deleted it, and the booking changed after that.
        Changed::NotThere => {
            create(session, calendar, write, mark::transaction_again(write.booking_id, write.sequence)).await
        }
    }
}

pub(crate) async fn delete_event(
    session: &Session,
    calendar: &CalendarRef,
    delete: &EventDelete,
) -> Result<(), ProviderError> {
    if let Some(known) = &delete.known
        && take_out(session, calendar, &known.provider_event_id).await?
    {
        return Ok(());
    }
    // A write whose answer nobody saw, or an event that some program made anew.
    let found = match find(session, calendar, delete.booking_id).await {
        Err(ProviderError::CalendarGone) => None,
        found => found?,
    };
    match found {
        Some(id) => take_out(session, calendar, &id).await.map(|_| ()),
        None => Ok(()),
    }
}

async fn create(
    session: &Session,
    calendar: &CalendarRef,
    write: &EventWrite,
    transaction: String,
) -> Result<WriteOutcome, ProviderError> {
    let url = session.urls.events(&calendar.provider_calendar_id)?;
    let answer = session.post(url, &new_event(write, &transaction)).await?;
    let existing = match answer.status {
        status if status.is_success() => {
            let event: GraphEvent = answer.read()?;
            if event.shows(write.range) {
                return written(&event).map(WriteOutcome::Written);
            }
            // The event that the transaction made the first time, as somebody has changed it since.
            event.id().map(str::to_owned)
        }
        _ if answer.code() == DUPLICATE => match answer.existing_event() {
            Some(id) => Some(id),
            None => find(session, calendar, write.booking_id).await?,
        },
        _ => return Err(of_writing(&answer)),
    };
    let Some(id) = existing else { return Ok(WriteOutcome::DeletedByHuman) };
    Ok(match change(session, calendar, write, &id).await? {
        Changed::To(event) => WriteOutcome::Written(event),
        Changed::NotThere => WriteOutcome::DeletedByHuman,
    })
}

/// Moves an event to where the booking is, unless it shows that already.
async fn change(
    session: &Session,
    calendar: &CalendarRef,
    write: &EventWrite,
    id: &str,
) -> Result<Changed, ProviderError> {
    let id_of_calendar = &calendar.provider_calendar_id;
    for _ in 0..ATTEMPTS_MAX {
        let answer = session.get(session.urls.event_read(id_of_calendar, id)?).await?;
        let event: GraphEvent = match answer.status {
            status if status.is_success() => answer.read()?,
            StatusCode::NOT_FOUND if of_writing(&answer) == ProviderError::CalendarGone => {
                return Ok(Changed::NotThere);
            }
            _ => return Err(of_writing(&answer)),
        };
        if event.is_removed() {
            return Ok(Changed::NotThere);
        }
        if event.shows(write.range) {
            return written(&event).map(Changed::To);
        }
        let url = session.urls.event(id_of_calendar, id)?;
        let answer = session.patch(url, event.etag(), &new_times(write, event.is_series())).await?;
        match answer.status {
            status if status.is_success() => return written(&answer.read()?).map(Changed::To),
            // Somebody else wrote in between, or it was deleted: what is there now decides.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT | StatusCode::NOT_FOUND => {}
            _ => return Err(of_writing(&answer)),
        }
    }
    Err(ProviderError::Unavailable("the event keeps changing while it is written".to_owned()))
}

/// Whether there was something to take out.
async fn take_out(session: &Session, calendar: &CalendarRef, id: &str) -> Result<bool, ProviderError> {
    let answer = session.delete(session.urls.event(&calendar.provider_calendar_id, id)?).await?;
    match answer.status {
        status if status.is_success() => Ok(true),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
        _ => Err(of_writing(&answer)),
    }
}

/// The event made for a booking, found by the property that carries its id. Copies carry it too, and another transaction or
/// none.
async fn find(
    session: &Session,
    calendar: &CalendarRef,
    booking_id: BookingId,
) -> Result<Option<String>, ProviderError> {
    let url = session.urls.events_with(&calendar.provider_calendar_id, mark::PROPERTY, &booking_id.to_string())?;
    let answer = session.get(url).await?;
    if !answer.status.is_success() {
        return Err(of_writing(&answer));
    }
    let events = answer.read::<EventPage>()?.value.0;
    let ours = events.iter().find(|event| !event.is_removed() && event.booking_id() == Some(booking_id));
    Ok(ours.and_then(GraphEvent::id).map(str::to_owned))
}

fn new_event(write: &EventWrite, transaction: &str) -> Value {
    let mut event = json!({
        "subject": write.summary,
        "start": utc(write.range.start),
        "end": utc(write.range.end),
        "showAs": "busy",
        "transactionId": transaction,
        "singleValueExtendedProperties": [{ "id": mark::PROPERTY, "value": write.booking_id.to_string() }],
    });
    if write.conference.is_some() {
        event["isOnlineMeeting"] = json!(true);
        event["onlineMeetingProvider"] = json!("teamsForBusiness");
    }
    if let Some(description) = &write.description {
        event["body"] = json!({ "contentType": "text", "content": description });
    }
    if let Some(location) = &write.location {
        event["location"] = json!({ "displayName": location });
    }
    event
}

/// Only when, and that it blocks: titles, notes and guests belong to whoever edits the calendar. The booking is one meeting,
/// even where somebody made a series of it.
fn new_times(write: &EventWrite, is_series: bool) -> Value {
    let mut times = json!({
        "start": utc(write.range.start),
        "end": utc(write.range.end),
        "isAllDay": false,
        "showAs": "busy",
    });
    if is_series {
        times["recurrence"] = Value::Null;
    }
    times
}

/// A meeting that was agreed as an instant stays one when a zone's rules change.
fn utc(at: Timestamp) -> Value {
    json!({ "dateTime": at.to_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string(), "timeZone": "UTC" })
}

fn written(event: &GraphEvent) -> Result<WrittenEvent, ProviderError> {
    let id = event.id().ok_or_else(|| ProviderError::Unavailable("an event was written and not named".to_owned()))?;
    Ok(WrittenEvent { provider_event_id: id.to_owned(), etag: event.etag().map(str::to_owned) })
}
