use agentcal_engine::calendar::request::{BookRequest, CommitKind};
use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::AccountConfig;
use chrono_tz::Tz;
use http::StatusCode;

use super::body::{NewBooking, named, normalized};
use super::outcome::{answer, commit};
use super::view::BookingView;
use crate::caller::PublicCx;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::v1::answer::Answer;
use crate::v1::event_types::find_event_type;
use crate::v1::lists::NoQuery;
use crate::v1::users::find_user;
use crate::v1::wire::zone_of;

/// Book.
///
/// The slot is taken when the answer is 201, and by nobody else. Publishable keys may book public event types.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/bookings", tag = "bookings", params(("account_id" = String, Path)),
    request_body = NewBooking, responses((status = 201, description = "The booking", body = BookingView))
)]
pub(super) async fn create_booking(
    cx: PublicCx,
    _: Query<NoQuery>,
    Body(body): Body<NewBooking>,
) -> Result<Answer<BookingView>, ApiError> {
    let config = cx.unchecked().config().await?;
    let event_type = body.event_type_id().and_then(|id| find_event_type(&config, id).ok());
    let cx = cx.open(event_type.map(|(event_type, _)| event_type))?;
    let request = body.read(BookingId::mint(cx.app.now(), cx.app.parts.entropy.as_ref()))?;
    let key = cx.idempotency(&normalized(&request));
    let settled = match cx.replay(key.as_ref()).await? {
        Some(kept) => kept,
        None => {
            let zone = zone_of_answer(&request, &config);
            commit(cx, CommitKind::Book(request), key, zone).await?
        }
    };
    Ok(answer(cx, StatusCode::CREATED, settled).await)
}

/// The attendee's zone, else that of the user named, else the account's.
fn zone_of_answer(request: &BookRequest, config: &AccountConfig) -> Tz {
    let user_zone = || find_user(config, named(&request.choice)?).ok().map(|(user, _)| user.timezone);
    request.attendee.timezone.or_else(user_zone).unwrap_or_else(|| zone_of(&config.account))
}
