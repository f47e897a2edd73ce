//! Webhooks: where an organization hears of what happens in its accounts.

mod body;
mod create;
mod delete;
mod get;
mod list;
mod list_deliveries;
mod replay;
mod resend;
mod rotate_secret;
mod test;
mod update;
mod view;

use std::sync::Arc;

use agentcal_actors::Webhooks;
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::WebhookEndpoint;
use agentcal_engine::ports::{EndpointOwner, WebhookRelay, Write};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::extract::NamedParam;
use crate::idempotency::{Settled, keep, mismatch, read_kept};
use crate::refusals::{of_refused_write, store_unavailable};

/// Bytes of chance in a secret.
const SECRET_LEN: usize = 32;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_webhook, list::list_webhooks))
        .routes(routes!(get::get_webhook, update::update_webhook, delete::delete_webhook))
        .routes(routes!(rotate_secret::rotate_webhook_secret))
        .routes(routes!(test::test_webhook))
        .routes(routes!(list_deliveries::list_webhook_deliveries))
        .routes(routes!(resend::resend_webhook_delivery))
        .routes(routes!(replay::replay_webhook_deliveries))
}

impl Caller {
    fn webhooks(&self) -> Result<&Webhooks, ApiError> {
        let webhooks = self.app.parts.webhooks.as_ref();
        webhooks.ok_or_else(|| ApiError::new(Code::NotReady, "this node has no way out to webhook endpoints"))
    }

    /// The service that delivers in our place, if there is one.
    fn relay(&self) -> Result<Option<&Arc<dyn WebhookRelay>>, ApiError> {
        Ok(self.webhooks()?.relay.as_ref().map(|relay| &relay.service))
    }

    pub(in crate::v1) fn endpoint_owner(&self) -> EndpointOwner {
        EndpointOwner { organization_id: self.key.key.organization_id, mode: self.key.key.mode }
    }

    async fn endpoint(&self, id: WebhookId) -> Result<WebhookEndpoint, ApiError> {
        let found = self.webhooks()?.store.endpoint(self.endpoint_owner(), id).await?;
        found.ok_or_else(|| ApiError::not_found(WebhookId::KIND))
    }

    /// Keeps what a request came to that wrote nothing here.
    async fn keep_outcome<T: Serialize + DeserializeOwned>(
        &self,
        key: Option<IdempotencyKey>,
        value: T,
    ) -> Result<Settled<T>, ApiError> {
        let Some(kept) = keep(key, &value)? else { return Ok(Settled { value, replayed: false }) };
        match self.webhooks()?.store.keep_answer(self.key.key.organization_id, &kept).await? {
            Write::Done => Ok(Settled { value, replayed: false }),
            Write::Replayed(kept) => read_kept(&kept),
            Write::IdempotencyMismatch => Err(mismatch()),
            Write::Refused(reason) => Err(of_refused_write(reason)),
            Write::Stale | Write::Missing => Err(store_unavailable()),
        }
    }

    /// A new secret.
    fn new_secret(&self) -> [u8; SECRET_LEN] {
        let mut secret = [0; SECRET_LEN];
        self.app.parts.entropy.fill(&mut secret);
        secret
    }
}

/// A secret as it is shown, once.
fn secret_text(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}
