//! Tells a service that delivers webhooks in our place of endpoints that changed and of events. Rows hold everything that
//! waits; what is in hand here is given back by its lease if this node dies.
//!
//! One task does all of it but the telling. It wakes when events were spread or endpoints changed, when something was told,
//! and once a sweep. While the service is away nothing is taken in hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::Mode;
use agentcal_engine::ports::{
    ClaimedEndpoint, ClaimedEvent, EndpointOwner, EndpointTold, EventTold, JobNext, RelayClaim, RelayError,
    RelayMessage, StoreError,
};
use agentcal_engine::relay::next;
use agentcal_engine::time::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use crate::context::Context;
use crate::metrics;
use crate::occasions::Occasions;
use crate::parts::Relay;

/// Most endpoints and events that are being told at once.
const AT_ONCE_MAX: usize = 32;
/// When what is in hand counts as lost.
const LEASE: Duration = Duration::from_secs(60);
/// How long telling may take. Well within the lease, so that nothing old is told after something new.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long what is being told is waited for at the end. The rest is told again by whoever comes next.
const FAREWELL: Duration = Duration::from_secs(2);

/// What telling came to.
enum Told {
    Endpoint(EndpointTold),
    Event(EventTold),
}

/// What came back.
struct Back {
    told: Told,
    /// Whose endpoints and messages they are.
    owner: EndpointOwner,
    result: Result<(), RelayError>,
}

/// What is in hand.
struct Hand {
    context: Arc<Context>,
    relay: Relay,
    under_way: usize,
    /// What was told and is not kept yet.
    endpoints: Vec<EndpointTold>,
    events: Vec<EventTold>,
    /// Of whom the service knows nothing any more.
    forgotten: BTreeSet<(OrganizationId, Mode)>,
    silence: Silence,
    send: UnboundedSender<Back>,
}

/// For how long the service is left alone.
#[derive(Default)]
struct Silence {
    /// Times in a row that it was found away.
    times: u32,
    until: Option<Instant>,
}

/// Works until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>, relay: Relay) {
    let (send, mut occasions) = Occasions::new(context.parts.settings.sweep_interval);
    let mut hand = Hand {
        context: Arc::clone(&context),
        relay,
        under_way: 0,
        endpoints: Vec::new(),
        events: Vec::new(),
        forgotten: BTreeSet::new(),
        silence: Silence::default(),
        send,
    };
    while let Some(back) = occasions.next(&context.stopping, &context.relay_bell).await {
        hand.take_back(back);
        if let Err(error) = hand.round().await {
            tracing::warn!(%error, "what is told to the service for webhooks waits for the store");
        }
    }
    hand.farewell(occasions).await;
}

impl Hand {
    fn take_back(&mut self, back: Vec<Back>) {
        for Back { told, owner, result } in back {
            self.under_way -= 1;
            match &result {
                Ok(()) => self.silence = Silence::default(),
                Err(RelayError::Away { .. }) => self.silence.lengthen(&result, &self.context),
                Err(RelayError::Missing) => {
                    self.forgotten.insert((owner.organization_id, owner.mode));
                }
                Err(RelayError::Refused(_)) => {}
            }
            match told {
                Told::Endpoint(told) => self.endpoints.push(told),
                Told::Event(told) => self.events.push(told),
            }
        }
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        self.keep_results().await?;
        if self.context.is_closing() || self.silence.lasts() {
            return Ok(());
        }
        let first = self.relay.store.first_event_due().await?;
        let overdue = first.map(|first| self.context.store_now().saturating_since(first)).unwrap_or_default();
        ::metrics::gauge!(metrics::RELAY_OVERDUE).set(overdue.as_secs_f64());
        if let Some(claim) = self.claim() {
            for endpoint in self.relay.store.claim_endpoints(claim).await? {
                self.begin_endpoint(endpoint);
            }
        }
        if let Some(claim) = self.claim() {
            for event in self.relay.store.claim_events(claim).await? {
                self.begin_event(event);
            }
        }
        Ok(())
    }

    /// What there is room for.
    fn claim(&self) -> Option<RelayClaim> {
        let room = u32::try_from(AT_ONCE_MAX.saturating_sub(self.under_way)).ok().filter(|&room| room > 0);
        room.map(|limit| RelayClaim { owner: self.context.ownership.only_own(), limit, lease: LEASE })
    }

    /// Keeps what telling came to. What cannot be kept now is kept with the next round.
    async fn keep_results(&mut self) -> Result<(), StoreError> {
        if !self.endpoints.is_empty() {
            self.relay.store.record_endpoints(&self.endpoints).await?;
            self.endpoints.clear();
        }
        if !self.events.is_empty() {
            self.relay.store.record_events(&self.events).await?;
            self.events.clear();
        }
        while let Some(&(organization_id, mode)) = self.forgotten.first() {
            tracing::warn!(%organization_id, "the service for webhooks knows nothing of an organization; it is told anew");
            self.relay.store.relay_anew(EndpointOwner { organization_id, mode }).await?;
            self.forgotten.pop_first();
        }
        Ok(())
    }

    fn begin_endpoint(&mut self, claimed: ClaimedEndpoint) {
        let (service, context) = (Arc::clone(&self.relay.service), Arc::clone(&self.context));
        let (id, owner, revision, tries) = (claimed.id, claimed.owner, claimed.revision, claimed.tries);
        let is_deleted = claimed.present.is_none();
        let telling = async move {
            match &claimed.present {
                Some(present) => {
                    let now = context.store_now();
                    service.put_endpoint(&present.0, &present.1, claimed.is_known, now).await
                }
                None => service.delete_endpoint(owner, id).await,
            }
        };
        let told = move |ended_at, result: &_, context: &Context| {
            if let Err(RelayError::Refused(says)) = result {
                tracing::error!(endpoint_id = %id, says, "the service for webhooks refuses an endpoint until it is changed");
            }
            let next = next(result, tries, &*context.parts.entropy);
            count("endpoint", &next);
            Told::Endpoint(EndpointTold { id, revision, is_deleted, tries, ended_at, next })
        };
        self.begin(owner, telling, told);
    }

    fn begin_event(&mut self, claimed: ClaimedEvent) {
        let service = Arc::clone(&self.relay.service);
        let (owner, account_id, event_id, tries) = (claimed.owner, claimed.account_id, claimed.event.id, claimed.tries);
        let message = RelayMessage { owner, account_id, happened_at: claimed.happened_at, event: claimed.event };
        let telling = async move { service.tell(&message).await };
        let told = move |ended_at, result: &_, context: &Context| {
            if let Err(RelayError::Refused(says)) = result {
                tracing::error!(%event_id, says, "the service for webhooks refuses an event; nobody hears of it");
            }
            let next = next(result, tries, &*context.parts.entropy);
            count("event", &next);
            Told::Event(EventTold { account_id, event_id, tries, ended_at, next })
        };
        self.begin(owner, telling, told);
    }

    /// Has something told, and hears what becomes of it.
    fn begin(
        &mut self,
        owner: EndpointOwner,
        telling: impl Future<Output = Result<(), RelayError>> + Send + 'static,
        told: impl FnOnce(Timestamp, &Result<(), RelayError>, &Context) -> Told + Send + 'static,
    ) {
        self.under_way += 1;
        let (context, send) = (Arc::clone(&self.context), self.send.clone());
        tokio::spawn(async move {
            // A panic must not leave one place less for ever.
            let ended = tokio::spawn(timeout(PATIENCE, telling)).await;
            let away = |says: String| Err(RelayError::Away { says, retry_after: None });
            let result = match ended {
                Ok(Ok(result)) => result,
                Ok(Err(_elapsed)) => away("it took too long".to_owned()),
                Err(error) => away(format!("telling failed inside: {error}")),
            };
            let told = told(context.store_now(), &result, &context);
            // Nobody listens any more: the lease gives it back.
            let _ = send.send(Back { told, owner, result });
        });
    }

    /// Keeps what ends soon.
    async fn farewell(mut self, mut occasions: Occasions<Back>) {
        let until = Instant::now() + FAREWELL;
        while self.under_way > 0 {
            let Some(back) = occasions.until(until).await else { break };
            self.take_back(back);
        }
        if let Err(error) = self.keep_results().await {
            tracing::warn!(%error, "what was told to the service for webhooks was not kept; it is told again");
        }
    }
}

impl Silence {
    fn lasts(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    /// What is found away by many at once was found away once.
    fn lengthen(&mut self, result: &Result<(), RelayError>, context: &Context) {
        if self.lasts() {
            return;
        }
        self.times = self.times.saturating_add(1);
        if let JobNext::Again(wait) = next(result, self.times, &*context.parts.entropy) {
            if let Err(error) = result {
                tracing::warn!(%error, wait_ms = wait.as_millis(), "webhooks wait for the service that delivers them");
            }
            self.until = Some(Instant::now() + wait);
        }
    }
}

fn count(what: &'static str, next: &JobNext) {
    let outcome = match next {
        JobNext::Done => "told",
        JobNext::Again(_) | JobNext::NotYet(_) => "retry",
        JobNext::GiveUp => "given_up",
    };
    ::metrics::counter!(metrics::RELAY_ATTEMPTS, "what" => what, "outcome" => outcome).increment(1);
}
