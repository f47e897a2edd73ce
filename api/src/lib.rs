//! The public surface over HTTP.
//!
//! A handler extracts, converts, asks one handle, converts and returns; `v1` has a file per operation and the wire types.
//! Every refusal leaves as a problem document (RFC 9457) whose `code` is one of the table in `error`.

mod app;
mod caller;
mod chance;
mod checks;
mod error;
mod error_document;
mod extract;
mod idempotency;
mod instant;
pub mod key;
mod lifecycle;
mod limits;
mod meters;
mod offers;
mod openapi;
mod openapi_words;
mod ops;
mod page;
mod parts;
mod problem;
mod refusals;
mod trust;
mod v1;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

pub use error_document::errors_markdown;
pub use openapi::{openapi, openapi_json};
pub use parts::{ApiParts, ApiSettings, KEY_BURST, KEY_PER_MINUTE, MailSettings, OauthSettings, Readiness};

use app::{App, AppState};

/// The public listener's routes. Call inside a tokio runtime: a task watches for revoked keys as long as the router lives.
pub fn router(parts: ApiParts) -> Router {
    let dev = parts.settings.dev;
    let (api, _) = v1::routes().split_for_parts();
    let mut routes = health()
        .merge(api)
        .merge(v1::notifications::routes())
        .merge(v1::oauth::callback_routes())
        .route("/v1/openapi.json", get(ops::openapi_json))
        .route("/docs", get(ops::docs_root))
        .route("/docs/", get(ops::docs_index))
        .route("/docs/{*path}", get(ops::docs_tail));
    if dev {
        routes = routes.route("/metrics", get(ops::metrics));
    }
    wrapped(routes, App::start(parts))
}

/// The internal listener's routes: health and metrics. Call inside a tokio runtime.
pub fn internal_router(parts: ApiParts) -> Router {
    wrapped(health().route("/metrics", get(ops::metrics)), App::start(parts))
}

fn health() -> Router<AppState> {
    Router::new().route("/healthz", get(ops::healthz)).route("/readyz", get(ops::readyz))
}

fn wrapped(routes: Router<AppState>, app: AppState) -> Router {
    routes
        .fallback(|| async { lifecycle::route_not_found() })
        .method_not_allowed_fallback(|| async { lifecycle::method_not_allowed() })
        .layer(from_fn_with_state(app.clone(), lifecycle::wrap))
        .with_state(app)
}
