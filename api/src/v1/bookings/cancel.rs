use agentcal_engine::calendar::request::{ChangedBy, CommitKind};
use agentcal_engine::ids::BookingId;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::get::find_booking;
use super::outcome::{answer, commit};
use super::view::BookingView;
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;

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
    checks.finish()?;
    let key = cx.idempotency(&reason);
    let settled = match cx.replay(key.as_ref()).await? {
        Some(kept) => kept,
        None => commit(&cx, CommitKind::Cancel { booking_id, reason, by: ChangedBy::Key }, key, zone).await?,
    };
    Ok(answer(&cx, StatusCode::OK, settled).await)
}

/// Cancels a booking because something it needs goes away.
pub(in crate::v1) async fn cancel_for_owner(cx: &Cx, booking_id: BookingId, reason: &str) -> Result<(), ApiError> {
    let kind = CommitKind::Cancel { booking_id, reason: Some(reason.to_owned()), by: ChangedBy::Key };
    commit(cx, kind, None, chrono_tz::Tz::UTC).await.map(drop)
}
