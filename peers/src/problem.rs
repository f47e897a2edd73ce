//! Refusals as problem documents (RFC 9457), in the shape of the public api.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use agentcal_actors::NotOwner;

/// When to come again after too much was asked at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a peer's request was refused. Nothing of it was begun.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    NotOwner,
    Unauthorized(&'static str),
    Malformed(String),
    InvalidDeadline,
    TooLarge(usize),
    TooSlow,
    TooMany,
    Method,
}

/// The document. Its members and their order are those of the public api.
#[derive(Serialize)]
struct View<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    errors: [(); 0],
}

impl Problem {
    /// Its status, its code and its title.
    pub(crate) const fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NotOwner => (StatusCode::MISDIRECTED_REQUEST, "not_owner", "This node does not own the shard"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized", "Only nodes of this cluster are heard"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_body", "The body cannot be read"),
            Self::InvalidDeadline => (StatusCode::BAD_REQUEST, "invalid_request", "The request cannot be understood"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request_timeout", "The request took too long to arrive"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests"),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "The route does not answer this method")
            }
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NotOwner => "ask the owner that the shard map names now; nothing was begun here".to_owned(),
            Self::Unauthorized(why) => (*why).to_owned(),
            Self::Malformed(why) => why.clone(),
            Self::InvalidDeadline => "`agentcal-left-ms` must be the milliseconds that are left".to_owned(),
            Self::TooLarge(limit) => format!("the body has more than {limit} bytes"),
            Self::TooSlow => "the body did not come in time".to_owned(),
            Self::TooMany => "too many requests of other nodes are under way here".to_owned(),
            Self::Method => "this route does not answer this method".to_owned(),
        }
    }

    /// The whole answer.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let (status, code, title) = self.kind();
        let r#type = format!("urn:agentcal:problem:{code}");
        let (detail, number) = (self.detail(), status.as_u16());
        let view = View { r#type, title, status: number, detail: &detail, code, request_id, errors: [] };
        let body = serde_json::to_vec(&view).expect("texts and numbers are JSON");
        let mut response = (status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Unauthorized(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany => {
                headers.insert(RETRY_AFTER, HeaderValue::from(PAUSE.as_secs()));
            }
            _ => {}
        }
        response
    }
}

/// Leaves without its request's id, which `wrap` knows and writes in.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<NotOwner> for Problem {
    fn from(NotOwner: NotOwner) -> Self {
        Self::NotOwner
    }
}
