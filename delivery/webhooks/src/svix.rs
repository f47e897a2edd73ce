//! Svix in our place: the same endpoints and messages, kept, sent, tried again and listed there.
//!
//! An organization's mode is an application, an endpoint is an endpoint under our id, an event is one message under its id.
//! Endpoints filter by type, and by channel: each hears its own, which test messages have, and either that of everybody or
//! those of its accounts.

mod api;
mod history;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::{AccountId, DeliveryId, WebhookId};
use agentcal_engine::model::{EventKind, WebhookEndpoint, WebhookSecrets, WebhookStanding};
use agentcal_engine::ports::{
    EndpointOwner, RelayError, RelayMessage, RelayPage, RelayPageRequest, RelayTest, Told, WebhookRelay,
};
use agentcal_engine::time::Timestamp;
use agentcal_provider_egress::EgressError;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use self::api::{Api, Failure};
use self::wire::{
    ApplicationIn, Attempt, EndpointIn, EventTypeIn, List, MessageIn, MessageOut, Secret, SecretRotation, shown_attempt,
};
use crate::payload::{TEST, render};

/// The channel of what happens in every account.
const ALL: &str = "all";
/// Most accounts of an endpoint: Svix has ten channels for it, and one is its own.
const ACCOUNTS_MAX: usize = 9;
/// Days for which Svix keeps what a message says: as long as we keep events.
const PAYLOAD_DAYS: u32 = 30;
/// Longest time for which Svix signs with a secret from before.
const GRACE_MAX_SECONDS: u64 = 604_800;
/// How long a test message may take to be tried, and the wait between two looks for that.
const TEST_PATIENCE: Duration = Duration::from_secs(15);
const TEST_LOOK: Duration = Duration::from_millis(250);

/// Where Svix is, and what it knows us by.
pub struct SvixOptions {
    /// Its address: `https`, or `http` in this machine or network.
    pub url: Url,
    /// The token of an environment.
    pub token: String,
}

/// A service that delivers: Svix's own, or a Svix server of the operator's.
pub struct Svix {
    api: Api,
}

impl Svix {
    /// A client; nothing is asked yet.
    pub fn new(options: SvixOptions) -> Result<Self, EgressError> {
        Ok(Self { api: Api::new(options)? })
    }

    /// Whether it answers and knows our token; the error says what is wrong.
    pub async fn check(&self) -> Result<(), String> {
        let listed = self.api.get::<List<Value>>("app", &[("limit", "1".to_owned())]).await;
        listed.map(drop).map_err(|failure| failure.to_string())
    }

    /// Makes what endpoints and messages need to be there. What is there stays as it is.
    async fn prepare(&self, owner: EndpointOwner) -> Result<(), Failure> {
        let kinds = EventKind::ALL.iter().map(|kind| kind.as_str());
        for name in kinds.chain([TEST]) {
            let description = "See AgentCal's documentation of webhooks.";
            let made = self.api.post::<_, Value>("event-type", &EventTypeIn { name, description }).await;
            made.map(drop).or_else(Failure::or_there_already)?;
        }
        let uid = application(owner);
        let body = ApplicationIn { name: &uid, uid: &uid };
        self.api.post::<_, Value>("app?get_if_exists=true", &body).await.map(drop)
    }

    async fn write_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        first_secret: &str,
        is_known: bool,
    ) -> Result<(), Failure> {
        let (app, uid) = (application(owner_of(endpoint)), endpoint.id.to_string());
        let mut body = EndpointIn {
            uid: &uid,
            url: &endpoint.url,
            filter_types: endpoint.events.iter().map(|kind| kind.as_str()).chain([TEST]).collect(),
            channels: channels_of(endpoint),
            disabled: endpoint.standing != WebhookStanding::Enabled,
            secret: Some(first_secret),
        };
        if !is_known {
            match self.api.post::<_, Value>(&format!("app/{app}/endpoint"), &body).await {
                Err(Failure::Conflict) => {}
                made => return made.map(drop),
            }
        }
        body.secret = None;
        self.api.put(&format!("app/{app}/endpoint/{uid}"), &body).await
    }

    /// Has messages signed with the present secret, and with the one before for as long as that is used.
    async fn agree_on_secret(
        &self,
        endpoint: &WebhookEndpoint,
        secrets: &WebhookSecrets,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let path = format!("app/{}/endpoint/{}/secret", application(owner_of(endpoint)), endpoint.id);
        let there: Secret = self.api.get(&path, &[]).await?;
        if there.bytes().is_some_and(|bytes| bytes.as_slice() == secrets.present.as_slice()) {
            return Ok(());
        }
        let grace_period_seconds = grace(secrets, now).as_secs().min(GRACE_MAX_SECONDS);
        let body = SecretRotation { key: secret_text(&secrets.present), grace_period_seconds };
        self.api.post_for_nothing(&format!("{path}/rotate"), &body).await
    }

    async fn say(&self, owner: EndpointOwner, message: &MessageIn<'_>) -> Result<MessageOut, Failure> {
        self.api.post(&format!("app/{}/msg?with_content=false", application(owner)), message).await
    }

    /// Waits until a message was tried at an endpoint.
    async fn first_attempt(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        message: &str,
    ) -> Result<Option<Attempt>, Failure> {
        let path = format!("app/{}/attempt/msg/{message}", application(owner));
        let wanted = [("endpoint_id", id.to_string()), ("limit", "1".to_owned())];
        let looks = TEST_PATIENCE.as_millis() / TEST_LOOK.as_millis();
        for _ in 0..looks {
            let tried: List<Attempt> = self.api.get(&path, &wanted).await?;
            if let Some(attempt) = tried.data.into_iter().next() {
                return Ok(Some(attempt));
            }
            tokio::time::sleep(TEST_LOOK).await;
        }
        Ok(None)
    }
}

#[async_trait]
impl WebhookRelay for Svix {
    fn accounts_max(&self) -> usize {
        ACCOUNTS_MAX
    }

    async fn put_endpoint(
        &self,
        endpoint: &WebhookEndpoint,
        secrets: &WebhookSecrets,
        is_known: bool,
        now: Timestamp,
    ) -> Result<(), RelayError> {
        if endpoint.account_ids.as_ref().is_some_and(|ids| ids.len() > ACCOUNTS_MAX) {
            return Err(RelayError::Refused(format!("more than {ACCOUNTS_MAX} accounts")));
        }
        let previous = secrets.previous.as_ref().filter(|(_, until)| now < *until);
        let first = secret_text(previous.map_or(&secrets.present, |(bytes, _)| bytes));
        match self.write_endpoint(endpoint, &first, is_known).await {
            // Its application is not there, or not every type it filters by.
            Err(Failure::Missing | Failure::Refused(_)) => {
                self.prepare(owner_of(endpoint)).await?;
                self.write_endpoint(endpoint, &first, is_known).await?;
            }
            written => written?,
        }
        self.agree_on_secret(endpoint, secrets, now).await.map_err(RelayError::from)
    }

    async fn delete_endpoint(&self, owner: EndpointOwner, id: WebhookId) -> Result<(), RelayError> {
        match self.api.delete(&format!("app/{}/endpoint/{id}", application(owner))).await {
            Err(Failure::Missing) => Ok(()),
            deleted => deleted.map_err(RelayError::from),
        }
    }

    async fn tell(&self, message: &RelayMessage) -> Result<(), RelayError> {
        let account = message.account_id.to_string();
        let body = MessageIn {
            event_id: message.event.id.to_string(),
            event_type: message.event.kind.as_str(),
            payload: payload(message)?,
            channels: vec![ALL, &account],
            payload_retention_period: PAYLOAD_DAYS,
        };
        let said = self.say(message.owner, &body).await.map(drop);
        said.or_else(Failure::or_there_already).map_err(RelayError::from)
    }

    async fn test(&self, endpoint: &WebhookEndpoint, id: DeliveryId, now: Timestamp) -> Result<RelayTest, RelayError> {
        let untried = |says: &str| {
            let error = Some(says.to_owned());
            RelayTest { status: None, error, answer: String::new(), duration: Duration::ZERO }
        };
        if endpoint.standing != WebhookStanding::Enabled {
            return Ok(untried("it is switched off, and the service sends nothing to it"));
        }
        let (owner, own) = (owner_of(endpoint), endpoint.id.to_string());
        let body = MessageIn {
            // Svix takes nothing for an id of ours that begins like its own.
            event_id: format!("test_{id}"),
            event_type: TEST,
            payload: raw(&test_payload(now))?,
            channels: vec![&own],
            payload_retention_period: PAYLOAD_DAYS,
        };
        let said = self.say(owner, &body).await?;
        let tried = self.first_attempt(owner, endpoint.id, &said.id).await?;
        Ok(tried.map_or_else(|| untried("the service has it, and has not tried it yet"), shown_attempt))
    }

    async fn deliveries(
        &self,
        owner: EndpointOwner,
        id: WebhookId,
        page: &RelayPageRequest,
    ) -> Result<RelayPage, RelayError> {
        history::read(&self.api, owner, id, page).await.map_err(RelayError::from)
    }

    async fn resend(&self, owner: EndpointOwner, id: WebhookId, message_id: DeliveryId) -> Result<(), RelayError> {
        let event_id = agentcal_engine::relay::event_id(message_id);
        let path = format!("app/{}/msg/{event_id}/endpoint/{id}/resend", application(owner));
        self.api.post_for_nothing(&path, &Map::new()).await.map_err(RelayError::from)
    }

    async fn replay(&self, owner: EndpointOwner, id: WebhookId, since: Timestamp) -> Result<u64, RelayError> {
        let count = history::count_given_up(&self.api, owner, id, since).await?;
        let path = format!("app/{}/endpoint/{id}/recover", application(owner));
        let body = Map::from_iter([("since".to_owned(), Value::String(since.to_utc().to_rfc3339()))]);
        self.api.post_for_nothing(&path, &body).await?;
        Ok(count)
    }
}

/// What an organization's endpoints and messages of a mode are kept under.
fn application(owner: EndpointOwner) -> String {
    let mode = match owner.mode {
        agentcal_engine::model::Mode::Live => "live",
        agentcal_engine::model::Mode::Test => "test",
    };
    format!("{}_{mode}", owner.organization_id)
}

fn owner_of(endpoint: &WebhookEndpoint) -> EndpointOwner {
    EndpointOwner { organization_id: endpoint.organization_id, mode: endpoint.mode }
}

fn channels_of(endpoint: &WebhookEndpoint) -> BTreeSet<String> {
    let own = endpoint.id.to_string();
    match &endpoint.account_ids {
        None => BTreeSet::from([own, ALL.to_owned()]),
        Some(ids) => ids.iter().map(AccountId::to_string).chain([own]).collect(),
    }
}

/// For how long the secret before the present one is used still.
fn grace(secrets: &WebhookSecrets, now: Timestamp) -> Duration {
    secrets.previous.as_ref().map(|(_, until)| until.saturating_since(now)).unwrap_or_default()
}

fn secret_text(secret: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The same body that we would send, as it is signed.
fn payload(message: &RelayMessage) -> Result<Box<RawValue>, RelayError> {
    let event = Arc::new(message.event.clone());
    raw(&Told::new(message.account_id, message.happened_at, Some(event)))
}

fn test_payload(now: Timestamp) -> Told {
    Told::new(AccountId::from_uuid(uuid::Uuid::nil()), now, None)
}

fn raw(told: &Told) -> Result<Box<RawValue>, RelayError> {
    let body: Result<Box<RawValue>, _> = serde_json::from_slice(&render(told));
    body.map_err(|error| RelayError::Refused(error.to_string()))
}
