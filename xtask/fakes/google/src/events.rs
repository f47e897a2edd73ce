//! One event.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::FakeGoogle;
use crate::access::{Right, answer};
use crate::calendar::text;
use crate::params::Params;
use crate::refusal::Refusal;

/// `events.get`
pub(crate) async fn get(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path((calendar, event)): Path<(String, String)>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.get", Right::ReadEvents)?;
    let membership = caller.reads(&google, &calendar)?;
    let now = google.clock().now();
    let found = google.world().calendars.get(&membership.calendar_id).and_then(|calendar| calendar.find(&event, now));
    let body = found.ok_or_else(Refusal::not_found)?;
    let known = headers.get("if-none-match").and_then(|value| value.to_str().ok());
    if known.is_some() && known == text(&body, "etag") {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    answer(&params, Value::Object(body))
}
