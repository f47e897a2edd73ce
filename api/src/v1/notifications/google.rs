use agentcal_engine::calendar::watch::Ring;
use axum::extract::State;
use http::{HeaderMap, StatusCode};

use super::{count, forged, ring};
use crate::app::AppState;
use crate::error::ApiError;

const PROVIDER: &str = "google";
/// What we gave the provider to say (developers.google.com/workspace/calendar/api/guides/push).
const TOKEN: &str = "x-goog-channel-token";
/// `sync` once, when notifications begin; then `exists` and `not_exists`.
const STATE: &str = "x-goog-resource-state";

/// A calendar changed at Google, or its notifications begin. Everything is in the headers; there is no body.
pub(super) async fn notify(State(app): State<AppState>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(TOKEN).is_some_and(|token| ring(&app, token, Ring::Changed)) {
        count(PROVIDER, "forged");
        return Err(forged());
    }
    // The first one has rung, too: what changed between the sync and the watch is seen at once.
    count(PROVIDER, if text(STATE) == Some("sync") { "began" } else { "rang" });
    Ok(StatusCode::NO_CONTENT)
}
