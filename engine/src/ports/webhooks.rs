//! Events on their way out: who wants to hear of them, what is due, and what was tried.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::commit::{IdempotencyKey, IdempotentAnswer};
use crate::followups::MailFor;
use crate::ids::{AccountId, DeliveryId, OrganizationId, WebhookId};
use crate::model::{
    DeliveryAttempt, DeliveryState, Event, Mode, WebhookDelivery, WebhookEndpoint, WebhookHealth, WebhookSecrets,
    WebhookStanding,
};
use crate::shard::NodeId;
use crate::time::Timestamp;
use crate::webhooks::{Next, Tried};

use super::{ListPage, PageRequest, StoreError, Write};

/// Whose endpoints: what a key may see of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointOwner {
    /// The organization of the key.
    pub organization_id: OrganizationId,
    /// The mode of the key.
    pub mode: Mode,
}

/// What became of new events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Spread {
    /// How many were looked at.
    pub events: u32,
    /// How many deliveries they became.
    pub deliveries: u32,
}

/// An endpoint something is due for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueEndpoint {
    /// Which.
    pub id: WebhookId,
    /// Whose.
    pub organization_id: OrganizationId,
    /// Where.
    pub url: String,
    /// How it has been of late.
    pub health: WebhookHealth,
    /// When the first of what is due became due.
    pub first_due_at: Timestamp,
}

/// What to take in hand of endpoints' deliveries.
#[derive(Clone, Debug)]
pub struct DeliveryClaim {
    /// In shards of this node, if one is named.
    pub owner: Option<NodeId>,
    /// When they are due again, if nothing is heard of them.
    pub lease: Duration,
    /// Of which endpoints, and most deliveries of each; at most [`CLAIMED_ENDPOINTS_MAX`].
    pub room: BTreeMap<WebhookId, u32>,
}

/// Most endpoints of one claim.
pub const CLAIMED_ENDPOINTS_MAX: usize = 128;

/// What was taken in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedDeliveries {
    /// The deliveries, those of each endpoint the most overdue first.
    pub deliveries: Vec<ClaimedDelivery>,
    /// What messages to their endpoints are signed with.
    pub secrets: BTreeMap<WebhookId, WebhookSecrets>,
}

/// A delivery that is to be tried now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// Where to.
    pub endpoint_id: WebhookId,
    /// In which account.
    pub account_id: AccountId,
    /// Its id.
    pub id: DeliveryId,
    /// The number of this try among all.
    pub number: u32,
    /// The number of this try since it was last asked for.
    pub tries: u32,
    /// What happened; one for all deliveries of it that were claimed together.
    pub event: Arc<Event>,
    /// When it happened.
    pub happened_at: Timestamp,
}

/// A delivery that was taken in hand and not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UntriedDelivery {
    /// In which account.
    pub account_id: AccountId,
    /// Its id.
    pub id: DeliveryId,
    /// The number its try would have had.
    pub number: u32,
}

/// What a try came to, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// In which account.
    pub account_id: AccountId,
    /// Of which delivery.
    pub delivery_id: DeliveryId,
    /// To which endpoint.
    pub endpoint_id: WebhookId,
    /// The try.
    pub attempt: DeliveryAttempt,
    /// What came of it.
    pub tried: Tried,
    /// What follows.
    pub next: Next,
}

/// An endpoint that is not spoken to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedEndpoint {
    /// Which.
    pub endpoint_id: WebhookId,
    /// Whose.
    pub organization_id: OrganizationId,
    /// Why.
    pub standing: WebhookStanding,
    /// Whether there is a job now that tells its organization.
    pub is_told: bool,
}

/// What asking again for what was given up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// What became of the request.
    pub write: Write,
    /// How many deliveries are pending again, where it was done.
    pub count: u64,
}

/// Endpoints, events and deliveries.
///
/// An event is a row of the transaction it happened in ([`crate::commit::CommitPlan::event`], and where the store itself
/// finds that something happened). `spread_events` makes deliveries of it, one for each endpoint that hears of it, once.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Writes an endpoint with its sealed secret. As many as may be: [`Write::Refused`] `too_many_endpoints`.
    async fn create_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// An endpoint.
    async fn endpoint(&self, owner: EndpointOwner, id: WebhookId) -> Result<Option<WebhookEndpoint>, StoreError>;
    /// Endpoints, newest first.
    async fn list_endpoints(
        &self,
        owner: EndpointOwner,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookEndpoint>, StoreError>;
    /// Replaces an endpoint that is still as it was `before`, else [`Write::Stale`]; its health begins anew when it is
    /// switched on. One that is not spoken to any more has its pending deliveries given up.
    async fn update_endpoint(
        &self,
        before: &WebhookEndpoint,
        after: &WebhookEndpoint,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Gives an endpoint another secret; the present one is used as well until
    /// [`crate::webhooks::PREVIOUS_SECRET_FOR`] has passed by the store's clock.
    async fn rotate_secret(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        secret: &[u8],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Deletes an endpoint with its deliveries.
    async fn delete_endpoint(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// What an endpoint's messages are signed with.
    async fn secrets(
        &self,
        organization_id: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<WebhookSecrets>, StoreError>;
    /// Keeps the answer to a request that wrote nothing else.
    async fn keep_answer(
        &self,
        organization_id: OrganizationId,
        idempotency: &IdempotentAnswer,
    ) -> Result<Write, StoreError>;

    /// Makes deliveries of new events, the oldest first, and the jobs that follow from them, mails for accounts as `mail`
    /// says; of accounts in shards of `owner`, if one is named. An event that nobody hears of is deleted.
    async fn spread_events(&self, owner: Option<NodeId>, limit: u32, mail: MailFor) -> Result<Spread, StoreError>;
    /// Endpoints with deliveries that are due by the store's clock, the most overdue first, whoever's they are: an
    /// organization's endpoint hears of accounts in many shards. A claim takes those of its owner.
    async fn due_endpoints(&self, limit: u32) -> Result<Vec<DueEndpoint>, StoreError>;
    /// Takes deliveries of endpoints in hand, of each the most overdue first and as many as there is room for, all in one
    /// transaction: they count as tried once more, and are due again when the lease is over. No two callers get the same
    /// one within a lease.
    async fn claim_deliveries(&self, claim: &DeliveryClaim) -> Result<ClaimedDeliveries, StoreError>;
    /// Gives back what was taken in hand and not tried: it counts as if it had not been taken, and is due at once. What
    /// somebody else has taken since is left.
    async fn give_back_deliveries(&self, untried: &[UntriedDelivery]) -> Result<(), StoreError>;
    /// Keeps what tries came to, and what follows for their endpoints. Of a try that was overtaken by a later one only a
    /// success counts. Of an endpoint that ends by it there is a notice to its organization, once, in a mode for which mails
    /// are made.
    async fn record_attempts(&self, records: &[AttemptRecord], mail: MailFor)
    -> Result<Vec<EndedEndpoint>, StoreError>;

    /// Deliveries of an endpoint with their tries, newest first; all, or those in a state.
    async fn list_deliveries(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        state: Option<DeliveryState>,
        page: &PageRequest,
    ) -> Result<ListPage<WebhookDelivery>, StoreError>;
    /// Makes a delivery pending and due at once, whatever became of it. Of an endpoint that is not spoken to:
    /// [`Write::Refused`] `endpoint_disabled`.
    async fn resend_delivery(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        delivery_id: DeliveryId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Makes deliveries of an endpoint that were given up pending and due at once, of events since an instant. The count is
    /// the answer kept under `key`.
    async fn replay_failed(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        since: Timestamp,
        key: Option<&IdempotencyKey>,
    ) -> Result<Replayed, StoreError>;
    /// Deletes events from more than 30 days ago with their deliveries, at most `limit`; returns how many.
    async fn forget_old_events(&self, limit: u32) -> Result<u64, StoreError>;
}

/// What messages tell: the same to every endpoint that hears of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// What happened, in whose account.
    pub account_id: AccountId,
    /// When it happened.
    pub happened_at: Timestamp,
    /// What happened; `None`: nothing, it is to see whether messages arrive.
    pub event: Option<Arc<Event>>,
    body: OnceLock<Vec<u8>>,
}

impl Told {
    /// What is told of an event.
    pub fn new(account_id: AccountId, happened_at: Timestamp, event: Option<Arc<Event>>) -> Self {
        Self { account_id, happened_at, event, body: OnceLock::new() }
    }

    /// The bytes of a message, rendered for the first that wants them.
    pub fn body(&self, render: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        self.body.get_or_init(|| render(self))
    }
}

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub struct OutboundWebhook {
    /// Where to.
    pub url: String,
    /// The same in every try.
    pub id: DeliveryId,
    /// When this try is made.
    pub timestamp: Timestamp,
    /// What it tells.
    pub told: Arc<Told>,
    /// What to sign with, each in turn.
    pub secrets: Arc<[Zeroizing<Vec<u8>>]>,
}

/// What an endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status.
    pub status: u16,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// How its answer began.
    pub answer: String,
}

/// The way out to endpoints.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Why an address is not one that messages are sent to, in words for whoever gave it.
    fn check_url(&self, url: &str) -> Result<(), String>;
    /// Sends a message and hears the answer, within bounds of time and length. The error names nobody.
    async fn send(&self, message: OutboundWebhook) -> Result<WebhookAnswer, String>;
}
