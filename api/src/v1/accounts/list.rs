use super::AccountView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::List;
use crate::v1::answer::Answer;
use crate::v1::lists::ListQuery;

/// List accounts, newest first.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "accounts", params(ListQuery),
    responses((status = 200, description = "A page of accounts", body = List<AccountView>))
)]
pub(super) async fn list_accounts(
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Answer<List<AccountView>>, ApiError> {
    let page = query.read()?;
    let key = &caller.key.key;
    let rows = caller.app.store().list_accounts(key.organization_id, key.mode, &page).await?;
    Ok(Answer::ok(List::of(rows, AccountView::from)))
}
