//! Answers in Graph's shapes.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

/// An answer, or a refusal.
pub(crate) type Outcome = Result<Reply, Reply>;

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn created(body: Value) -> Self {
        Self { status: 201, ..Self::ok(body) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// A refusal as Graph words it.
    pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Self {
        let inner = json!({ "date": "2026-01-01T00:00:00", "request-id": "fake", "client-request-id": "fake" });
        let body = json!({ "error": { "code": code, "message": message, "innerError": inner } });
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let text = self.body.map(|body| body.to_string()).unwrap_or_default();
        let is_json = !text.is_empty();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if is_json {
            let kind = HeaderValue::from_static("application/json;odata.metadata=minimal;charset=utf-8");
            response.headers_mut().insert("content-type", kind);
        }
        for (name, value) in self.headers {
            if let Ok(value) = value.parse::<HeaderValue>() {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

pub(crate) fn bad_request(code: &str, message: &str) -> Reply {
    Reply::refusal(400, code, message)
}

pub(crate) fn not_found() -> Reply {
    Reply::refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
}
