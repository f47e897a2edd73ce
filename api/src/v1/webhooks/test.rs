use std::time::Duration;

use agentcal_engine::ids::{AccountId, DeliveryId, WebhookId};
use agentcal_engine::model::WebhookEndpoint;
use agentcal_engine::ports::{OutboundWebhook, RelayTest, Told, WebhookRelay};
use agentcal_engine::webhooks::is_success;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::Settled;
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// What came of a test message.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WebhookTest)]
pub(super) struct TestView {
    /// Whether the webhook took it.
    delivered: bool,
    /// The status of the answer; null where none came.
    #[schema(required = true)]
    status: Option<u16>,
    /// Why none came.
    #[schema(required = true)]
    error: Option<String>,
    /// How the answer began, up to 1,024 bytes.
    answer: String,
    /// How long it took.
    duration_ms: u64,
}

/// Send a test message to a webhook, now and once.
///
/// Its `type` is `webhook.test`. The answer says what came of it; nothing is retried or kept. A webhook that is switched
/// off is asked, too.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/test", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 200, description = "What came of it", body = TestView))
)]
pub(super) async fn test_webhook(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
) -> Result<Answer<TestView>, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let endpoint = caller.endpoint(webhook_id).await?;
    let view = send(&caller, &endpoint).await?;
    caller.keep_outcome(key, view).await.map(answer)
}

fn answer(settled: Settled<TestView>) -> Answer<TestView> {
    Answer::settled(StatusCode::OK, settled, |view| view)
}

async fn send(caller: &Caller, endpoint: &WebhookEndpoint) -> Result<TestView, ApiError> {
    if let Some(service) = caller.relay()? {
        return send_by(service.as_ref(), caller, endpoint).await;
    }
    let webhooks = caller.webhooks()?;
    let secrets = webhooks.store.secrets(endpoint.organization_id, endpoint.id).await?;
    let secrets = secrets.ok_or_else(|| ApiError::not_found(WebhookId::KIND))?;
    let now = caller.app.parts.scheduler.store_now().await;
    let message = OutboundWebhook {
        url: endpoint.url.clone(),
        id: DeliveryId::mint(now, caller.app.parts.entropy.as_ref()),
        timestamp: now,
        told: Told::new(AccountId::from_uuid(Uuid::nil()), now, None).into(),
        secrets: secrets.at(now).map(|secret| secret.to_vec().into()).collect(),
    };
    let began = caller.app.now();
    let sent = webhooks.sender.send(message).await;
    let duration = caller.app.now().saturating_since(began);
    let duration_ms = in_ms(duration.max(Duration::ZERO));
    Ok(match sent {
        Ok(said) => {
            let status = Some(said.status);
            TestView { delivered: is_success(status), status, error: None, answer: said.answer, duration_ms }
        }
        Err(error) => {
            TestView { delivered: false, status: None, error: Some(error), answer: String::new(), duration_ms }
        }
    })
}

/// Has the service send it, and waits for what comes of it.
async fn send_by(
    service: &dyn WebhookRelay,
    caller: &Caller,
    endpoint: &WebhookEndpoint,
) -> Result<TestView, ApiError> {
    let now = caller.app.parts.scheduler.store_now().await;
    let id = DeliveryId::mint(now, caller.app.parts.entropy.as_ref());
    let RelayTest { status, error, answer, duration } = service.test(endpoint, id, now).await?;
    Ok(TestView { delivered: is_success(status), status, error, answer, duration_ms: in_ms(duration) })
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
