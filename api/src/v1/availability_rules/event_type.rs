use agentcal_engine::ids::EventTypeId;
use http::StatusCode;

use super::RulesBody;
use crate::caller::Cx;
use crate::error::{ApiError, Code};
use crate::extract::{Body, PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::event_types::find_event_type;
use crate::v1::lists::NoQuery;

/// Read an event type's availability rules.
///
/// They intersect with those of its hosts. 404 as well where the event type has none and so adds none.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/event-types/{event_type_id}/availability-rules", tag = "availability rules",
    params(("account_id" = String, Path), ("event_type_id" = String, Path)),
    responses((status = 200, description = "The rules", body = RulesBody))
)]
pub(super) async fn get_event_type_rules(
    cx: Cx,
    PathId(event_type_id): PathId<EventTypeId>,
    _: Query<NoQuery>,
) -> Result<Answer<RulesBody>, ApiError> {
    let config = cx.config().await?;
    let (_, rules) = find_event_type(&config, event_type_id)?;
    let rules = rules.as_ref().ok_or_else(|| {
        ApiError::new(
            Code::NotFound,
            "the event type has no rules of its own: those of its hosts apply; PUT some to narrow them",
        )
    })?;
    Ok(Answer::ok(rules.rules().clone().into()))
}

/// Replace an event type's availability rules.
///
/// They intersect with those of its hosts: it can be booked where both say so.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/event-types/{event_type_id}/availability-rules", tag = "availability rules",
    params(("account_id" = String, Path), ("event_type_id" = String, Path)),
    request_body = RulesBody, responses((status = 200, description = "The rules", body = RulesBody))
)]
pub(super) async fn put_event_type_rules(
    cx: Cx,
    PathId(event_type_id): PathId<EventTypeId>,
    _: Query<NoQuery>,
    Body(body): Body<RulesBody>,
) -> Result<Answer<RulesBody>, ApiError> {
    let settled = cx
        .write_config(
            cx.idempotency(&body),
            |config| find_event_type(config, event_type_id).and_then(|_| body.read()),
            |pen, rules| pen.store.put_event_type_rules(&pen.cx.tenant, event_type_id, rules, pen.answer),
        )
        .await?;
    Ok(Answer::settled(StatusCode::OK, settled, RulesBody::from))
}
