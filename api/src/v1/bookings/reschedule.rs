use agentcal_engine::calendar::request::{ChangedBy, Choice, CommitKind, Intent, Meeting};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{AdHocMeeting, Booking};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::{MINUTE_US, Timestamp};
use http::StatusCode;

use super::body::{BookingPatch, MoveAsked};
use super::get::find_booking;
use super::outcome::answer;
use super::view::BookingView;
use crate::caller::Cx;
use crate::error::{ApiError, FieldCode};
use crate::extract::{Body, PathId, Query};
use crate::idempotency::Settled;
use crate::v1::answer::Answer;
use crate::v1::commits::{Commit, commit, replay};
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
    let booking = find_booking(&cx, booking_id).await?;
    let asked = body.read()?;
    let config = cx.config().await?;
    let key = if asked.intent == Intent::DryRun { None } else { cx.idempotency(&asked) };
    let settled = match replay(&cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => reschedule(&cx, &config, &booking, asked, key).await?,
    };
    Ok(answer(&cx, StatusCode::OK, settled).await)
}

async fn reschedule(
    cx: &Cx,
    config: &AccountConfig,
    booking: &Booking,
    asked: MoveAsked,
    key: Option<IdempotencyKey>,
) -> Result<Settled<Booking>, ApiError> {
    let zone = booking.timezone;
    let meeting = meeting_of(booking);
    let (start, offered) = match &asked.named.slot_id {
        Some(_) => {
            let wanted = asked.named.resolve(cx, config, zone).await?;
            check_offer(booking, meeting, wanted.meeting, &wanted.choice)?;
            (wanted.start, true)
        }
        // One of the two is there: the body was checked.
        None => (asked.named.start.unwrap_or(Timestamp::EARLIEST), false),
    };
    let kind = CommitKind::Reschedule { booking_id: booking.id, start, offered, by: ChangedBy::Key };
    let about = meeting.map(|meeting| (meeting, start));
    commit(cx, Commit { kind, intent: asked.intent, key, config, about, zone }).await
}

/// The offer must have been made for this booking's meeting, with all of its hosts.
fn check_offer(booking: &Booking, meeting: Option<Meeting>, offered: Meeting, choice: &Choice) -> Result<(), ApiError> {
    let with_all = match choice {
        Choice::Offered(user_ids) => booking.hosts.iter().all(|host| user_ids.contains(&host.user_id)),
        Choice::Any | Choice::Named(_) => false,
    };
    if meeting == Some(offered) && with_all {
        return Ok(());
    }
    let detail =
        "was offered for another meeting, or without all of the booking's hosts; ask for availability of these";
    Err(ApiError::field("slot_id", FieldCode::NotOffered, detail))
}

/// What a booking is of.
pub(super) fn meeting_of(booking: &Booking) -> Option<Meeting> {
    let ad_hoc = || {
        let duration_minutes = u32::try_from(booking.range.len_micros() / MINUTE_US).ok()?;
        Some(Meeting::AdHoc(AdHocMeeting { user_id: booking.hosts.first()?.user_id, duration_minutes }))
    };
    booking.event_type_id.map(Meeting::EventType).or_else(ad_hoc)
}
