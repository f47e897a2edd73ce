//! A store that counts what is asked of it to deliver messages: each is a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{DeliveryId, OrganizationId, WebhookId};
use agentcal_engine::model::{DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookSecrets};
use agentcal_engine::ports::{
    AttemptRecord, ClaimedDeliveries, DeliveryClaim, DueEndpoint, EndedEndpoint, EndpointOwner, ListPage, PageRequest,
    Replayed, Spread, StoreError, UntriedDelivery, WebhookStore, Write,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

/// Passes everything on.
pub(crate) struct CountedStore {
    store: Arc<dyn WebhookStore>,
    writes: Arc<AtomicU64>,
}

impl CountedStore {
    /// One that counts transactions that spread something, took something in hand, or kept results.
    pub(crate) fn new(store: Arc<dyn WebhookStore>, writes: &Arc<AtomicU64>) -> Self {
        Self { store, writes: Arc::clone(writes) }
    }

    fn count(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl WebhookStore for CountedStore {
    async fn create_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.store.create_endpoint(endpoint, secret, idempotency).await
    }

    async fn endpoint(&self, owner: EndpointOwner, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        self.store.endpoint(owner, id).await
    }

    async fn list_endpoints(
        &self,
        owner: EndpointOwner,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookEndpoint>, StoreError> {
        self.store.list_endpoints(owner, page).await
    }

    async fn update_endpoint(
        &self,
        before: &WebhookEndpoint,
        after: &WebhookEndpoint,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.store.update_endpoint(before, after, idempotency).await
    }

    async fn rotate_secret(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.store.rotate_secret(owner, id, secret, idempotency).await
    }

    async fn delete_endpoint(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.store.delete_endpoint(owner, id, idempotency).await
    }

    async fn secrets(
        &self,
        organization_id: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<WebhookSecrets>, StoreError> {
        self.store.secrets(organization_id, id).await
    }

    async fn keep_answer(
        &self,
        organization_id: OrganizationId,
        idempotency: &IdempotentAnswer,
    ) -> Result<Write, StoreError> {
        self.store.keep_answer(organization_id, idempotency).await
    }

    async fn spread_events(&self, owner: Option<NodeId>, limit: u32, mail: MailFor) -> Result<Spread, StoreError> {
        let spread = self.store.spread_events(owner, limit, mail).await?;
        // Without new events it is one read.
        if spread.events > 0 {
            self.count();
        }
        Ok(spread)
    }

    async fn due_endpoints(&self, limit: u32) -> Result<Vec<DueEndpoint>, StoreError> {
        self.store.due_endpoints(limit).await
    }

    async fn claim_deliveries(&self, claim: &DeliveryClaim) -> Result<ClaimedDeliveries, StoreError> {
        self.count();
        self.store.claim_deliveries(claim).await
    }

    async fn give_back_deliveries(&self, untried: &[UntriedDelivery]) -> Result<(), StoreError> {
        self.count();
        self.store.give_back_deliveries(untried).await
    }

    async fn record_attempts(
        &self,
        records: &[AttemptRecord],
        mail: MailFor,
    ) -> Result<Vec<EndedEndpoint>, StoreError> {
        self.count();
        self.store.record_attempts(records, mail).await
    }

    async fn list_deliveries(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        state: Option<DeliveryState>,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookDelivery>, StoreError> {
        self.store.list_deliveries(owner, id, state, page).await
    }

    async fn resend_delivery(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        delivery_id: DeliveryId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.store.resend_delivery(owner, id, delivery_id, idempotency).await
    }

    async fn replay_failed(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        since: Timestamp,
        key: Option<&IdempotencyKey>,
    ) -> Result<Replayed, StoreError> {
        self.store.replay_failed(owner, id, since, key).await
    }

    async fn forget_old_events(&self, limit: u32) -> Result<u64, StoreError> {
        self.store.forget_old_events(limit).await
    }
}
