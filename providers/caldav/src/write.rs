//! Writing bookings: one href per booking, so that writing twice writes one event.

use agentcal_engine::icalendar::{booking_uid, retime, shows, write_event as render};
use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{EventDelete, EventWrite, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_engine::time::Timestamp;
use agentcal_provider_egress::EgressResponse;
use http::StatusCode;
use url::Url;

use crate::bodies;
use crate::error::from_status;
use crate::href::{canonical_path, resolve};
use crate::session::{Condition, Depth, Session, date_of, etag_of};
use crate::xml::preconditions;

/// Times a write is tried again because somebody else wrote in between.
const ATTEMPTS_MAX: usize = 5;

pub(crate) async fn write_event(session: &Session, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
    let mut url = event_url(session, write.booking_id, write.known.as_ref().map(|known| &*known.provider_event_id))?;
    // What was confirmed as written is most likely there still; what was not, most likely is not.
    let mut look_first = write.known.is_some();
    let mut now = write.created_at;
    for _ in 0..ATTEMPTS_MAX {
        let present = if look_first { session.get(&url).await? } else { None };
        look_first = true;
        if let Some(present) = &present {
            now = clock_of(present).unwrap_or(now);
        }
        let (condition, body) = match &present {
            None => (Condition::Absent, render(write, now)),
            Some(present) => match changed(present, write, now)? {
                Some(body) => (Condition::Version(etag_of(present)), body),
                None => return Ok(written(&url, etag_of(present))),
            },
        };
        let response = session.put(&url, condition, body).await?;
        match response.status {
            status if status.is_success() => return Ok(written(&url, etag_of(&response))),
            StatusCode::PRECONDITION_FAILED => {}
            StatusCode::CONFLICT | StatusCode::FORBIDDEN if is_uid_conflict(&response) => {
                url = find_by_uid(session, write.booking_id).await?.ok_or_else(|| from_status(&response))?;
            }
            StatusCode::CONFLICT | StatusCode::NOT_FOUND | StatusCode::GONE => return Err(ProviderError::CalendarGone),
            _ => return Err(from_status(&response)),
        }
    }
    Err(ProviderError::Unavailable("the event keeps changing while it is written".to_owned()))
}

pub(crate) async fn delete_event(session: &Session, delete: &EventDelete) -> Result<(), ProviderError> {
    let url = event_url(session, delete.booking_id, delete.known.as_ref().map(|known| &*known.provider_event_id))?;
    if session.delete(&url).await? {
        return Ok(());
    }
    // Some programs store an event anew, under a name of their own.
    match find_by_uid(session, delete.booking_id).await {
        Ok(Some(elsewhere)) => session.delete(&elsewhere).await.map(|_| ()),
        Ok(None) | Err(ProviderError::CalendarGone | ProviderError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn event_url(session: &Session, booking_id: BookingId, known: Option<&str>) -> Result<Url, ProviderError> {
    match known {
        Some(path) => resolve(&session.base, path),
        None => resolve(&session.base, &format!("{}{booking_id}.ics", session.base.path())),
    }
}

/// The new text of an event that is there; `None` when it shows the booking already.
fn changed(present: &EgressResponse, write: &EventWrite, now: Timestamp) -> Result<Option<String>, ProviderError> {
    let text = String::from_utf8_lossy(&present.body);
    if shows(&text, write) {
        return Ok(None);
    }
    match retime(&text, write, now) {
        Ok(body) => Ok(Some(body)),
        // Somebody made something else of it, such as a series; the booking is one meeting, and is written anew.
        Err(_) if text.contains(&booking_uid(write.booking_id)) => Ok(Some(render(write, now))),
        Err(error) => Err(ProviderError::Refused(error.to_string())),
    }
}

fn written(url: &Url, etag: Option<String>) -> WriteOutcome {
    WriteOutcome::Written(WrittenEvent { provider_event_id: canonical_path(url.path()), etag })
}

/// The server's clock dates a change; nothing here reads one of its own.
fn clock_of(response: &EgressResponse) -> Option<Timestamp> {
    date_of(response).map(|date| Timestamp::from(date.to_utc()))
}

fn is_uid_conflict(response: &EgressResponse) -> bool {
    preconditions(&response.body).iter().any(|element| element.name == "no-uid-conflict")
}

async fn find_by_uid(session: &Session, booking_id: BookingId) -> Result<Option<Url>, ProviderError> {
    let answer = session.report(Depth::Members, bodies::query_uid(&booking_uid(booking_id))).await?;
    let href = answer.responses.into_iter().map(|response| response.href).find(|href| !href.ends_with('/'));
    href.map(|href| resolve(&session.base, &href)).transpose()
}
