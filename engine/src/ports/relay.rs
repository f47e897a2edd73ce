//! A service that delivers to endpoints in our place, and what waits to be told to it.

use std::time::Duration;

use async_trait::async_trait;

use crate::followups::MailFor;
use crate::ids::{AccountId, DeliveryId, EventId, WebhookId};
use crate::model::{DeliveryState, Event, WebhookDelivery, WebhookEndpoint, WebhookSecrets};
use crate::shard::NodeId;
use crate::time::Timestamp;

use super::{EndpointOwner, JobNext, Spread, StoreError};

/// What to take in hand of what waits for the service.
#[derive(Clone, Copy, Debug)]
pub struct RelayClaim {
    /// Events of shards of this node, if one is named. Endpoints are anybody's.
    pub owner: Option<NodeId>,
    /// Most rows.
    pub limit: u32,
    /// When they count as lost, if nothing is heard of them.
    pub lease: Duration,
}

/// An endpoint of which the service is to be told how it is.
#[derive(Clone, Debug)]
pub struct ClaimedEndpoint {
    /// Which.
    pub id: WebhookId,
    /// Whose.
    pub owner: EndpointOwner,
    /// How often it had changed when this was read.
    pub revision: u64,
    /// The number of this try.
    pub tries: u32,
    /// Whether the service was told of it before.
    pub is_known: bool,
    /// As it is, and what its messages are signed with; `None`: it is deleted.
    pub present: Option<Box<(WebhookEndpoint, WebhookSecrets)>>,
}

/// What telling the service of an endpoint came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointTold {
    /// Which.
    pub id: WebhookId,
    /// As it was told.
    pub revision: u64,
    /// Whether it was told that it is deleted.
    pub is_deleted: bool,
    /// The number of the try.
    pub tries: u32,
    /// When it ended, by the store's clock.
    pub ended_at: Timestamp,
    /// What follows.
    pub next: JobNext,
}

/// An event the service is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedEvent {
    /// Whose endpoints hear of it.
    pub owner: EndpointOwner,
    /// In which account it happened.
    pub account_id: AccountId,
    /// What happened.
    pub event: Event,
    /// When it happened.
    pub happened_at: Timestamp,
    /// The number of this try.
    pub tries: u32,
}

/// What telling the service an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTold {
    /// In which account.
    pub account_id: AccountId,
    /// Which.
    pub event_id: EventId,
    /// The number of the try.
    pub tries: u32,
    /// When it ended, by the store's clock.
    pub ended_at: Timestamp,
    /// What follows.
    pub next: JobNext,
}

/// What waits for the service. Every write to an endpoint ([`super::WebhookStore`]) raises its revision in the same
/// transaction, whether there is a service or not, so that one that comes later finds what it has to be told.
#[async_trait]
pub trait RelayStore: Send + Sync {
    /// As [`super::WebhookStore::spread_events`], but what somebody hears of waits for the service, as one message.
    async fn spread_to_relay(&self, owner: Option<NodeId>, limit: u32, mail: MailFor) -> Result<Spread, StoreError>;
    /// Takes endpoints in hand of which the service does not know how they are, those that wait longest first. No two
    /// callers have the same one within a lease, however often it changes.
    async fn claim_endpoints(&self, claim: RelayClaim) -> Result<Vec<ClaimedEndpoint>, StoreError>;
    /// Keeps what telling of endpoints came to. One that changed meanwhile stays due.
    async fn record_endpoints(&self, told: &[EndpointTold]) -> Result<(), StoreError>;
    /// Takes events in hand that are due, those that wait longest first. Those of an organization and mode wait while the
    /// service is to be told of its endpoints.
    async fn claim_events(&self, claim: RelayClaim) -> Result<Vec<ClaimedEvent>, StoreError>;
    /// Keeps what telling of events came to. What was told is deleted: the service has it.
    async fn record_events(&self, told: &[EventTold]) -> Result<(), StoreError>;
    /// The service knows nothing of an organization's endpoints of a mode any more, and is to be told of all of them.
    async fn relay_anew(&self, owner: EndpointOwner) -> Result<(), StoreError>;
    /// Since when the event has been due that waits longest.
    async fn first_event_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// Why the service did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It could not be asked, was busy, or refused our credentials: later.
    #[error("the service that delivers webhooks could not be asked: {says}")]
    Away {
        /// What was seen, in words that name nobody.
        says: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// It knows nothing of what was named.
    #[error("the service that delivers webhooks does not know it")]
    Missing,
    /// It will not do it, however often it is asked.
    #[error("the service that delivers webhooks refuses it: {0}")]
    Refused(String),
}

/// One event, told to the service once for all endpoints that hear of it.
#[derive(Clone, Debug)]
pub struct RelayMessage {
    /// Whose endpoints hear of it.
    pub owner: EndpointOwner,
    /// In which account it happened.
    pub account_id: AccountId,
    /// When it happened.
    pub happened_at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What came of a test message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayTest {
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why none came, in words that name nobody.
    pub error: Option<String>,
    /// How the answer began.
    pub answer: String,
    /// How long it took.
    pub duration: Duration,
}

/// Which page of an endpoint's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayPageRequest {
    /// Those in a state, or all.
    pub state: Option<DeliveryState>,
    /// Most rows.
    pub limit: u32,
    /// Where the page before ended, in the service's words.
    pub after: Option<String>,
}

/// A page of an endpoint's messages, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayPage {
    /// The rows; messages that are not ours are left out.
    pub rows: Vec<WebhookDelivery>,
    /// Where it ended, when more follow.
    pub next: Option<String>,
}

/// A service that delivers to endpoints in our place. Everything may be done twice and is there once.
#[async_trait]
pub trait WebhookRelay: Send + Sync {
    /// Most accounts an endpoint may be narrowed to.
    fn accounts_max(&self) -> usize;
    /// Tells it how an endpoint is, and what its messages are signed with from `now` on.
    async fn put_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        secrets: &WebhookSecrets,
        is_known: bool,
        now: Timestamp,
    ) -> Result<(), RelayError>;
    /// Tells it that an endpoint is gone.
    async fn delete_endpoint(&self, owner: EndpointOwner, id: WebhookId) -> Result<(), RelayError>;
    /// Tells it an event. [`RelayError::Missing`]: it knows nothing of the organization.
    async fn tell(&self, message: &RelayMessage) -> Result<(), RelayError>;
    /// Has it send a test message to one endpoint, and waits for what comes of it.
    async fn test(&self, endpoint: &WebhookEndpoint, id: DeliveryId, now: Timestamp) -> Result<RelayTest, RelayError>;
    /// An endpoint's messages with what was tried.
    async fn deliveries(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        page: &RelayPageRequest,
    ) -> Result<RelayPage, RelayError>;
    /// Has it send a message to an endpoint again.
    async fn resend(&self, owner: EndpointOwner, id: WebhookId, message_id: DeliveryId) -> Result<(), RelayError>;
    /// Has it send everything again that it gave up, of messages since an instant; how many.
    async fn replay(&self, owner: EndpointOwner, id: WebhookId, since: Timestamp) -> Result<u64, RelayError>;
}
