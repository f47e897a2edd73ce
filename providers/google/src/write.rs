//! Writing bookings: one name per booking, so that writing twice writes one event.

use agentcal_engine::ports::{CalendarRef, EventDelete, EventWrite, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_engine::time::Timestamp;
use chrono::SecondsFormat;
use google_calendar3::api::{Event, EventDateTime, EventExtendedProperties};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{Refusal, json};
use crate::conference;
use crate::event_id;
use crate::session::{Call, Session};

/// Times a write is tried again because somebody else wrote in between.
const ATTEMPTS_MAX: usize = 5;
/// All that is asked back.
const FIELDS: &str = "id,status,etag,start,end,recurrence";
/// Nobody is invited by Google, so nobody is told by it.
const QUERY: [(&str, &str); 2] = [("sendUpdates", "none"), ("fields", FIELDS)];
/// The same where a conference is asked for. Without the version Google takes no notice of conferences, and leaves them alone.
const QUERY_CONFERENCE: [(&str, &str); 3] =
    [("sendUpdates", "none"), ("fields", FIELDS), ("conferenceDataVersion", "1")];
/// The private property that tells people and programs which booking an event shows.
const BOOKING_PROPERTY: &str = "agentcalBooking";

/// An event of ours, as far as it is looked at.
#[derive(Debug, Default, Deserialize)]
struct Present {
    id: String,
    #[serde(default)]
    status: String,
    etag: Option<String>,
    start: Option<EventDateTime>,
    end: Option<EventDateTime>,
    recurrence: Option<Vec<String>>,
}

impl Present {
    fn is_cancelled(&self) -> bool {
        self.status == "cancelled"
    }

    /// Whether it is when the booking is, and once.
    fn shows(&self, write: &EventWrite) -> bool {
        let at = |point: &Option<EventDateTime>| point.as_ref().and_then(|point| point.date_time).map(Timestamp::from);
        at(&self.start) == Some(write.range.start)
            && at(&self.end) == Some(write.range.end)
            && self.recurrence.is_none()
    }

    fn written(self) -> WriteOutcome {
        WriteOutcome::Written(WrittenEvent { provider_event_id: self.id, etag: self.etag })
    }
}

/// What a try came to.
enum Tried {
    /// It is done.
    Done(Present),
    /// Something is there already.
    Taken,
    /// Nothing is there.
    Missing,
    /// What is there has another version than was thought.
    Changed,
}

pub(crate) async fn write_event(
    session: &Session<'_>,
    calendar: &CalendarRef,
    write: &EventWrite,
) -> Result<WriteOutcome, ProviderError> {
    let writer = Writer { session, calendar, write };
    // What was confirmed as written is most likely there still, as it was; what was not, most likely is not.
    let mut tried = match &write.known {
        Some(WrittenEvent { provider_event_id, etag: Some(etag) }) => {
            writer.patch(provider_event_id, Some(etag)).await?
        }
        Some(_) => Tried::Changed,
        None => writer.insert().await?,
    };
    for _ in 0..ATTEMPTS_MAX {
        tried = match tried {
            Tried::Done(present) => return Ok(present.written()),
            Tried::Missing => writer.insert().await?,
            Tried::Taken | Tried::Changed => match writer.get().await? {
                None => Tried::Missing,
                // Never confirmed, and yet deleted by somebody who saw it: the booking did not change since.
                Some(present) if present.is_cancelled() && write.known.is_none() => {
                    return Ok(WriteOutcome::DeletedByHuman);
                }
                Some(present) if !present.is_cancelled() && present.shows(write) => Tried::Done(present),
                Some(present) => writer.patch(&present.id, present.etag.as_deref()).await?,
            },
        };
    }
    Err(ProviderError::Unavailable("the event keeps changing while it is written".to_owned()))
}

pub(crate) async fn delete_event(
    session: &Session<'_>,
    calendar: &CalendarRef,
    delete: &EventDelete,
) -> Result<(), ProviderError> {
    let derived = event_id::of_booking(delete.booking_id);
    let id = delete.known.as_ref().map_or(derived.as_str(), |known| &known.provider_event_id);
    let path = ["calendars", &calendar.provider_calendar_id, "events", id];
    let response = session.send(Call::new(Method::DELETE, &path, &[("sendUpdates", "none")])).await?;
    match response.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
        status if status.is_success() => Ok(()),
        _ => Err(Refusal::of(&response).into_error()),
    }
}

struct Writer<'a> {
    session: &'a Session<'a>,
    calendar: &'a CalendarRef,
    write: &'a EventWrite,
}

impl Writer<'_> {
    fn event_id(&self) -> String {
        let derived = || event_id::of_booking(self.write.booking_id);
        self.write.known.as_ref().map_or_else(derived, |known| known.provider_event_id.clone())
    }

    async fn insert(&self) -> Result<Tried, ProviderError> {
        let path = ["calendars", &self.calendar.provider_calendar_id, "events"];
        let call = Call::new(Method::POST, &path, self.query()).body(self.whole());
        let response = self.session.send(call).await?;
        match response.status {
            status if status.is_success() => json(&response).map(Tried::Done),
            StatusCode::CONFLICT => Ok(Tried::Taken),
            _ => Err(Refusal::of(&response).into_error()),
        }
    }

    fn query(&self) -> &'static [(&'static str, &'static str)] {
        if self.write.conference.is_some() { &QUERY_CONFERENCE } else { &QUERY }
    }

    async fn get(&self) -> Result<Option<Present>, ProviderError> {
        let id = self.event_id();
        let path = ["calendars", &self.calendar.provider_calendar_id, "events", &id];
        let response = self.session.send(Call::new(Method::GET, &path, &[("fields", FIELDS)])).await?;
        match response.status {
            status if status.is_success() => json(&response).map(Some),
            // Where the calendar is what is not there, inserting will say so.
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            _ => Err(Refusal::of(&response).into_error()),
        }
    }

    async fn patch(&self, id: &str, etag: Option<&str>) -> Result<Tried, ProviderError> {
        let path = ["calendars", &self.calendar.provider_calendar_id, "events", id];
        let call = Call::new(Method::PATCH, &path, &QUERY).body(self.times()).if_match(etag);
        let response = self.session.send(call).await?;
        match response.status {
            status if status.is_success() => json(&response).map(Tried::Done),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Tried::Changed),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(Tried::Missing),
            _ => Err(Refusal::of(&response).into_error()),
        }
    }

    /// The event as it is first written.
    fn whole(&self) -> Value {
        let write = self.write;
        let point = |instant: Timestamp| EventDateTime {
            date_time: Some(instant.to_utc()),
            time_zone: Some(write.timezone.name().to_owned()),
            ..EventDateTime::default()
        };
        let mark = (BOOKING_PROPERTY.to_owned(), write.booking_id.to_string());
        let event = Event {
            id: Some(event_id::of_booking(write.booking_id)),
            status: Some("confirmed".to_owned()),
            summary: Some(write.summary.clone()),
            description: write.description.clone(),
            location: write.location.clone(),
            start: Some(point(write.range.start)),
            end: Some(point(write.range.end)),
            extended_properties: Some(EventExtendedProperties { private: Some([mark].into()), shared: None }),
            ..Event::default()
        };
        let mut value = serde_json::to_value(event).expect("an event is plain data");
        if write.conference.is_some() {
            value["conferenceData"] = conference::request(write.booking_id);
        }
        // The crate writes what is not there as null, which Google takes for a wish to remove it.
        remove_nulls(&mut value);
        value
    }

    /// What makes the event that is there show the booking: when it is, that it is once, and that it is at all. What people
    /// added to it stays.
    fn times(&self) -> Value {
        let point = |instant: Timestamp| {
            let text = instant.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true);
            json!({"dateTime": text, "timeZone": self.write.timezone.name(), "date": null})
        };
        json!({
            "start": point(self.write.range.start), "end": point(self.write.range.end),
            "status": "confirmed", "recurrence": null,
        })
    }
}

fn remove_nulls(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|_, inner| !inner.is_null());
        object.values_mut().for_each(remove_nulls);
    }
}
