use agentcal_engine::ids::BookingId;
use agentcal_engine::model::Booking;

use super::view::BookingView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Read a booking.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/bookings/{booking_id}", tag = "bookings",
    params(("account_id" = String, Path), ("booking_id" = String, Path)),
    responses((status = 200, description = "The booking", body = BookingView))
)]
pub(super) async fn get_booking(
    cx: Cx,
    PathId(booking_id): PathId<BookingId>,
    _: Query<NoQuery>,
) -> Result<Answer<BookingView>, ApiError> {
    let booking = find_booking(&cx, booking_id).await?;
    let now = cx.app.parts.scheduler.store_now().await;
    Ok(Answer::ok(BookingView::at(&cx.app, booking, now)))
}

/// A booking of the account.
pub(super) async fn find_booking(cx: &Cx, booking_id: BookingId) -> Result<Booking, ApiError> {
    let found = cx.app.store().booking(cx.account_id(), booking_id).await?;
    found.map(|item| item.booking).ok_or_else(|| ApiError::not_found(BookingId::KIND))
}
