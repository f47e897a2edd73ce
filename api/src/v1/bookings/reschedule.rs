use agentcal_engine::calendar::request::{ChangedBy, CommitKind};
use agentcal_engine::ids::BookingId;
use http::StatusCode;

use super::body::BookingPatch;
use super::get::find_booking;
use super::outcome::{answer, commit};
use super::view::BookingView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{Body, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Move a booking to another time, with the same hosts.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}/bookings/{booking_id}", tag = "bookings",
    params(("account_id" = String, Path), ("booking_id" = String, Path)),
    request_body = BookingPatch, responses((status = 200, description = "The booking", body = BookingView))
)]
pub(super) async fn reschedule_booking(
    cx: Cx,
    PathId(booking_id): PathId<BookingId>,
    _: Query<NoQuery>,
    Body(body): Body<BookingPatch>,
) -> Result<Answer<BookingView>, ApiError> {
    let zone = find_booking(&cx, booking_id).await?.timezone;
    let start = body.read()?;
    let key = cx.idempotency(&start);
    let settled = match cx.replay(key.as_ref()).await? {
        Some(kept) => kept,
        None => {
            commit(&cx, CommitKind::Reschedule { booking_id, start, offered: false, by: ChangedBy::Key }, key, zone)
                .await?
        }
    };
    Ok(answer(&cx, StatusCode::OK, settled).await)
}
