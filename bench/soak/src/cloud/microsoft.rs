//! What people do in Outlook.

use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use agentcal_fake_microsoft::FakeGraph;
use chrono::{Datelike, NaiveDateTime};
use serde_json::{Value, json};

use super::{Kind, Own, Place, Wish, wall};

/// What Windows calls the zone everybody lives in.
pub(super) const ZONE_NAME: &str = "W. Europe Standard Time";
/// What the transaction in which one of our events is made ends with.
const MARK: &str = "@agentcal";
/// Longer than any series is.
const WEEKS_MAX: i64 = 10;

pub(super) fn put(graph: &FakeGraph, place: &Place, wish: Wish) -> String {
    let mut event = times(wish);
    event["subject"] = "Private matters".into();
    match wish.kind {
        Kind::Busy => {}
        Kind::Free => event["showAs"] = "free".into(),
        Kind::AllDay => event["isAllDay"] = true.into(),
        Kind::Weekly(weeks) => {
            let first = wall(wish.range.start).date();
            let day = format!("{:?}", first.weekday());
            let name = DAYS.iter().find(|name| name.starts_with(&day.to_lowercase())).expect("a day of the week");
            event["recurrence"] = json!({
                "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": [name] },
                "range": { "type": "numbered", "startDate": first.to_string(), "numberOfOccurrences": weeks },
            });
        }
    }
    let made = act(graph, place, "POST", "", event);
    made["id"].as_str().expect("an event has an id").to_owned()
}

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

pub(super) fn shift(graph: &FakeGraph, place: &Place, event_id: &str, wish: Wish) {
    act(graph, place, "PATCH", &format!("/{event_id}"), times(wish));
}

pub(super) fn occurrences(
    graph: &FakeGraph,
    place: &Place,
    event_id: &str,
    first: Timestamp,
) -> Vec<(String, Timestamp)> {
    let date = |days: i64| first.plus_micros(days * DAY_US).to_utc().format("%Y-%m-%dT00:00:00Z").to_string();
    let below =
        format!("/{event_id}/instances?startDateTime={}&endDateTime={}&$top=100", date(-1), date(WEEKS_MAX * 7));
    let all = act(graph, place, "GET", &below, Value::Null);
    let found = all["value"].as_array().into_iter().flatten();
    found.filter_map(|event| Some((event["id"].as_str()?.to_owned(), at(event, "start")?))).collect()
}

pub(super) fn delete(graph: &FakeGraph, place: &Place, event_id: &str) {
    act(graph, place, "DELETE", &format!("/{event_id}"), Value::Null);
}

pub(super) fn own(graph: &FakeGraph, place: &Place) -> Vec<Own> {
    let all = act(graph, place, "GET", "?$top=999", Value::Null);
    assert!(all.get("@odata.nextLink").is_none(), "a calendar has more events than one page");
    all["value"].as_array().into_iter().flatten().filter_map(own_of).collect()
}

fn own_of(event: &Value) -> Option<Own> {
    let name = event["transactionId"].as_str()?.strip_suffix(MARK)?;
    let booking_id = name.split('.').next()?.parse().ok()?;
    let range = TimeRange::new(at(event, "start")?, at(event, "end")?)?;
    Some(Own { booking_id, event_id: event["id"].as_str()?.to_owned(), range })
}

fn at(event: &Value, name: &str) -> Option<Timestamp> {
    let text = event[name]["dateTime"].as_str()?;
    Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc().into())
}

fn act(graph: &FakeGraph, place: &Place, method: &str, below: &str, body: Value) -> Value {
    let path = format!("/me/calendars/{}/events{below}", place.remote_id);
    let (status, answer) = graph.act(&place.address, method, &path, body);
    assert!(status < 300, "{method} {path}: {status} {answer}");
    answer
}

fn times(wish: Wish) -> Value {
    let at = |instant: Timestamp| {
        let wall = wall(instant);
        let text = match wish.kind {
            Kind::AllDay => wall.format("%Y-%m-%dT00:00:00"),
            _ => wall.format("%Y-%m-%dT%H:%M:%S"),
        };
        json!({ "dateTime": text.to_string(), "timeZone": ZONE_NAME })
    };
    json!({ "start": at(wish.range.start), "end": at(wish.range.end) })
}
