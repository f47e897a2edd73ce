//! When calendars are busy.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::FakeGoogle;
use crate::access::{Right, answer};
use crate::calendar::{Calendar, text};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::times::Body;

/// Most calendars of one question.
const CALENDARS_MAX: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question {
    time_min: DateTime<Utc>,
    time_max: DateTime<Utc>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    id: String,
}

/// `freebusy.query`
pub(crate) async fn query(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Query(params): Query<Vec<(String, String)>>,
    question: Result<Json<Question>, JsonRejection>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "freebusy.query", Right::FreeBusy)?;
    let Json(question) = question.map_err(|error| Refusal::new(400, "global", "badRequest", error.body_text()))?;
    if question.time_min >= question.time_max {
        return Err(Refusal::new(400, "calendar", "timeRangeEmpty", "The specified time range is empty."));
    }
    if question.items.len() > CALENDARS_MAX {
        return Err(Refusal::new(400, "calendar", "tooManyCalendarsRequested", "Too many calendars."));
    }
    let mut calendars = Map::new();
    for Item { id } in &question.items {
        let found = caller.reads(&google, id).ok();
        let busy = found.and_then(|membership| {
            let world = google.world();
            let calendar = world.calendars.get(&membership.calendar_id)?;
            Some(busy(calendar, question.time_min, question.time_max))
        });
        calendars.insert(id.clone(), calendar_json(busy));
    }
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (min, max) = (at(question.time_min), at(question.time_max));
    answer(&params, json!({"kind": "calendar#freeBusy", "timeMin": min, "timeMax": max, "calendars": calendars}))
}

fn calendar_json(busy: Option<Vec<(DateTime<Utc>, DateTime<Utc>)>>) -> Value {
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    match busy {
        None => json!({"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}),
        Some(busy) => {
            let periods = busy.iter().map(|&(start, end)| json!({"start": at(start), "end": at(end)}));
            json!({"busy": periods.collect::<Vec<_>>()})
        }
    }
}

/// Merged busy time: what is opaque, not cancelled, and not declined by the calendar's owner.
pub(crate) fn busy(calendar: &Calendar, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let shown = calendar.shown(true, to).into_iter().filter(|shown| !shown.cancelled);
    let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = shown
        .filter(|shown| blocks(&shown.body()))
        .filter_map(|shown| shown.span)
        .map(|(start, end)| (start.max(from), end.min(to)))
        .filter(|(start, end)| start < end)
        .collect();
    spans.sort();
    let mut merged: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

fn blocks(body: &Body) -> bool {
    let guests = body.get("attendees").and_then(Value::as_array).into_iter().flatten();
    let declined = guests
        .filter(|guest| guest.get("self") == Some(&Value::Bool(true)))
        .any(|guest| guest.get("responseStatus").and_then(Value::as_str) == Some("declined"));
    let elsewhere = text(body, "eventType") == Some("workingLocation");
    text(body, "transparency") != Some("transparent") && !declined && !elsewhere
}
