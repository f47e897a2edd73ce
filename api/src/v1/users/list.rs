use super::UserView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::List;
use crate::v1::answer::Answer;
use crate::v1::lists::ListQuery;

/// List users, newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/users", tag = "users", params(("account_id" = String, Path), ListQuery),
    responses((status = 200, description = "A page of users", body = List<UserView>))
)]
pub(super) async fn list_users(cx: Cx, Query(query): Query<ListQuery>) -> Result<Answer<List<UserView>>, ApiError> {
    let rows = cx.app.store().list_users(&cx.tenant, &query.read()?).await?;
    Ok(Answer::ok(List::of(rows, UserView::from)))
}
