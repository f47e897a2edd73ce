use agentcal_engine::calendar::request::{ChangedBy, CommitKind, Intent};
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::Booking;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::intent;
use super::get::find_booking;
use super::outcome::answer;
use super::view::BookingView;
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::commits::{Commit, commit, replay};

/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

/// Why.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CancelQuery {
    /// Why it is cancelled.
    #[param(min_length = 1, max_length = 500)]
    reason: Option<String>,
    /// Decide it and change nothing: the booking as it would be.
    #[param(value_type = Option<bool>)]
    dry_run: Option<String>,
}

/// Cancel a booking. Cancelling it again answers the same.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/bookings/{booking_id}", tag = "bookings",
    params(("account_id" = String, Path), ("booking_id" = String, Path), CancelQuery),
    responses((status = 200, description = "The booking", body = BookingView))
)]
pub(super) async fn cancel_booking(
    cx: Cx,
    PathId(booking_id): PathId<BookingId>,
    Query(query): Query<CancelQuery>,
) -> Result<Answer<BookingView>, ApiError> {
    let zone = find_booking(&cx, booking_id).await?.timezone;
    let mut checks = Checks::default();
    let reason = query.reason.map(|reason| checks.text("reason", &reason, REASON_LEN_MAX));
    let dry_run = query.dry_run.map(|flag| checks.query_flag("dry_run", &flag));
    checks.finish()?;
    let (intent, config) = (intent(dry_run), cx.config().await?);
    let key = if intent == Intent::DryRun { None } else { cx.idempotency(&reason) };
    let settled = match replay(&cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => {
            let kind = CommitKind::Cancel { booking_id, reason, by: ChangedBy::Key };
            commit(&cx, Commit { kind, intent, key, config: &config, about: None, zone }).await?
        }
    };
    Ok(answer(&cx, StatusCode::OK, settled).await)
}

/// Cancels a booking because something it needs goes away.
pub(in crate::v1) async fn cancel_for_owner(cx: &Cx, booking_id: BookingId, reason: &str) -> Result<(), ApiError> {
    let config = cx.config().await?;
    let kind = CommitKind::Cancel { booking_id, reason: Some(reason.to_owned()), by: ChangedBy::Key };
    let (intent, zone) = (Intent::Commit, chrono_tz::Tz::UTC);
    let cancelled = commit::<Booking>(cx, Commit { kind, intent, key: None, config: &config, about: None, zone });
    cancelled.await.map(drop)
}
