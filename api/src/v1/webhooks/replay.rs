use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::WebhookStanding;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, NamedParam, PathId, Query};
use crate::idempotency::Settled;
use crate::refusals::of_refused_write;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;
use crate::v1::wire::Sent;

/// Which deliveries to send again.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayRequest {
    /// Those of events since then.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = true)]
    since: Sent<String>,
}

/// How many deliveries are sent again.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayView {
    /// How many.
    replayed: u64,
}

/// Send everything again that was given up, of events since an instant.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks", params(("webhook_id" = String, Path)),
    request_body = ReplayRequest, responses((status = 200, description = "What is being sent again", body = ReplayView))
)]
pub(super) async fn replay_webhook_deliveries(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
    Body(body): Body<ReplayRequest>,
) -> Result<Answer<ReplayView>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let mut checks = Checks::default();
    let since = match &body.since.0 {
        Some(since) => checks.instant("since", since),
        None => {
            checks.required("since");
            caller.app.now()
        }
    };
    checks.finish()?;
    if let Some(service) = caller.relay()? {
        let endpoint = caller.endpoint(webhook_id).await?;
        if endpoint.standing != WebhookStanding::Enabled {
            return Err(of_refused_write("endpoint_disabled"));
        }
        let count = service.replay(caller.endpoint_owner(), endpoint.id, since).await?;
        return caller.keep_outcome(key, count).await.map(answer);
    }
    let (store, owner) = (&caller.webhooks()?.store, caller.endpoint_owner());
    let replayed = store.replay_failed(owner, webhook_id, since, key.as_ref()).await?;
    let settled = Settled::of(replayed.write, replayed.count, WebhookId::KIND)?;
    if !settled.replayed {
        caller.app.parts.scheduler.deliver();
    }
    Ok(answer(settled))
}

fn answer(settled: Settled<u64>) -> Answer<ReplayView> {
    Answer::settled(StatusCode::OK, settled, |replayed| ReplayView { replayed })
}
