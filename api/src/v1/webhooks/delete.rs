use agentcal_engine::ids::WebhookId;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
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
    caller.app.parts.scheduler.deliver();
    Ok(Done::no_content(&Settled::of(write, (), WebhookId::KIND)?))
}
