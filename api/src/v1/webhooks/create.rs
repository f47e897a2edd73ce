use std::collections::BTreeSet;

use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{WebhookEndpoint, WebhookHealth, WebhookStanding};
use agentcal_engine::ports::Write;
use http::StatusCode;

use super::body::NewWebhook;
use super::view::{Made, WebhookWithSecretView};
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::idempotency::{Settled, keep, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Make a webhook.
///
/// It hears of what happens from now on in accounts of the key's mode. Its secret is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, description = "The webhook with its secret", body = WebhookWithSecretView))
)]
pub(super) async fn create_webhook(
    caller: Caller,
    _: Query<NoQuery>,
    Body(body): Body<NewWebhook>,
) -> Result<Answer<WebhookWithSecretView>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let made = Made { endpoint: read(&caller, &body).await?, secret: caller.new_secret().to_vec() };
    let kept = keep(key, &made)?;
    match caller.webhooks()?.store.create_endpoint(&made.endpoint, &made.secret, kept.as_ref()).await? {
        Write::Done => {
            caller.app.parts.scheduler.deliver();
            Ok(answer(Settled { value: made, replayed: false }))
        }
        Write::Replayed(kept) => read_kept(&kept).map(answer),
        Write::IdempotencyMismatch => Err(mismatch()),
        Write::Refused(reason) => Err(of_refused_write(reason)),
        Write::Stale | Write::Missing => Err(store_unavailable()),
    }
}

fn answer(settled: Settled<Made>) -> Answer<WebhookWithSecretView> {
    Answer::settled(StatusCode::CREATED, settled, WebhookWithSecretView::from)
}

async fn read(caller: &Caller, body: &NewWebhook) -> Result<WebhookEndpoint, ApiError> {
    // By the store's clock, as what happens is.
    let now = caller.app.parts.scheduler.store_now().await;
    let mut endpoint = WebhookEndpoint {
        id: WebhookId::mint(now, caller.app.parts.entropy.as_ref()),
        organization_id: caller.key.key.organization_id,
        mode: caller.key.key.mode,
        url: String::new(),
        events: BTreeSet::new(),
        account_ids: None,
        standing: WebhookStanding::Enabled,
        health: WebhookHealth::default(),
        created_at: now,
    };
    let mut checks = Checks::default();
    body.check_required(&mut checks);
    body.0.apply(caller, &mut endpoint, &mut checks).await?;
    checks.finish().map(|()| endpoint)
}
