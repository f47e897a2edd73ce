use super::ConnectionView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::Query;
use crate::page::List;
use crate::v1::answer::Answer;
use crate::v1::lists::ListQuery;
use crate::v1::wire::zone_of;

/// List connections, newest first.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/connections", tag = "connections",
    params(("account_id" = String, Path), ListQuery),
    responses((status = 200, description = "A page of connections", body = List<ConnectionView>))
)]
pub(super) async fn list_connections(
    cx: Cx,
    Query(query): Query<ListQuery>,
) -> Result<Answer<List<ConnectionView>>, ApiError> {
    let page = query.read()?;
    let (zone, now) = (zone_of(&cx.config().await?.account), cx.app.now());
    let rows = cx.app.store().list_connections(&cx.tenant, &page).await?;
    Ok(Answer::ok(List::of(rows, |connected| ConnectionView::of(connected, zone, now))))
}
