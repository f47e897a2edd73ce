//! Calendars as a user lists them.

use agentcal_fake_kit::tokens;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use crate::access::{Right, answer};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::{FakeGoogle, Membership};

/// `calendarList.list`
pub(crate) async fn list(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "calendarList.list", Right::ListCalendars)?;
    let len = params.page_len(100, 250)?;
    let begin = match params.get("pageToken") {
        None => 0,
        Some(token) => tokens::decode::<usize>("calendarList", token)
            .ok_or_else(|| Refusal::invalid("Invalid page token value."))?,
    };
    let wanted = params.get("minAccessRole").map(rank).unwrap_or_default();
    let world = google.world();
    let len = len.min(world.page_len_max.unwrap_or(len));
    let memberships = world.users.get(&caller.user).map(Vec::as_slice).unwrap_or_default();
    let wanted: Vec<&Membership> = memberships.iter().filter(|entry| rank(&entry.access_role) >= wanted).collect();
    let items: Vec<Value> = wanted.iter().skip(begin).take(len).filter_map(|entry| entry_json(&world, entry)).collect();
    let mut page = json!({"kind": "calendar#calendarList", "etag": "\"p33o\"", "items": items});
    if begin + len < wanted.len() {
        page["nextPageToken"] = tokens::encode("calendarList", &(begin + len)).into();
    } else {
        page["nextSyncToken"] = tokens::encode("calendarListSync", &0u8).into();
    }
    drop(world);
    answer(&params, page)
}

/// `calendarList.get`
pub(crate) async fn get_entry(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path(calendar): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "calendarList.get", Right::ListCalendars)?;
    let membership = caller.membership(&google, &calendar)?;
    let entry = entry_json(&google.world(), &membership).ok_or_else(Refusal::not_found)?;
    answer(&params, entry)
}

/// `calendars.get`
pub(crate) async fn get_calendar(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path(calendar): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "calendars.get", Right::ReadEvents)?;
    let membership = caller.membership(&google, &calendar)?;
    let found = google.world().calendars.get(&membership.calendar_id).map(|calendar| {
        json!({
            "kind": "calendar#calendar", "etag": "\"cal\"", "id": calendar.id, "summary": calendar.summary,
            "timeZone": calendar.zone.name(),
            "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
        })
    });
    answer(&params, found.ok_or_else(Refusal::not_found)?)
}

fn entry_json(world: &crate::World, membership: &Membership) -> Option<Value> {
    let calendar = world.calendars.get(&membership.calendar_id)?;
    let mut entry = json!({
        "kind": "calendar#calendarListEntry", "etag": "\"entry\"", "id": calendar.id, "summary": calendar.summary,
        "timeZone": calendar.zone.name(), "colorId": "14", "backgroundColor": "#9fe1e7",
        "foregroundColor": "#000000", "selected": true, "accessRole": membership.access_role,
        "defaultReminders": [], "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    });
    if membership.primary {
        entry["primary"] = true.into();
        entry["defaultReminders"] = json!([{"method": "popup", "minutes": 10}]);
    }
    Some(entry)
}

/// How much a role may, for comparison.
fn rank(role: &str) -> u8 {
    match role {
        "freeBusyReader" => 1,
        "reader" => 2,
        "writer" => 3,
        "owner" => 4,
        _ => 0,
    }
}
