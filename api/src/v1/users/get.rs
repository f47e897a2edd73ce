use agentcal_engine::ids::UserId;
use agentcal_engine::model::User;

use super::{UserView, find_user};
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Read a user.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/users/{user_id}", tag = "users",
    params(("account_id" = String, Path), ("user_id" = String, Path)),
    responses((status = 200, description = "The user", body = UserView))
)]
pub(super) async fn get_user(
    cx: Cx,
    PathId(user_id): PathId<UserId>,
    _: Query<NoQuery>,
) -> Result<Answer<UserView>, ApiError> {
    let config = cx.config().await?;
    let (user, _) = find_user(&config, user_id)?;
    Ok(Answer::ok(User::clone(user).into()))
}
