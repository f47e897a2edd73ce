use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::WebhookEndpoint;
use agentcal_engine::ports::Write;
use http::StatusCode;

use super::body::WebhookPatch;
use super::view::WebhookView;
use crate::caller::Caller;
use crate::checks::Checks;
use crate::error::ApiError;
use crate::extract::{Body, PathId, Query};
use crate::idempotency::{Settled, keep, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Times a change is decided on; only others' changes to the same webhook make it more than once.
const DECISIONS_MAX: u32 = 8;

/// Change a webhook.
///
/// What is still to be sent goes to the new address. Switching it off gives up what is still to be sent.
#[utoipa::path(
    patch, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    request_body = WebhookPatch, responses((status = 200, description = "The webhook", body = WebhookView))
)]
pub(super) async fn update_webhook(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
    Body(body): Body<WebhookPatch>,
) -> Result<Answer<WebhookView>, ApiError> {
    let key = caller.idempotency(&body);
    if let Some(kept) = caller.replay(key.as_ref()).await? {
        return Ok(answer(kept));
    }
    for _ in 0..DECISIONS_MAX {
        let before = caller.endpoint(webhook_id).await?;
        let (mut after, mut checks) = (before.clone(), Checks::default());
        body.apply(&caller, &mut after, &mut checks).await?;
        checks.finish()?;
        let kept = keep(key, &after)?;
        match caller.webhooks()?.store.update_endpoint(&before, &after, kept.as_ref()).await? {
            Write::Done => {
                caller.app.parts.scheduler.deliver();
                return Ok(answer(Settled { value: after, replayed: false }));
            }
            Write::Replayed(kept) => return read_kept(&kept).map(answer),
            Write::IdempotencyMismatch => return Err(mismatch()),
            Write::Refused(reason) => return Err(of_refused_write(reason)),
            Write::Stale | Write::Missing => {}
        }
    }
    Err(store_unavailable())
}

fn answer(settled: Settled<WebhookEndpoint>) -> Answer<WebhookView> {
    Answer::settled(StatusCode::OK, settled, WebhookView::from)
}
