use super::EventTypeView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::List;
use crate::v1::answer::Answer;
use crate::v1::lists::ListQuery;
use crate::v1::wire::zone_of;

/// List event types, newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/event-types", tag = "event types",
    params(("account_id" = String, Path), ListQuery),
    responses((status = 200, description = "A page of event types", body = List<EventTypeView>))
)]
pub(super) async fn list_event_types(
    cx: Cx,
    Query(query): Query<ListQuery>,
) -> Result<Answer<List<EventTypeView>>, ApiError> {
    let page = query.read()?;
    let zone = zone_of(&cx.config().await?.account);
    let rows = cx.app.store().list_event_types(&cx.tenant, &page).await?;
    Ok(Answer::ok(List::of(rows, |event_type| EventTypeView::of(event_type, zone))))
}
