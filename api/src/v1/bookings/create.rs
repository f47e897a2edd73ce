use agentcal_engine::calendar::request::{BookRequest, CommitKind, ConfirmRequest, Intent, Meeting};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{Booking, Hold};
use agentcal_engine::ports::AccountConfig;
use agentcal_engine::time::Timestamp;
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use http::StatusCode;

use super::body::{BookingAsked, NewBooking};
use super::outcome::answer;
use super::view::{BookingPreview, BookingView};
use crate::caller::{Cx, PublicCx};
use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};
use crate::extract::{Body, Query};
use crate::idempotency::Settled;
use crate::v1::answer::Answer;
use crate::v1::commits::{Commit, commit, hold_missing, replay};
use crate::v1::event_types::find_event_type;
use crate::v1::holds::{HoldPlace, stored_hold};
use crate::v1::lists::NoQuery;
use crate::v1::wanted::Named;

/// Book.
///
/// The slot is taken when the answer is 201, and by nobody else. Publishable keys may book public event types.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/bookings", tag = "bookings", params(("account_id" = String, Path)),
    request_body = NewBooking,
    responses(
        (status = 201, description = "The booking", body = BookingView),
        (status = 200, description = "A dry run: the booking as it would be", body = BookingPreview)
    )
)]
pub(super) async fn create_booking(
    cx: PublicCx,
    _: Query<NoQuery>,
    Body(body): Body<NewBooking>,
) -> Result<Response, ApiError> {
    let asked = body.read()?;
    let config = cx.unchecked().config().await?;
    let cx = if asked.hold_id.is_some() { cx.unchecked() } else { asked.named.open(&cx, &config)? };
    let zone = asked.attendee.timezone.unwrap_or_else(|| asked.named.zone(&config));
    if asked.intent == Intent::DryRun {
        let settled = book(cx, &config, asked, None, zone).await?;
        return Ok(Answer::ok(BookingPreview::of(settled.value)).into_response());
    }
    let key = cx.idempotency(&asked);
    let settled = match replay(cx, key.as_ref()).await? {
        Some(kept) => kept,
        None => book(cx, &config, asked, key, zone).await?,
    };
    Ok(answer(cx, StatusCode::CREATED, settled).await.into_response())
}

async fn book(
    cx: &Cx,
    config: &AccountConfig,
    asked: BookingAsked,
    key: Option<IdempotencyKey>,
    zone: Tz,
) -> Result<Settled<Booking>, ApiError> {
    let intent = asked.intent;
    let (kind, about) = match asked.hold_id {
        Some(_) => confirmation(cx, config, asked).await?,
        None => booking(cx, config, asked, zone).await?,
    };
    commit(cx, Commit { kind, intent, key, config, about, zone }).await
}

type Deed = (CommitKind, Option<(Meeting, Timestamp)>);

async fn booking(cx: &Cx, config: &AccountConfig, asked: BookingAsked, zone: Tz) -> Result<Deed, ApiError> {
    let wanted = asked.named.resolve(cx, config, zone).await?;
    let about = Some((wanted.meeting, wanted.start));
    let request = BookRequest {
        booking_id: new_id(cx),
        meeting: wanted.meeting,
        choice: wanted.choice,
        start: wanted.start,
        attendee: asked.attendee,
        metadata: asked.metadata,
    };
    Ok((CommitKind::Book(request), about))
}

async fn confirmation(cx: &Cx, config: &AccountConfig, asked: BookingAsked) -> Result<Deed, ApiError> {
    let hold = match asked.hold_id {
        Some(hold_id) => stored_hold(cx, hold_id).await?.filter(|hold| may_confirm(cx, hold, config)),
        None => None,
    };
    let hold = hold.ok_or_else(hold_missing)?;
    check_agreement(&asked.named, &hold)?;
    let request =
        ConfirmRequest { booking_id: new_id(cx), hold_id: hold.id, attendee: asked.attendee, metadata: asked.metadata };
    Ok((CommitKind::Confirm(request), hold.place()))
}

/// Publishable keys confirm holds of public event types.
fn may_confirm(cx: &Cx, hold: &Hold, config: &AccountConfig) -> bool {
    let event_type = hold.event_type_id.and_then(|id| find_event_type(config, id).ok());
    !cx.is_publishable() || event_type.is_some_and(|(event_type, _)| event_type.public)
}

/// The hold stands alone; whatever else names a time must say the same.
fn check_agreement(named: &Named, hold: &Hold) -> Result<(), ApiError> {
    let minutes = hold.range.len_micros() / agentcal_engine::time::MINUTE_US;
    let mut checks = Checks::default();
    for (field, disagrees) in [
        ("event_type_id", named.event_type_id.is_some() && named.event_type_id != hold.event_type_id),
        ("user_id", named.user_id.is_some_and(|user_id| !hold.user_ids.contains(&user_id))),
        ("start_time", named.start.is_some_and(|start| start != hold.range.start)),
        ("duration_minutes", named.duration_minutes.is_some_and(|duration| i64::from(duration) != minutes)),
    ] {
        if disagrees {
            checks.refuse(field, FieldCode::NotTogether, "must be left out, or agree with the hold");
        }
    }
    checks.finish()
}

fn new_id(cx: &Cx) -> BookingId {
    BookingId::mint(cx.app.now(), cx.app.parts.entropy.as_ref())
}
