//! What happens around every page: its deadline, a panic's end, headers and metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use agentcal_actors::metrics::{HTTP_LATENCY, HTTP_REQUESTS};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method};
use tokio::time::{Instant, timeout};

use crate::parts::WebParts;
use crate::trouble::Trouble;

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Wraps a request.
pub(crate) async fn wrap(State(parts): State<Arc<WebParts>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = run(&parts, request, next).await;
    dress(&mut response);
    let status = response.status().as_u16().to_string();
    metrics::histogram!(HTTP_LATENCY, "route" => route.clone(), "method" => method)
        .record(begun.elapsed().as_secs_f64());
    metrics::counter!(HTTP_REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
    response
}

async fn run(parts: &WebParts, request: Request, next: Next) -> Response {
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match timeout(parts.settings.request_deadline, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!("a page panicked");
            Trouble::Internal.into_response()
        }
        Err(_elapsed) => Trouble::Unavailable.into_response(),
    }
}

/// The address of a page is the permission to change a booking: it must not be kept, indexed or told to others.
pub(crate) fn dress(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow"));
}

/// A bounded number of names, since the metrics count by them.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}
