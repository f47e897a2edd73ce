use agentcal_engine::ids::WebhookId;

use super::view::WebhookView;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::extract::{PathId, Query};
use crate::v1::answer::Answer;
use crate::v1::lists::NoQuery;

/// Get a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    responses((status = 200, description = "The webhook", body = WebhookView))
)]
pub(super) async fn get_webhook(
    caller: Caller,
    PathId(webhook_id): PathId<WebhookId>,
    _: Query<NoQuery>,
) -> Result<Answer<WebhookView>, ApiError> {
    Ok(Answer::ok(caller.endpoint(webhook_id).await?.into()))
}
