//! Who asks, whether they may, and how often.

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::fields::Selection;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::{FakeGoogle, Membership};

const CALENDAR: &str = "https://www.googleapis.com/auth/calendar";
const READONLY: &str = "https://www.googleapis.com/auth/calendar.readonly";
const EVENTS: &str = "https://www.googleapis.com/auth/calendar.events";
const EVENTS_READONLY: &str = "https://www.googleapis.com/auth/calendar.events.readonly";
const LIST_READONLY: &str = "https://www.googleapis.com/auth/calendar.calendarlist.readonly";
const FREE_BUSY: &str = "https://www.googleapis.com/auth/calendar.freebusy";

/// What a call is about; each needs one of some scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    ListCalendars,
    ReadEvents,
    WriteEvents,
    FreeBusy,
}

impl Right {
    fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::ListCalendars => &[CALENDAR, READONLY, LIST_READONLY],
            Self::ReadEvents => &[CALENDAR, READONLY, EVENTS, EVENTS_READONLY],
            Self::WriteEvents => &[CALENDAR, EVENTS],
            Self::FreeBusy => &[CALENDAR, READONLY, FREE_BUSY],
        }
    }
}

/// Somebody who may ask.
pub(crate) struct Caller {
    pub(crate) user: String,
}

impl FakeGoogle {
    /// Counts the call and lets it in, or says why not.
    pub(crate) fn admit(&self, headers: &HeaderMap, operation: &str, right: Right) -> Result<Caller, Refusal> {
        let now = self.clock().now();
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = header.strip_prefix("Bearer ").unwrap_or_default();
        let (bearer, with_429) = {
            let world = self.world();
            (world.grants.bearer(token, now), world.refuses_with_429)
        };
        let Some(bearer) = bearer else {
            self.calls().count("", operation);
            return Err(Refusal::unauthorized());
        };
        self.calls().count(&bearer.user, operation);
        let status = if with_429 { 429 } else { 403 };
        let per_user = format!("{} {}", bearer.client_id, bearer.user);
        self.user_quota().take(&per_user, now).map_err(|wait| Refusal::quota(status, "userRateLimitExceeded", wait))?;
        self.project_quota()
            .take(&bearer.client_id, now)
            .map_err(|wait| Refusal::quota(status, "rateLimitExceeded", wait))?;
        if !right.scopes().iter().any(|scope| bearer.scopes.contains(*scope)) {
            let message = "Request had insufficient authentication scopes.";
            return Err(Refusal::new(403, "global", "insufficientPermissions", message));
        }
        Ok(Caller { user: bearer.user })
    }
}

impl Caller {
    /// The calendar meant by a path, as this user has it.
    pub(crate) fn membership(&self, google: &FakeGoogle, calendar: &str) -> Result<Membership, Refusal> {
        let world = google.world();
        let memberships = world.users.get(&self.user).map(Vec::as_slice).unwrap_or_default();
        let found = memberships.iter().find(|membership| match calendar {
            "primary" => membership.primary,
            id => membership.calendar_id == id,
        });
        found.cloned().ok_or_else(Refusal::not_found)
    }

    /// The id of a calendar whose events this user may read.
    pub(crate) fn reads(&self, google: &FakeGoogle, calendar: &str) -> Result<Membership, Refusal> {
        self.membership(google, calendar)
    }

    /// The id of a calendar this user may write to.
    pub(crate) fn writes(&self, google: &FakeGoogle, calendar: &str) -> Result<Membership, Refusal> {
        let membership = self.membership(google, calendar)?;
        let may = ["owner", "writer"].contains(&membership.access_role.as_str());
        if may { Ok(membership) } else { Err(Refusal::forbidden()) }
    }
}

/// An answer, cut to the fields that were asked for.
pub(crate) fn answer(params: &Params, mut value: Value) -> Result<Response, Refusal> {
    let etag = value.get("etag").and_then(Value::as_str).and_then(|etag| etag.parse().ok());
    if let Some(fields) = params.get("fields") {
        Selection::parse(fields)?.apply(&mut value);
    }
    let mut response = Json(value).into_response();
    if let Some(etag) = etag {
        response.headers_mut().insert("etag", etag);
    }
    Ok(response)
}
