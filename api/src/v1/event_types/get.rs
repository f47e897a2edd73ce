use agentcal_engine::ids::EventTypeId;

use super::{EventTypeView, find_event_type};
use crate::caller::PublicCx;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Read an event type. Publishable keys may read public ones.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/event-types/{event_type_id}", tag = "event types",
    params(("account_id" = String, Path), ("event_type_id" = String, Path)),
    responses((status = 200, description = "The event type", body = EventTypeView))
)]
pub(super) async fn get_event_type(
    cx: PublicCx,
    PathId(event_type_id): PathId<EventTypeId>,
    _: Query<NoQuery>,
) -> Result<Answer<EventTypeView>, ApiError> {
    let config = cx.unchecked().config().await?;
    let found = find_event_type(&config, event_type_id);
    cx.open(found.as_ref().ok().map(|(event_type, _)| event_type))?;
    let (event_type, _) = found?;
    Ok(Answer::ok(EventTypeView::of(event_type.clone(), zone_of(&config.account))))
}
