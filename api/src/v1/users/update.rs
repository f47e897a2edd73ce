use agentcal_engine::ids::{CalendarId, UserId};
use agentcal_engine::model::User;
use http::StatusCode;

use super::{UserPatch, UserView, find_user};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Change a user.
///
/// Its bookings move with it: when `calendar_id` changes, later bookings are written to the new calendar.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}/users/{user_id}", tag = "users",
    params(("account_id" = String, Path), ("user_id" = String, Path)),
    request_body = UserPatch, responses((status = 200, description = "The user", body = UserView))
)]
pub(super) async fn update_user(
    cx: Cx,
    PathId(user_id): PathId<UserId>,
    _: Query<NoQuery>,
    Body(body): Body<UserPatch>,
) -> Result<Answer<UserView>, ApiError> {
    let fresh_home = CalendarId::mint(cx.app.now(), cx.app.parts.entropy.as_ref());
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| {
                let (mut user, mut checks) = (User::clone(&find_user(config, user_id)?.0), Checks::default());
                body.apply(&mut user, fresh_home, config, &mut checks);
                checks.finish().map(|()| user)
            },
            |pen, user| pen.store.update_user(&pen.cx.tenant, user, pen.config.config_revision, pen.answer),
        )
        .await?;
    Ok(Answer::settled(StatusCode::OK, settled, UserView::from))
}
