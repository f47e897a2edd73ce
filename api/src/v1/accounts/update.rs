use http::StatusCode;

use super::{AccountPatch, AccountView};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Change an account.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}", tag = "accounts", params(("account_id" = String, Path)),
    request_body = AccountPatch, responses((status = 200, description = "The account", body = AccountView))
)]
pub(super) async fn update_account(
    cx: Cx,
    _: Query<NoQuery>,
    Body(body): Body<AccountPatch>,
) -> Result<Answer<AccountView>, ApiError> {
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| {
                let (mut account, mut checks) = (config.account.clone(), Checks::default());
                body.apply(&mut account, &mut checks);
                checks.finish().map(|()| account)
            },
            |pen, account| pen.store.update_account(account, pen.config.config_revision, pen.answer),
        )
        .await?;
    Ok(Answer::settled(StatusCode::OK, settled, AccountView::from))
}
