//! What was tried, and trying it again.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::FakeSvix;
use crate::dispatch::dispatch;
use crate::lists::{Page, page};
use crate::messages::{self, Content};
use crate::refusal::Refusal;
use crate::world::{Application, Attempt};

/// Statuses of messages and attempts.
const SUCCESS: u8 = 0;
const FAIL: u8 = 2;
const SENDING: u8 = 3;
/// How far back messages are sent again.
const RECOVER_DAYS_MAX: i64 = 14;

#[derive(Default, Deserialize)]
pub(crate) struct Filter {
    status: Option<u8>,
    endpoint_id: Option<String>,
    after: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
pub(crate) struct RecoverIn {
    since: DateTime<Utc>,
}

/// Messages that were tried at an endpoint, newest first, each with what its last attempt came to.
pub(crate) async fn attempted_messages(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Query(query): Query<Page>,
    Query(filter): Query<Filter>,
    Query(content): Query<Content>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let endpoint = application.endpoint(&endpoint).ok_or(Refusal::NotFound)?;
    let mut rows = Vec::new();
    for (message_id, last) in standings(application, &endpoint.id).into_iter().rev() {
        let status = status_of(last);
        let Some(message) = application.messages.get(message_id) else { continue };
        if filter.status.is_some_and(|wanted| wanted != status)
            || filter.after.is_some_and(|after| message.timestamp <= after)
        {
            continue;
        }
        let mut row = messages::shown(message, content.is_wanted());
        row["status"] = json!(status);
        row["statusText"] = json!(status_text(status));
        if let Some(next) = last.next_attempt {
            row["nextAttempt"] = json!(next);
        }
        rows.push((message.id.clone(), row));
    }
    Ok(Json(page(rows, &query)))
}

pub(crate) async fn of_message(
    State(svix): State<FakeSvix>,
    Path((app, message)): Path<(String, String)>,
    Query(query): Query<Page>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let message = application.message(&message).ok_or(Refusal::NotFound)?;
    let endpoint = match filter.endpoint_id.as_deref() {
        Some(named) => Some(application.endpoint(named).ok_or(Refusal::NotFound)?),
        None => None,
    };
    let of_it =
        application.attempts.iter().rev().filter(|one| {
            one.message_id == message.id && endpoint.is_none_or(|endpoint| endpoint.id == one.endpoint_id)
        });
    Ok(Json(page(of_it.map(|one| (one.id.clone(), shown(one))).collect(), &query)))
}

pub(crate) async fn of_endpoint(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Query(query): Query<Page>,
) -> Result<Json<Value>, Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let endpoint = application.endpoint(&endpoint).ok_or(Refusal::NotFound)?;
    let of_it = application.attempts.iter().rev().filter(|one| one.endpoint_id == endpoint.id);
    Ok(Json(page(of_it.map(|one| (one.id.clone(), shown(one))).collect(), &query)))
}

/// Sends a message to an endpoint again, whatever became of it.
pub(crate) async fn resend(
    State(svix): State<FakeSvix>,
    Path((app, message, endpoint)): Path<(String, String, String)>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let world = svix.world();
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let message = application.message(&message).ok_or(Refusal::NotFound)?;
    let endpoint = application.endpoint(&endpoint).ok_or(Refusal::NotFound)?;
    dispatch(&svix, &application.id, message, &endpoint.id, true);
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

/// Sends everything again that was given up since an instant.
pub(crate) async fn recover(
    State(svix): State<FakeSvix>,
    Path((app, endpoint)): Path<(String, String)>,
    Json(body): Json<RecoverIn>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let now = svix.clock().now();
    if body.since < now - TimeDelta::days(RECOVER_DAYS_MAX) - TimeDelta::minutes(5) {
        return Err(Refusal::Invalid("since", "Cannot recover more than 14 days of messages".to_owned()));
    }
    let mut world = svix.world();
    let task = world.id("qtask");
    let application = world.application(&app).ok_or(Refusal::NotFound)?;
    let endpoint = application.endpoint(&endpoint).ok_or(Refusal::NotFound)?;
    for (message_id, last) in standings(application, &endpoint.id) {
        let message = application.messages.get(message_id).filter(|one| one.timestamp >= body.since);
        if let Some(message) = message.filter(|_| status_of(last) == FAIL) {
            dispatch(&svix, &application.id, message, &endpoint.id, true);
        }
    }
    let answer = json!({"id": task, "status": "running", "task": "endpoint.recover", "updatedAt": now});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// For each message that was tried at an endpoint, the attempt that tells where it stands: a success, or the last one.
fn standings<'a>(application: &'a Application, endpoint_id: &str) -> BTreeMap<&'a str, &'a Attempt> {
    let mut standings: BTreeMap<&str, &Attempt> = BTreeMap::new();
    for attempt in application.attempts.iter().filter(|one| one.endpoint_id == endpoint_id) {
        let standing = standings.entry(attempt.message_id.as_str()).or_insert(attempt);
        if !standing.is_success {
            *standing = attempt;
        }
    }
    standings
}

fn status_of(attempt: &Attempt) -> u8 {
    match (attempt.is_success, attempt.next_attempt) {
        (true, _) => SUCCESS,
        (false, Some(_)) => SENDING,
        (false, None) => FAIL,
    }
}

fn status_text(status: u8) -> &'static str {
    match status {
        SUCCESS => "success",
        SENDING => "sending",
        _ => "fail",
    }
}

fn shown(one: &Attempt) -> Value {
    let status = if one.is_success { SUCCESS } else { FAIL };
    json!({
        "id": one.id, "msgId": one.message_id, "endpointId": one.endpoint_id, "url": one.url,
        "response": one.response, "responseStatusCode": one.status_code, "responseDurationMs": one.duration_ms,
        "status": status, "statusText": status_text(status), "triggerType": u8::from(one.is_manual),
        "timestamp": one.timestamp,
    })
}
