//! The port of webhooks: each method one transaction.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::{DeliveryId, OrganizationId, WebhookId};
use agentcal_engine::model::{DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookSecrets, WebhookStanding};
use agentcal_engine::ports::{
    AttemptRecord, ClaimedDeliveries, DeliveryClaim, DueEndpoint, EndedEndpoint, EndpointOwner, ListPage, PageRequest,
    Replayed, Spread, StoreError, UntriedDelivery, WebhookStore, Write,
};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::db::{DbStore, Work};
use crate::error::{Result, store_error};
use crate::events::Moment;
use crate::frame::Framed;
use crate::scope::Scope;
use crate::spreading::Way;
use crate::text::to_json;
use crate::{attempts, deliveries, delivery_claims, endpoints, locks, relays, spreading};

/// Most endpoints of an organization in one mode.
const ENDPOINTS_MAX: i64 = 50;

#[async_trait]
impl WebhookStore for DbStore {
    async fn create_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(endpoint.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        // Counted under the lock, so that racers do not go past the limit together.
        locks::organization(&mut frame.work, endpoint.organization_id).await?;
        let owner = EndpointOwner { organization_id: endpoint.organization_id, mode: endpoint.mode };
        if endpoints::count(&mut frame.work, owner).await? >= ENDPOINTS_MAX {
            return Ok(Write::Refused("too_many_endpoints"));
        }
        let sealed = self.sealed_secret(&mut frame.work, endpoint.organization_id, endpoint.id, secret).await?;
        // A node may think it later than it is, and what happens from now on is not to be taken for older.
        let endpoint = WebhookEndpoint { created_at: endpoint.created_at.min(frame.now), ..endpoint.clone() };
        if !endpoints::insert(&mut frame.work, &endpoint, sealed).await? {
            return Ok(Write::Missing);
        }
        relays::changed(&mut frame.work, owner, endpoint.id, frame.now).await?;
        self.finish_frame(frame, idempotency).await
    }

    async fn endpoint(&self, owner: EndpointOwner, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError> {
        endpoints::lookup(&mut *self.reader(Scope::All).await?, owner, id).await
    }

    async fn list_endpoints(
        &self,
        owner: EndpointOwner,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookEndpoint>, StoreError> {
        endpoints::list(&mut *self.reader(Scope::All).await?, owner, page).await
    }

    async fn update_endpoint(
        &self,
        before: &WebhookEndpoint,
        after: &WebhookEndpoint,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(before.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        if !endpoints::update(&mut frame.work, before, after).await? {
            return Ok(Write::Stale);
        }
        let owner = EndpointOwner { organization_id: after.organization_id, mode: after.mode };
        relays::changed(&mut frame.work, owner, after.id, frame.now).await?;
        self.finish_frame(frame, idempotency).await
    }

    async fn rotate_secret(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(owner.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        let sealed = self.sealed_secret(&mut frame.work, owner.organization_id, id, secret).await?;
        if !endpoints::rotate(&mut frame.work, owner, id, sealed, frame.now).await? {
            return Ok(Write::Missing);
        }
        relays::changed(&mut frame.work, owner, id, frame.now).await?;
        self.finish_frame(frame, idempotency).await
    }

    async fn delete_endpoint(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(owner.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        if !endpoints::delete(&mut frame.work, owner, id).await? {
            return Ok(Write::Missing);
        }
        relays::deleted(&mut frame.work, id, frame.now).await?;
        self.finish_frame(frame, idempotency).await
    }

    async fn secrets(
        &self,
        organization_id: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<WebhookSecrets>, StoreError> {
        let mut reader = self.begin_read(Scope::All).await?;
        self.read_secrets(&mut reader, organization_id, id).await
    }

    async fn keep_answer(
        &self,
        organization_id: OrganizationId,
        idempotency: &IdempotentAnswer,
    ) -> Result<Write, StoreError> {
        match self.begin_frame(organization_id, Some(&idempotency.key)).await? {
            Framed::Fresh(frame) => self.finish_frame(frame, Some(idempotency)).await,
            Framed::Ended(write) => Ok(write),
        }
    }

    async fn spread_events(&self, owner: Option<NodeId>, limit: u32, mail: MailFor) -> Result<Spread, StoreError> {
        self.spread(owner, limit, mail, Way::Own).await
    }

    async fn due_endpoints(&self, limit: u32) -> Result<Vec<DueEndpoint>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let now = self.now_on(&mut reader).await?;
        endpoints::due(&mut reader, now, limit).await
    }

    async fn claim_deliveries(&self, claim: &DeliveryClaim) -> Result<ClaimedDeliveries, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let claimed = self.claim_due(&mut work, claim, now).await?;
        work.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn give_back_deliveries(&self, untried: &[UntriedDelivery]) -> Result<(), StoreError> {
        // Lost, their leases give them back.
        let mut work = self.begin_repeatable(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        delivery_claims::give_back(&mut work, untried, now).await?;
        work.commit().await.map_err(store_error)
    }

    async fn record_attempts(
        &self,
        records: &[AttemptRecord],
        mail: MailFor,
    ) -> Result<Vec<EndedEndpoint>, StoreError> {
        // Lost, the messages are sent again, by the same ids.
        let mut work = self.begin_repeatable(Scope::All).await?;
        let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
        let ended = attempts::record(&mut work, records, moment, mail).await?;
        work.commit().await.map_err(store_error)?;
        Ok(ended)
    }

    async fn list_deliveries(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        state: Option<DeliveryState>,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookDelivery>, StoreError> {
        let mut reader = self.begin_read(Scope::All).await?;
        if endpoints::lookup(&mut reader, owner, id).await?.is_none() {
            return Ok(ListPage { rows: Vec::new(), next: None });
        }
        deliveries::list(&mut reader, owner.organization_id, id, state, page).await
    }

    async fn resend_delivery(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        delivery_id: DeliveryId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut frame = match self.begin_frame(owner.organization_id, idempotency.map(|answer| &answer.key)).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(write),
        };
        if let Some(write) = not_spoken_to(&mut frame.work, owner, id).await? {
            return Ok(write);
        }
        if !deliveries::resend(&mut frame.work, owner.organization_id, id, delivery_id, frame.now).await? {
            return Ok(Write::Missing);
        }
        self.finish_frame(frame, idempotency).await
    }

    async fn replay_failed(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        since: Timestamp,
        key: Option<&IdempotencyKey>,
    ) -> Result<Replayed, StoreError> {
        let nothing = |write| Replayed { write, count: 0 };
        let mut frame = match self.begin_frame(owner.organization_id, key).await? {
            Framed::Fresh(frame) => frame,
            Framed::Ended(write) => return Ok(nothing(write)),
        };
        if let Some(write) = not_spoken_to(&mut frame.work, owner, id).await? {
            return Ok(nothing(write));
        }
        locks::take_time(&mut frame.work).await?;
        let count = deliveries::replay(&mut frame.work, owner.organization_id, id, since, frame.now).await?;
        let answer = key.map(|key| IdempotentAnswer { key: *key, answer: to_json(&count).into_bytes() });
        let write = self.finish_frame(frame, answer.as_ref()).await?;
        Ok(Replayed { write, count })
    }

    async fn forget_old_events(&self, limit: u32) -> Result<u64, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let gone = deliveries::forget(&mut work, now, limit).await?;
        work.commit().await.map_err(store_error)?;
        Ok(gone)
    }
}

impl DbStore {
    /// Has new events heard of, one way or the other.
    pub(crate) async fn spread(&self, owner: Option<NodeId>, limit: u32, mail: MailFor, way: Way) -> Result<Spread> {
        let new = spreading::new_events(&mut *self.reader(Scope::All).await?, owner, limit).await?;
        if new.is_empty() {
            return Ok(Spread::default());
        }
        // Lost, it is done again from the same events. What is sent was claimed first, and a claim waits for the disk.
        let mut work = self.begin_repeatable(Scope::All).await?;
        let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
        let spread = spreading::spread(&mut work, &new, moment, mail, way).await?;
        work.commit().await.map_err(store_error)?;
        Ok(spread)
    }
}

/// Why nothing can be sent to an endpoint, if so.
async fn not_spoken_to(work: &mut Work, owner: EndpointOwner, id: WebhookId) -> Result<Option<Write>> {
    Ok(match endpoints::lookup(work, owner, id).await? {
        None => Some(Write::Missing),
        Some(endpoint) if endpoint.standing != WebhookStanding::Enabled => Some(Write::Refused("endpoint_disabled")),
        Some(_) => None,
    })
}
