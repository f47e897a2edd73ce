use agentcal_engine::ids::{BookingId, UserId};
use agentcal_engine::model::BookingStatus;
use agentcal_engine::ports::{AccountConfig, BookingFilter, PageRequest};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find_user;
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::{ApiError, Code};
use crate::extract::{PathId, Query};
use crate::refusals::of_refused_write;
use crate::v1::answer::Done;
use crate::v1::bookings::cancel_for_owner;

/// Bookings cancelled in one request; a user with more is deleted by repeating it.
const CANCELLED_MAX: usize = 1_000;
/// Bookings read at once.
const PAGE: u32 = 100;

/// Whether bookings to come are cancelled.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// `true`: cancel the user's bookings to come first. Otherwise a user with any is not deleted.
    #[param(value_type = Option<bool>)]
    cancel_bookings: Option<String>,
}

/// Delete a user.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/users/{user_id}", tag = "users",
    params(("account_id" = String, Path), ("user_id" = String, Path), DeleteQuery),
    responses((status = 204, description = "Deleted"))
)]
pub(super) async fn delete_user(
    cx: Cx,
    PathId(user_id): PathId<UserId>,
    Query(query): Query<DeleteQuery>,
) -> Result<Done, ApiError> {
    let mut checks = Checks::default();
    let cancel = query.cancel_bookings.is_some_and(|flag| checks.query_flag("cancel_bookings", &flag));
    checks.finish()?;
    let key = cx.idempotency(&cancel);
    if let Some(kept) = cx.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let config = cx.config().await?;
    find_user(&config, user_id)?;
    refuse_only_host(&config, user_id)?;
    if cancel {
        cancel_bookings(&cx, user_id).await?;
    }
    let now = cx.app.parts.scheduler.store_now().await;
    let settled = cx
        .write_config(
            key,
            |config| find_user(config, user_id).map(|_| ()),
            |pen, &()| pen.store.delete_user(&pen.cx.tenant, user_id, now, pen.answer),
        )
        .await?;
    Ok(Done::no_content(&settled))
}

/// Said before any booking is cancelled for nothing; the store says it again.
fn refuse_only_host(config: &AccountConfig, user_id: UserId) -> Result<(), ApiError> {
    let needed = config.event_types.iter().any(|(event_type, _)| event_type.user_ids == [user_id]);
    if needed { Err(of_refused_write("in_use")) } else { Ok(()) }
}

async fn cancel_bookings(cx: &Cx, user_id: UserId) -> Result<(), ApiError> {
    let mut cancelled = 0;
    while cancelled < CANCELLED_MAX {
        let ids = bookings_to_come(cx, user_id).await?;
        if ids.is_empty() {
            return Ok(());
        }
        cancelled += ids.len();
        for booking_id in ids {
            cancel_for_owner(cx, booking_id, "the host was removed").await?;
        }
    }
    let detail = format!("{CANCELLED_MAX} bookings were cancelled and more are left; repeat the request");
    Err(ApiError::new(Code::DeadlineExceeded, detail))
}

async fn bookings_to_come(cx: &Cx, user_id: UserId) -> Result<Vec<BookingId>, ApiError> {
    let filter =
        BookingFilter { status: Some(BookingStatus::Confirmed), user_id: Some(user_id), ..BookingFilter::default() };
    let now = cx.app.parts.scheduler.store_now().await;
    let page = PageRequest { limit: PAGE, after: None };
    let bookings = cx.app.store().list_bookings(&cx.tenant, &filter, now, &page).await?;
    Ok(bookings.rows.iter().map(|booking| booking.id).collect())
}
