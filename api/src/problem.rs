//! Problem documents (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Code, FieldError};

/// The media type of every refusal.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal, all but the request it answers.
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) extensions: Map<String, Value>,
}

/// Why a request was refused (RFC 9457). Some codes add members of their own.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// Names the kind of problem; ends in `code`.
    #[schema(example = "urn:agentcal:problem:validation_failed")]
    r#type: String,
    /// The same for every problem of this kind.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// Stable name of the kind of problem.
    #[schema(example = "validation_failed")]
    code: &'static str,
    /// The id of the request, as in `X-Request-Id`.
    #[schema(example = "req_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    request_id: String,
    /// The fields at fault.
    errors: Vec<FieldProblem>,
    #[serde(flatten)]
    #[schema(value_type = ProblemExtensions)]
    extensions: Map<String, Value>,
}

/// Members that some problems have besides.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemExtensions {
    /// Bookable times to offer instead, nearest first, spread over days: with `slot_unavailable`, `slot_id_invalid`,
    /// `slot_id_expired`, `hold_expired`, and where a `slot_id` is required.
    #[schema(required = false)]
    alternatives: Vec<ProblemAlternative>,
    /// Why each host cannot be booked: with `slot_unavailable`. Not for publishable keys.
    #[schema(required = false)]
    reasons: Vec<ProblemReasons>,
    /// The record of the decision: with `slot_unavailable`. Not for publishable keys; null for a dry run.
    #[schema(required = false)]
    decision_id: Option<String>,
    /// The booking the hold became: with `hold_confirmed`.
    #[schema(required = false)]
    booking_id: String,
    /// Of whom what is not known, and why: with `availability_unavailable`.
    #[schema(required = false)]
    freshness: ProblemFreshness,
}

/// A bookable time.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemAlternative {
    /// When it begins.
    #[schema(format = DateTime)]
    start_time: String,
    /// When it ends.
    #[schema(format = DateTime)]
    end_time: String,
    /// Who is free.
    user_ids: Vec<String>,
    /// Stands for it; null where it cannot be offered any more.
    #[schema(required = true)]
    slot_id: Option<String>,
}

/// What speaks against a host.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemReasons {
    /// The host.
    user_id: String,
    /// All that speaks against it; nothing: it is free.
    reasons: Vec<String>,
}

/// How much is known, when that is not enough.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemFreshness {
    /// Always `unavailable`.
    state: String,
    /// Always null.
    #[schema(format = DateTime, required = true)]
    as_of: Option<String>,
    /// Of whom nothing is known.
    users: Vec<ProblemLeftOut>,
}

/// Of whom nothing is known, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemLeftOut {
    /// Who.
    user_id: String,
    /// Why.
    reason: String,
}

/// One field at fault.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Path of the field in the body, or the name of the query parameter or header.
    #[schema(example = "rules[0].start_time")]
    field: String,
    /// Stable name of the fault.
    code: &'static str,
    /// What to do about it.
    detail: String,
    /// The line that is to blame, counted from 1: in a text of many lines, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = usize, required = false)]
    line: Option<usize>,
}

impl Problem {
    /// The whole response.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let status = self.code.status();
        let retry_after = self.retry_after;
        let view = self.into_view(request_id);
        let body = serde_json::to_vec(&view).unwrap_or_else(|_| b"{}".to_vec());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(after) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if status == http::StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn into_view(self, request_id: &str) -> ProblemView {
        let errors = self.errors.into_iter().map(|error| FieldProblem {
            field: error.field,
            code: error.code.as_str(),
            detail: error.detail.into_owned(),
            line: error.line,
        });
        ProblemView {
            r#type: format!("urn:agentcal:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.into_owned(),
            code: self.code.as_str(),
            request_id: request_id.to_owned(),
            errors: errors.collect(),
            extensions: self.extensions,
        }
    }
}
