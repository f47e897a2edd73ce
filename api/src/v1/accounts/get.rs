use super::AccountView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::Query;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Read an account.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}", tag = "accounts", params(("account_id" = String, Path)),
    responses((status = 200, description = "The account", body = AccountView))
)]
pub(super) async fn get_account(cx: Cx, _: Query<NoQuery>) -> Result<Answer<AccountView>, ApiError> {
    let config = cx.config().await?;
    Ok(Answer::ok(config.account.clone().into()))
}
