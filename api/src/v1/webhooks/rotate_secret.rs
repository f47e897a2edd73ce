use agentcal_engine::ids::WebhookId;
use http::StatusCode;

use super::view::{Made, WebhookWithSecretView};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{NamedParam, PathId, Query};
use crate::idempotency::{Settled, keep};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Give a webhook another secret.
///
/// For 24 hours messages are signed with the present one as well. The new one is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook_id}/rotate-secret", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 200, description = "The webhook with its new secret", body = WebhookWithSecretView))
)]
pub(super) async fn rotate_webhook_secret(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
) -> Result<Answer<WebhookWithSecretView>, ApiError> {
    let key = caller.idempotency(&());
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    let made = Made { endpoint: caller.endpoint(webhook_id).await?, secret: caller.new_secret().to_vec() };
    let kept = keep(key, &made)?;
    let store = &caller.webhooks()?.store;
    let write = store.rotate_secret(caller.endpoint_owner(), webhook_id, &made.secret, kept.as_ref()).await?;
    caller.app.parts.scheduler.deliver();
    Settled::of(write, made, WebhookId::KIND).map(answer)
}

fn answer(settled: Settled<Made>) -> Answer<WebhookWithSecretView> {
    Answer::settled(StatusCode::OK, settled, WebhookWithSecretView::from)
}
