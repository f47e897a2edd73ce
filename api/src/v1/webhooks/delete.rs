use agentcal_engine::ids::WebhookId;
use agentcal_engine::ports::Write;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep, mismatch};
use crate::refusals::{of_refused_write, store_unavailable};
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Delete a webhook, with its deliveries.
#[utoipa::path(
    delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 204, description = "Deleted"))
)]
pub(super) async fn delete_webhook(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay::<()>(key.as_ref()).await? {
        return Ok(Done::no_content(&kept));
    }
    let kept = keep(key, &())?;
    let write = caller.webhooks()?.store.delete_endpoint(caller.endpoint_owner(), webhook_id, kept.as_ref()).await?;
    match write {
        Write::Done => Ok(Done::no_content(&Settled { value: (), replayed: false })),
        Write::Replayed(_) => Ok(Done::no_content(&Settled { value: (), replayed: true })),
        Write::IdempotencyMismatch => Err(mismatch()),
        Write::Missing => Err(ApiError::not_found(WebhookId::KIND)),
        Write::Refused(reason) => Err(of_refused_write(reason)),
        Write::Stale => Err(store_unavailable()),
    }
}
