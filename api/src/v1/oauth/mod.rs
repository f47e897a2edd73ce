//! Connecting by consent (RFC 6749, section 4.1): somebody is sent to their provider, and comes back through the callback.
//!
//! The callback is for browsers, carries no key, and is not part of the documented surface: who is meant is said by the
//! signed state, which is good for one attempt.

mod begin;
mod callback;
mod connect;
mod page;

use agentcal_engine::model::ProviderKind;
use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, AppState};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(begin::begin_google)).routes(routes!(begin::begin_microsoft))
}

/// Where browsers come back to.
pub(crate) fn callback_routes() -> Router<AppState> {
    Router::new().route("/v1/oauth/callback/{provider}", get(callback::come_back))
}

/// The address that is registered with a provider.
fn callback_url(app: &App, provider: ProviderKind) -> String {
    format!("{}/v1/oauth/callback/{}", app.parts.settings.public_url, path_name(provider))
}

fn path_name(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Google => "google",
        ProviderKind::Microsoft => "microsoft",
        // Connected without consent, so never in such a path.
        ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => "none",
    }
}

/// The provider's name, for people.
fn name(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Google => "Google",
        ProviderKind::Microsoft => "Microsoft",
        ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => "the provider",
    }
}
