use agentcal_engine::ids::EventTypeId;
use http::StatusCode;

use super::body::EventTypePatch;
use super::{EventTypeView, find_event_type};
use crate::caller::Cx;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::zone_of;

/// Change an event type. Bookings already made stay as they are.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}/event-types/{event_type_id}", tag = "event types",
    params(("account_id" = String, Path), ("event_type_id" = String, Path)),
    request_body = EventTypePatch, responses((status = 200, description = "The event type", body = EventTypeView))
)]
pub(super) async fn update_event_type(
    cx: Cx,
    PathId(event_type_id): PathId<EventTypeId>,
    _: Query<NoQuery>,
    Body(body): Body<EventTypePatch>,
) -> Result<Answer<EventTypeView>, ApiError> {
    let zone = zone_of(&cx.config().await?.account);
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| {
                let (mut event_type, mut checks) =
                    (find_event_type(config, event_type_id)?.0.clone(), Checks::default());
                body.apply(&mut event_type, config, &mut checks);
                checks.finish().map(|()| event_type)
            },
            |pen, event_type| {
                pen.store.update_event_type(&pen.cx.tenant, event_type, pen.config.config_revision, pen.answer)
            },
        )
        .await?;
    Ok(Answer::settled(StatusCode::OK, settled, |event_type| EventTypeView::of(event_type, zone)))
}
