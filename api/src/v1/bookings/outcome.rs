//! What a change to a booking came to.

use agentcal_engine::model::Booking;
use agentcal_engine::time::Timestamp;
use http::StatusCode;

use super::view::BookingView;
use crate::caller::Cx;
use crate::idempotency::Settled;
use crate::v1::answer::Answer;

/// The answer to a commit. A kept one is answered as it was then, when the booking was not over.
pub(super) async fn answer(cx: &Cx, status: StatusCode, settled: Settled<Booking>) -> Answer<BookingView> {
    let now = if settled.replayed { Timestamp::EARLIEST } else { cx.app.parts.scheduler.store_now().await };
    Answer::settled(status, settled, |booking| BookingView::at(&cx.app, booking, now))
}
