use super::view::WebhookView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::List;
use crate::v1::answer::Answer;
use crate::v1::lists::ListQuery;

/// List webhooks, newest first.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", params(ListQuery),
    responses((status = 200, description = "A page of webhooks", body = List<WebhookView>))
)]
pub(super) async fn list_webhooks(
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Answer<List<WebhookView>>, ApiError> {
    let page = query.read()?;
    let rows = caller.webhooks()?.store.list_endpoints(caller.endpoint_owner(), &page).await?;
    Ok(Answer::ok(List::of(rows, WebhookView::from)))
}
