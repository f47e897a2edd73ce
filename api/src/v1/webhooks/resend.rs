use agentcal_engine::ids::{DeliveryId, WebhookId};
use agentcal_engine::model::WebhookStanding;
use agentcal_engine::ports::RelayError;
use http::StatusCode;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::refusals::of_refused_write;
use crate::v1::answer::Done;
use crate::v1::lists::NoQuery;

/// Send a delivery again, now.
///
/// Whatever became of it: it is pending again, with all its retries, under the same `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend", tag = "webhooks",
    params(("webhook_id" = String, Path), ("delivery_id" = String, Path)),
    responses((status = 202, description = "It is being sent"))
)]
pub(super) async fn resend_webhook_delivery(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    PathId(delivery_id): PathId<DeliveryId>,
    _: Query<NoQuery>,
) -> Result<Done, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay::<()>(key.as_ref()).await? {
        return Ok(done(kept.replayed));
    }
    let endpoint = caller.endpoint(webhook_id).await?;
    if let Some(service) = caller.relay()? {
        if endpoint.standing != WebhookStanding::Enabled {
            return Err(of_refused_write("endpoint_disabled"));
        }
        let sent = service.resend(caller.endpoint_owner(), webhook_id, delivery_id).await;
        sent.map_err(|error| match error {
            RelayError::Missing => ApiError::not_found(DeliveryId::KIND),
            other => other.into(),
        })?;
        return caller.keep_outcome(key, ()).await.map(|settled| done(settled.replayed));
    }
    let (store, owner, kept) = (&caller.webhooks()?.store, caller.endpoint_owner(), keep(key, &())?);
    let write = store.resend_delivery(owner, webhook_id, delivery_id, kept.as_ref()).await?;
    let Settled { replayed, .. } = Settled::of(write, (), DeliveryId::KIND)?;
    if !replayed {
        caller.app.parts.scheduler.deliver();
    }
    Ok(done(replayed))
}

fn done(replayed: bool) -> Done {
    Done { status: StatusCode::ACCEPTED, replayed }
}
