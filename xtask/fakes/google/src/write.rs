//! Making, changing and deleting events.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use crate::FakeGoogle;
use crate::access::{Right, answer};
use crate::calendar::{is_cancelled, is_series, text};
use crate::conferences::{confer, is_asked_again};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::times::{Body, Times};

/// What the server decides, whatever a client says.
const OURS: [&str; 9] =
    ["kind", "etag", "created", "updated", "creator", "htmlLink", "recurringEventId", "originalStartTime", "organizer"];

type Sent = Result<Json<Body>, JsonRejection>;

/// `events.insert`
pub(crate) async fn insert(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path(calendar): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.insert", Right::WriteEvents)?;
    let membership = caller.writes(&google, &calendar)?;
    let mut body = read(&params, sent)?;
    // An event that is refused for its id asks for nothing.
    if !is_taken(&google, &membership.calendar_id, &body) {
        confer(&google, &params, &mut body);
    }
    answer(&params, Value::Object(inserted(&google, &membership.calendar_id, &caller.user, body)?))
}

fn is_taken(google: &FakeGoogle, calendar_id: &str, body: &Body) -> bool {
    let world = google.world();
    let events = world.calendars.get(calendar_id).map(|calendar| &calendar.events);
    text(body, "id").zip(events).is_some_and(|(id, events)| events.contains_key(id))
}

/// `events.patch`
pub(crate) async fn patch(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path((calendar, event)): Path<(String, String)>,
    Query(params): Query<Vec<(String, String)>>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.patch", Right::WriteEvents)?;
    let membership = caller.writes(&google, &calendar)?;
    let mut change = read(&params, sent)?;
    confer_again(&google, &params, &membership.calendar_id, &event, &mut change);
    answer(&params, Value::Object(patched(&google, &membership.calendar_id, &event, change, if_match(&headers))?))
}

/// `events.update`
pub(crate) async fn update(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path((calendar, event)): Path<(String, String)>,
    Query(params): Query<Vec<(String, String)>>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.update", Right::WriteEvents)?;
    let membership = caller.writes(&google, &calendar)?;
    let mut body = read(&params, sent)?;
    confer(&google, &params, &mut body);
    let replace = |old: &Body| {
        let mut new = body.clone();
        for name in OURS.iter().chain(&["id", "iCalUID", "reminders", "eventType"]) {
            if let Some(kept) = old.get(*name).filter(|_| OURS.contains(name) || !body.contains_key(*name)) {
                new.insert((*name).to_owned(), kept.clone());
            }
        }
        new.entry("status").or_insert("confirmed".into());
        new
    };
    let changed = changed(&google, &membership.calendar_id, &event, if_match(&headers), replace)?;
    answer(&params, Value::Object(changed))
}

/// `events.delete`
pub(crate) async fn delete(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path((calendar, event)): Path<(String, String)>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let caller = google.admit(&headers, "events.delete", Right::WriteEvents)?;
    let membership = caller.writes(&google, &calendar)?;
    check_send_updates(&Params(params))?;
    deleted(&google, &membership.calendar_id, &event, if_match(&headers))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn read(params: &Params, sent: Sent) -> Result<Body, Refusal> {
    check_send_updates(params)?;
    let Json(body) = sent.map_err(|error| Refusal::new(400, "global", "parseError", error.body_text()))?;
    Ok(body)
}

fn check_send_updates(params: &Params) -> Result<(), Refusal> {
    match params.get("sendUpdates") {
        None | Some("all" | "externalOnly" | "none") => Ok(()),
        Some(other) => Err(Refusal::invalid(format!("Invalid value '{other}' for sendUpdates."))),
    }
}

fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers.get("if-match").and_then(|value| value.to_str().ok())
}

/// The same for a change, which asks for nothing where it repeats what was asked for.
fn confer_again(google: &FakeGoogle, params: &Params, calendar_id: &str, event_id: &str, change: &mut Body) {
    let now = google.clock().now();
    let old = google.world().calendars.get(calendar_id).and_then(|calendar| calendar.find(event_id, now));
    let asked = change.get("conferenceData");
    if old.zip(asked).is_some_and(|(old, asked)| is_asked_again(&old, asked)) {
        change.remove("conferenceData");
    }
    confer(google, params, change);
}

/// Makes an event in the name of somebody; of the calendar's owner where nobody is named.
pub(crate) fn inserted(google: &FakeGoogle, calendar_id: &str, user: &str, mut body: Body) -> Result<Body, Refusal> {
    let now = google.clock().now();
    let mut world = google.world();
    world.serial += 1;
    let serial = world.serial;
    let calendar = world.calendars.get_mut(calendar_id).ok_or_else(Refusal::not_found)?;
    let times = checked_times(&body, calendar.zone)?;
    let id = match body.get("id").filter(|id| !id.is_null()) {
        None => format!("g{serial:025}"),
        Some(id) => checked_id(id)?,
    };
    if calendar.events.contains_key(&id) {
        return Err(Refusal::duplicate());
    }
    for name in OURS {
        body.remove(name);
    }
    let owner = if user.is_empty() { calendar_id } else { user };
    body.insert("id".into(), id.clone().into());
    body.insert("kind".into(), "calendar#event".into());
    body.insert("created".into(), now.to_rfc3339_opts(SecondsFormat::Millis, true).into());
    body.insert("creator".into(), json!({"email": owner, "self": owner == calendar_id}));
    body.insert("organizer".into(), json!({"email": calendar_id, "self": true}));
    body.insert("htmlLink".into(), format!("https://www.google.com/calendar/event?eid={id}").into());
    body.insert("start".into(), times.start_json());
    body.insert("end".into(), times.end_json());
    let defaults = [
        ("status", json!("confirmed")),
        ("iCalUID", format!("{id}@google.com").into()),
        ("sequence", json!(0)),
        ("reminders", json!({"useDefault": true})),
        ("eventType", json!("default")),
    ];
    for (name, value) in defaults {
        body.entry(name).or_insert(value);
    }
    body.retain(|_, value| !value.is_null());
    mark_self(&mut body, calendar_id);
    let made = calendar.put(&id, body, now);
    drop(world);
    google.ring(calendar_id);
    Ok(made)
}

/// Changes what is named; what is null is taken away.
pub(crate) fn patched(
    google: &FakeGoogle,
    calendar_id: &str,
    event_id: &str,
    change: Body,
    if_match: Option<&str>,
) -> Result<Body, Refusal> {
    let merge = |old: &Body| {
        let mut new = old.clone();
        for (name, value) in &change {
            if !OURS.contains(&name.as_str()) && name != "id" {
                merge_into(&mut new, name, value);
            }
        }
        new
    };
    changed(google, calendar_id, event_id, if_match, merge)
}

fn merge_into(object: &mut Map<String, Value>, name: &str, value: &Value) {
    match (value, object.get_mut(name)) {
        (Value::Null, _) => {
            object.remove(name);
        }
        // A time is said anew as a whole: a date in place of an instant leaves no instant behind.
        (Value::Object(new), Some(Value::Object(old))) if name != "start" && name != "end" => {
            for (inner, value) in new {
                merge_into(old, inner, value);
            }
        }
        _ => {
            object.insert(name.to_owned(), value.clone());
        }
    }
}

/// Changes an event, or an instance of a series, which becomes an exception.
fn changed(
    google: &FakeGoogle,
    calendar_id: &str,
    event_id: &str,
    if_match: Option<&str>,
    change: impl Fn(&Body) -> Body,
) -> Result<Body, Refusal> {
    let now = google.clock().now();
    let mut world = google.world();
    let calendar = world.calendars.get_mut(calendar_id).ok_or_else(Refusal::not_found)?;
    let old = calendar.find(event_id, now).ok_or_else(Refusal::not_found)?;
    check_version(&old, if_match)?;
    let mut new = change(&old);
    if !is_cancelled(&new) {
        let times = checked_times(&new, calendar.zone)?;
        new.insert("start".into(), times.start_json());
        new.insert("end".into(), times.end_json());
    }
    let moved = ["start", "end", "recurrence"].iter().any(|name| old.get(*name) != new.get(*name));
    if moved && let Some(sequence) = old.get("sequence").and_then(Value::as_i64) {
        let said = new.get("sequence").and_then(Value::as_i64).unwrap_or_default();
        new.insert("sequence".into(), said.max(sequence + 1).into());
    }
    mark_self(&mut new, calendar_id);
    let made = calendar.put(event_id, new, now);
    drop(world);
    google.ring(calendar_id);
    Ok(made)
}

/// Deletes an event, a series, or an instance of one.
pub(crate) fn deleted(
    google: &FakeGoogle,
    calendar_id: &str,
    event_id: &str,
    if_match: Option<&str>,
) -> Result<(), Refusal> {
    let now = google.clock().now();
    let mut world = google.world();
    let calendar = world.calendars.get_mut(calendar_id).ok_or_else(Refusal::not_found)?;
    let mut body = calendar.find(event_id, now).ok_or_else(Refusal::not_found)?;
    if is_cancelled(&body) {
        return Err(Refusal::deleted());
    }
    check_version(&body, if_match)?;
    body.insert("status".into(), "cancelled".into());
    calendar.put(event_id, body, now);
    drop(world);
    google.ring(calendar_id);
    Ok(())
}

fn check_version(body: &Body, if_match: Option<&str>) -> Result<(), Refusal> {
    match if_match {
        None | Some("*") => Ok(()),
        Some(wanted) if text(body, "etag") == Some(wanted) => Ok(()),
        Some(_) => Err(Refusal::condition_not_met()),
    }
}

/// Five to 1,024 of the letters a to v and digits: base32hex (RFC 4648, section 7) in lower case.
fn checked_id(id: &Value) -> Result<String, Refusal> {
    let id = id.as_str().unwrap_or_default();
    let is_good = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'v').contains(&byte));
    let has_length = (5..=1_024).contains(&id.len());
    if is_good && has_length { Ok(id.to_owned()) } else { Err(Refusal::invalid("Invalid resource id value.")) }
}

fn checked_times(body: &Body, zone: chrono_tz::Tz) -> Result<Times, Refusal> {
    let times = Times::of(body, zone)?;
    let names_zone = body.get("start").is_some_and(|start| start.get("timeZone").is_some());
    if is_series(body) && !times.all_day && !names_zone {
        return Err(Refusal::required("Missing time zone definition for start time."));
    }
    Ok(times)
}

/// Says which of the guests is the one whose copy this is.
fn mark_self(body: &mut Body, calendar_id: &str) {
    for guest in body.get_mut("attendees").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(guest) = guest.as_object_mut() {
            guest.entry("responseStatus").or_insert("needsAction".into());
            let is_self = guest.get("email").and_then(Value::as_str) == Some(calendar_id);
            if is_self {
                guest.insert("self".into(), true.into());
            }
        }
    }
}
