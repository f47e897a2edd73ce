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
    #[schema(ignore)]
    extensions: Map<String, Value>,
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
