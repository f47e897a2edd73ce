use agentcal_engine::ids::EventTypeId;

use super::find_event_type;
use crate::caller::Cx;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Delete an event type. Its bookings stay.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/event-types/{event_type_id}", tag = "event types",
    params(("account_id" = String, Path), ("event_type_id" = String, Path)),
    responses((status = 204, description = "Deleted"))
)]
pub(super) async fn delete_event_type(
    cx: Cx,
    PathId(event_type_id): PathId<EventTypeId>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let settled = cx
        .write_config(
            cx.idempotency(&()),
            |config| find_event_type(config, event_type_id).map(|_| ()),
            |pen, &()| pen.store.delete_event_type(&pen.cx.tenant, event_type_id, pen.answer),
        )
        .await?;
    Ok(Done::no_content(&settled))
}
