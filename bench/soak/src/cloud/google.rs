//! What people do at Google.

use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_fake_google::FakeGoogle;
use chrono::{Days, TimeZone};
use serde_json::{Value, json};

use super::{Kind, Own, Place, Wish, ZONE, instant, wall};

/// The property of an event that says which booking it was written for.
const MARK: &str = "/extendedProperties/private/agentcalBooking";

pub(super) fn put(google: &FakeGoogle, place: &Place, wish: Wish) -> String {
    let mut event = times(wish);
    event["summary"] = "Private matters".into();
    match wish.kind {
        Kind::Free => event["transparency"] = "transparent".into(),
        Kind::Weekly(weeks) => event["recurrence"] = json!([format!("RRULE:FREQ=WEEKLY;COUNT={weeks}")]),
        Kind::Busy | Kind::AllDay => {}
    }
    let made = google.insert(&place.remote_id, event);
    made["id"].as_str().expect("an event has an id").to_owned()
}

pub(super) fn shift(google: &FakeGoogle, place: &Place, event_id: &str, wish: Wish) {
    google.patch(&place.remote_id, event_id, times(wish));
}

/// An instance is named by its series and by when it began before anybody moved it.
pub(super) fn occurrences(
    google: &FakeGoogle,
    place: &Place,
    event_id: &str,
    (first, weeks): (Timestamp, u32),
) -> Vec<(String, Timestamp)> {
    let starts = (0..weeks).filter_map(|week| {
        let wall = wall(first).checked_add_days(Days::new(u64::from(week) * 7))?;
        Some(ZONE.from_local_datetime(&wall).earliest()?.to_utc())
    });
    let named = starts.map(|start| (format!("{event_id}_{}", start.format("%Y%m%dT%H%M%SZ")), Timestamp::from(start)));
    let is_there = |id: &str| google.event(&place.remote_id, id).is_some_and(|event| event["status"] != "cancelled");
    named.filter(|(id, _)| is_there(id)).collect()
}

pub(super) fn own(google: &FakeGoogle, place: &Place) -> Vec<Own> {
    google.events(&place.remote_id).iter().filter_map(own_of).collect()
}

pub(super) fn forget_cursors(google: &FakeGoogle, place: &Place) {
    google.forget_sync_tokens(&place.remote_id);
}

fn own_of(event: &Value) -> Option<Own> {
    let booking_id = event.pointer(MARK)?.as_str()?.parse().ok()?;
    let at = |name: &str| instant(event[name]["dateTime"].as_str()?);
    let range = TimeRange::new(at("start")?, at("end")?)?;
    Some(Own { booking_id, event_id: event["id"].as_str()?.to_owned(), range })
}

fn times(wish: Wish) -> Value {
    let at = |instant: Timestamp| match wish.kind {
        Kind::AllDay => json!({ "date": wall(instant).date().to_string() }),
        _ => json!({ "dateTime": instant.to_utc().to_rfc3339(), "timeZone": ZONE.name() }),
    };
    json!({ "start": at(wish.range.start), "end": at(wish.range.end) })
}
