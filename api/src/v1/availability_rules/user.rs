use agentcal_engine::ids::UserId;
use http::StatusCode;

use super::RulesBody;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{Body, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::users::find_user;

/// Read a user's availability rules.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/users/{user_id}/availability-rules", tag = "availability rules",
    params(("account_id" = String, Path), ("user_id" = String, Path)),
    responses((status = 200, description = "The rules", body = RulesBody))
)]
pub(super) async fn get_user_rules(
    cx: Cx,
    PathId(user_id): PathId<UserId>,
    _: Query<NoQuery>,
) -> Result<Answer<RulesBody>, ApiError> {
    let config = cx.config().await?;
    let (_, rules) = find_user(&config, user_id)?;
    Ok(Answer::ok(rules.rules().clone().into()))
}

/// Replace a user's availability rules.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/users/{user_id}/availability-rules", tag = "availability rules",
    params(("account_id" = String, Path), ("user_id" = String, Path)),
    request_body = RulesBody, responses((status = 200, description = "The rules", body = RulesBody))
)]
pub(super) async fn put_user_rules(
    cx: Cx,
    PathId(user_id): PathId<UserId>,
    _: Query<NoQuery>,
    Body(body): Body<RulesBody>,
) -> Result<Answer<RulesBody>, ApiError> {
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| find_user(config, user_id).and_then(|_| body.read()),
            |pen, rules| pen.store.put_user_rules(&pen.cx.tenant, user_id, rules, pen.answer),
        )
        .await?;
    Ok(Answer::settled(StatusCode::OK, settled, RulesBody::from))
}
