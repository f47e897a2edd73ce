//! Successful answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::idempotency::Settled;

/// Says that the deed was done by an earlier request with the same idempotency key.
const REPLAYED_HEADER: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A JSON answer.
pub(super) struct Answer<T> {
    status: StatusCode,
    replayed: bool,
    body: T,
}

impl<T> Answer<T> {
    /// 200.
    pub(super) fn ok(body: T) -> Self {
        Self { status: StatusCode::OK, replayed: false, body }
    }

    /// What a write came to, as callers see it.
    pub(super) fn settled<V>(status: StatusCode, settled: Settled<V>, view: impl FnOnce(V) -> T) -> Self {
        Self { status, replayed: settled.replayed, body: view(settled.value) }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        mark((self.status, Json(self.body)).into_response(), self.replayed)
    }
}

/// An answer without a body: 204, or 202 where the rest is done later.
pub(super) struct Done {
    pub(super) status: StatusCode,
    pub(super) replayed: bool,
}

impl Done {
    pub(super) fn no_content(settled: &Settled<()>) -> Self {
        Self { status: StatusCode::NO_CONTENT, replayed: settled.replayed }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        mark(self.status.into_response(), self.replayed)
    }
}

fn mark(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    response
}
