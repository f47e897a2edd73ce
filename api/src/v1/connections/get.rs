use agentcal_engine::ids::ConnectionId;

use super::ConnectionView;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Read a connection: how it is, and its calendars.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/connections/{connection_id}", tag = "connections",
    params(("account_id" = String, Path), ("connection_id" = String, Path)),
    responses((status = 200, description = "The connection", body = ConnectionView))
)]
pub(super) async fn get_connection(
    cx: Cx,
    PathId(connection_id): PathId<ConnectionId>,
    _: Query<NoQuery>,
) -> Result<Answer<ConnectionView>, ApiError> {
    let (zone, now) = (zone_of(&cx.config().await?.account), cx.app.now());
    let connected = cx.app.store().connection(cx.account_id(), connection_id).await?;
    let connected = connected.ok_or_else(|| ApiError::not_found(ConnectionId::KIND))?;
    Ok(Answer::ok(ConnectionView::of(connected, zone, now)))
}
