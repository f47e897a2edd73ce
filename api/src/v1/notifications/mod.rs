//! Where providers ring. A notification proves by a signature which calendar it is about, rings that calendar's bell on
//! whatever node owns it, and is answered: no database, no provider, nothing believed. Not part of the documented surface,
//! since customers have no use for it.

mod google;
mod microsoft;

use agentcal_actors::metrics::NOTIFICATIONS;
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::signed::CalendarBell;
use axum::Router;
use axum::routing::post;

use crate::app::{App, AppState};
use crate::error::{ApiError, Code};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/v1/notifications/google", post(google::notify))
        .route("/v1/notifications/microsoft", post(microsoft::notify))
}

/// Rings whose token it is; false where it is nobody's.
fn ring(app: &App, token: &str, ring: Ring) -> bool {
    let Some(bell) = CalendarBell::verify(token, &app.parts.signing) else { return false };
    app.parts.scheduler.ring(bell.account_id, bell.calendar_id, ring);
    true
}

/// What became of a notification, counted; of its content, nothing is kept.
fn count(provider: &'static str, outcome: &'static str) {
    metrics::counter!(NOTIFICATIONS, "provider" => provider, "outcome" => outcome).increment(1);
}

/// Of a notification nobody here asked for.
fn forged() -> ApiError {
    ApiError::new(Code::NotificationNotVerified, "this is no notification this installation asked for")
}
