//! What operators and browsers ask for: health, metrics and the documentation.

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::json;
use utoipa_swagger_ui::Config;

use crate::app::AppState;
use crate::error::{ApiError, Code};
use crate::lifecycle::route_not_found;

const OPENAPI_PATH: &str = "/v1/openapi.json";
/// The page may load and call this server only.
const DOCS_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'";

/// The process runs.
pub(crate) async fn healthz() -> Response {
    axum::Json(json!({"status": "ok"})).into_response()
}

/// The process should be sent requests.
pub(crate) async fn readyz(State(app): State<AppState>) -> Result<Response, ApiError> {
    if !app.parts.readiness.is_ready() {
        return Err(ApiError::new(Code::NotReady, "this process is starting or stopping; try again"));
    }
    Ok(axum::Json(json!({"status": "ready"})).into_response())
}

/// Metrics in Prometheus' text format.
pub(crate) async fn metrics(State(app): State<AppState>) -> Response {
    let text = app.parts.metrics.as_ref().map(|handle| handle.render()).unwrap_or_default();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The description of the api.
pub(crate) async fn openapi_json() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| crate::openapi::openapi_json().into());
    ([(CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

/// Where the documentation begins.
pub(crate) async fn docs_root() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The first page of the documentation.
pub(crate) async fn docs_index() -> Result<Response, ApiError> {
    docs_file("index.html")
}

/// A file of the documentation.
pub(crate) async fn docs_tail(Path(path): Path<String>) -> Result<Response, ApiError> {
    docs_file(&path)
}

fn docs_file(path: &str) -> Result<Response, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from(OPENAPI_PATH).try_it_out_enabled(true).persist_authorization(false)));
    let file = utoipa_swagger_ui::serve(path, Arc::clone(&CONFIG)).ok().flatten().ok_or_else(route_not_found)?;
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(&file.content_type);
    headers.insert(CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    Ok(response)
}
