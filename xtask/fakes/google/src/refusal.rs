//! Errors in the shape of Google's JSON APIs.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Why a call is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: u16,
    domain: &'static str,
    reason: &'static str,
    message: String,
    location: Option<(&'static str, &'static str)>,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: u16, domain: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, domain, reason, message: message.into(), location: None, retry_after: None }
    }

    /// A parameter or a field that cannot be.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "global", "invalid", message)
    }

    pub(crate) fn required(message: impl Into<String>) -> Self {
        Self::new(400, "global", "required", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "global", "notFound", "Not Found")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, "calendar", "requiredAccessLevel", "You need to have writer access to this calendar.")
    }

    pub(crate) fn unauthorized() -> Self {
        let refusal = Self::new(401, "global", "authError", "Invalid Credentials");
        Self { location: Some(("header", "Authorization")), ..refusal }
    }

    pub(crate) fn deleted() -> Self {
        Self::new(410, "global", "deleted", "Resource has been deleted")
    }

    pub(crate) fn condition_not_met() -> Self {
        let refusal = Self::new(412, "global", "conditionNotMet", "Precondition Failed");
        Self { location: Some(("header", "If-Match")), ..refusal }
    }

    pub(crate) fn duplicate() -> Self {
        Self::new(409, "global", "duplicate", "The requested identifier already exists.")
    }

    pub(crate) fn full_sync_required() -> Self {
        let message = "Sync token is no longer valid, a full sync is required.";
        let refusal = Self::new(410, "calendar", "fullSyncRequired", message);
        Self { location: Some(("parameter", "syncToken")), ..refusal }
    }

    pub(crate) fn quota(status: u16, reason: &'static str, retry_after: Duration) -> Self {
        let message = match reason {
            "userRateLimitExceeded" => "User Rate Limit Exceeded",
            _ => {
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service \
                 'calendar-json.googleapis.com' for consumer 'project_number:1'."
            }
        };
        Self { retry_after: Some(retry_after), ..Self::new(status, "usageLimits", reason, message) }
    }

    fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("domain".into(), self.domain.into());
        error.insert("reason".into(), self.reason.into());
        error.insert("message".into(), self.message.clone().into());
        if let Some((kind, location)) = self.location {
            error.insert("locationType".into(), kind.into());
            error.insert("location".into(), location.into());
        }
        json!({"error": {"errors": [error], "code": self.status, "message": self.message}})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.body())).into_response();
        // Google says it with 429 alone.
        if let Some(wait) = self.retry_after.filter(|_| self.status == 429) {
            response.headers_mut().insert("retry-after", HeaderValue::from(wait.as_secs() + 1));
        }
        response
    }
}
