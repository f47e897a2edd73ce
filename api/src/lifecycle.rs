//! What happens around every request: its id, its deadline, a panic's end, problems' bodies, origins and metrics.

use std::panic::AssertUnwindSafe;

use agentcal_engine::ids::RequestId;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, ORIGIN,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use crate::app::{App, AppState};
use crate::caller::Noted;
use crate::error::{ApiError, Code};
use crate::meters::Labels;

/// Carries the request's id in every answer.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Headers a page's script may send.
const CORS_REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, x-account-id";
/// Headers a page's script may read.
const CORS_ANSWER_HEADERS: &str = "idempotent-replayed, ratelimit, ratelimit-policy, retry-after, x-request-id";

/// Marks an answer as a page for people, which stays what it is whatever its status.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForPeople;

/// Wraps a request.
pub(crate) async fn wrap(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let request_id = RequestId::mint(app.now(), &app.request_chance).to_string();
    let labels = Labels::of(&request);
    let noted = Noted::default();
    request.extensions_mut().insert(noted.clone());
    let mut response = match preflight(&request) {
        Some(answer) => answer,
        None => run(&app, request, next, &request_id).await,
    };
    if let Some(error) = refusal_in(&mut response) {
        response = keep_allow(response.headers(), error.into_problem().render(&request_id));
    }
    dress(&mut response, &request_id, &noted);
    app.meters.record(&labels, response.status(), begun.elapsed());
    response
}

async fn run(app: &App, request: Request, next: Next, request_id: &str) -> Response {
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(app.parts.settings.request_deadline, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(request_id, panic = panic_text(panic.as_ref()), "a handler panicked");
            ApiError::new(Code::InternalError, "something broke on our side; the request id finds it in the logs")
                .into_response()
        }
        Err(_elapsed) => ApiError::new(
            Code::DeadlineExceeded,
            "the request was not done in time and may still be; repeat it with the same Idempotency-Key to find out",
        )
        .into_response(),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

/// The refusal a response stands for: ours, or one of the router's own making.
fn refusal_in(response: &mut Response) -> Option<ApiError> {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        return Some(error);
    }
    if response.extensions().get::<ForPeople>().is_some() {
        return None;
    }
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => Some(method_not_allowed()),
        StatusCode::NOT_FOUND => Some(route_not_found()),
        status if status.is_client_error() => Some(ApiError::new(
            Code::InvalidRequest,
            format!("the request was refused with status {}", status.as_u16()),
        )),
        status if status.is_server_error() => Some(ApiError::new(Code::InternalError, "something broke on our side")),
        _ => None,
    }
}

pub(crate) fn route_not_found() -> ApiError {
    ApiError::new(Code::RouteNotFound, "there is no such route; `/v1/openapi.json` lists all of them")
}

pub(crate) fn method_not_allowed() -> ApiError {
    ApiError::new(
        Code::MethodNotAllowed,
        "this route does not answer this method; the `Allow` header lists those it does",
    )
}

fn keep_allow(from: &HeaderMap, mut response: Response) -> Response {
    if let Some(allow) = from.get(ALLOW) {
        response.headers_mut().insert(ALLOW, allow.clone());
    }
    response
}

/// Browsers ask before they send a key. The question carries none, so it is answered alike for every origin; whether the
/// origin may is decided, key in hand, when the request itself comes.
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let origin = headers.get(ORIGIN)?;
    if request.method() != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_REQUEST_HEADERS));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer.insert(VARY, HeaderValue::from_static("origin"));
    Some(response)
}

fn dress(response: &mut Response, request_id: &str, noted: &Noted) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(told) = noted.limit.get() {
        told.write(headers);
    }
    if let Some(origin) = noted.origin.get() {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(CORS_ANSWER_HEADERS));
        headers.insert(VARY, HeaderValue::from_static("origin"));
    }
}
