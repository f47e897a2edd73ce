//! A world with endpoints, and short words for what is done with them.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{
    Booking, DeliveryAttempt, DeliveryState, EventKind, EventSubject, User, WebhookDelivery, WebhookEndpoint,
    WebhookHealth, WebhookStanding,
};
use agentcal_engine::ports::{
    AttemptRecord, ClaimedDeliveries, ClaimedDelivery, DeliveryClaim, DueEndpoint, EndedEndpoint, EndpointOwner,
    JobStore, PageRequest, RelayStore, Spread, Store, WebhookStore, Write,
};
use agentcal_engine::time::TimeRange;
use agentcal_engine::webhooks::{Next, Tried};

use crate::World;
use crate::world::TestClock;

/// How long a claim lasts here.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A world whose store keeps webhooks, too.
pub struct WebhookWorld {
    world: World,
    /// The store, as what keeps webhooks.
    pub webhooks: Arc<dyn WebhookStore>,
    /// The store, as what keeps jobs.
    pub jobs: Arc<dyn JobStore>,
    /// The store, as what keeps what a service is to be told.
    pub relays: Arc<dyn RelayStore>,
}

impl Deref for WebhookWorld {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl WebhookWorld {
    /// A world on a store of this making.
    pub async fn new<S, G, F>(make: impl FnOnce(Arc<TestClock>) -> F) -> Self
    where
        S: Store + WebhookStore + JobStore + RelayStore + Clone + 'static,
        G: Send + 'static,
        F: Future<Output = (S, G)>,
    {
        let mut kept = None;
        let world = World::new(async |clock| {
            let (store, ground) = make(clock).await;
            kept = Some(store.clone());
            (store, ground)
        })
        .await;
        let store = Arc::new(kept.expect("the store was made"));
        Self { world, webhooks: Arc::clone(&store) as _, jobs: Arc::clone(&store) as _, relays: store }
    }

    pub(crate) fn owner(&self) -> EndpointOwner {
        EndpointOwner { organization_id: self.tenant.organization_id, mode: self.tenant.mode }
    }

    pub(crate) fn new_endpoint(&self) -> WebhookEndpoint {
        WebhookEndpoint {
            id: WebhookId::from_uuid(self.uuid()),
            organization_id: self.tenant.organization_id,
            mode: self.tenant.mode,
            url: "https://example.com/hook".into(),
            events: BTreeSet::from(EventKind::ALL),
            account_ids: None,
            standing: WebhookStanding::Enabled,
            health: WebhookHealth::default(),
            created_at: self.now(),
        }
    }

    pub(crate) async fn make(&self, endpoint: &WebhookEndpoint) -> WebhookId {
        let made = self.webhooks.create_endpoint(endpoint, b"a secret of an endpoint", None).await;
        assert_eq!(made.expect("the store answers"), Write::Done);
        endpoint.id
    }

    pub(crate) async fn endpoint(&self) -> WebhookId {
        self.make(&self.new_endpoint()).await
    }

    pub(crate) async fn read(&self, id: WebhookId) -> WebhookEndpoint {
        let found = self.webhooks.endpoint(self.owner(), id).await.expect("readable");
        found.expect("the endpoint is there")
    }

    pub(crate) async fn spread(&self) -> Spread {
        self.webhooks.spread_events(None, 100, MailFor::NOBODY).await.expect("the store answers")
    }

    pub(crate) async fn due(&self) -> Vec<DueEndpoint> {
        self.webhooks.due_endpoints(100).await.expect("readable")
    }

    pub(crate) async fn claim(&self, endpoint_id: WebhookId) -> Vec<ClaimedDelivery> {
        let mut claimed = self.claim_some(&[(endpoint_id, 10)]).await.deliveries;
        claimed.sort_by_key(|delivery| (delivery.happened_at, delivery.event.sequence()));
        claimed
    }

    /// Takes as many deliveries of endpoints in hand as there is room for.
    pub(crate) async fn claim_some(&self, room: &[(WebhookId, u32)]) -> ClaimedDeliveries {
        let claim = DeliveryClaim { owner: None, lease: LEASE, room: room.iter().copied().collect() };
        self.webhooks.claim_deliveries(&claim).await.expect("the store answers")
    }

    /// Spreads what is new, and claims what an endpoint shall hear.
    pub(crate) async fn claimed(&self, endpoint_id: WebhookId) -> Vec<ClaimedDelivery> {
        self.spread().await;
        self.claim(endpoint_id).await
    }

    pub(crate) async fn record(
        &self,
        delivery: &ClaimedDelivery,
        endpoint_id: WebhookId,
        status: Option<u16>,
        next: Next,
    ) {
        let records = [self.tried(delivery, endpoint_id, status, next)];
        self.webhooks.record_attempts(&records, MailFor::NOBODY).await.expect("the store answers");
    }

    /// Keeps what tries came to where mails are made for test accounts.
    pub(crate) async fn recorded_with_mail(&self, records: &[AttemptRecord]) -> Vec<EndedEndpoint> {
        let mail = MailFor { live: false, test: true };
        self.webhooks.record_attempts(records, mail).await.expect("the store answers")
    }

    pub(crate) fn tried(
        &self,
        delivery: &ClaimedDelivery,
        endpoint_id: WebhookId,
        status: Option<u16>,
        next: Next,
    ) -> AttemptRecord {
        let attempt = DeliveryAttempt {
            number: delivery.number,
            ended_at: self.now(),
            duration: Duration::from_millis(12),
            status,
            error: status.is_none().then(|| "no answer in time".to_owned()),
            answer: "thanks".into(),
        };
        AttemptRecord {
            account_id: delivery.account_id,
            delivery_id: delivery.id,
            endpoint_id,
            attempt,
            tried: Tried { status, retry_after: None },
            next,
        }
    }

    pub(crate) async fn deliveries(&self, id: WebhookId, state: Option<DeliveryState>) -> Vec<WebhookDelivery> {
        let page = PageRequest { limit: 100, after: None };
        self.webhooks.list_deliveries(self.owner(), id, state, &page).await.expect("readable").rows
    }

    pub(crate) async fn states(&self, id: WebhookId) -> Vec<DeliveryState> {
        self.deliveries(id, None).await.into_iter().map(|delivery| delivery.state).collect()
    }

    pub(crate) async fn a_booking(&self) -> (User, Booking) {
        let user = self.user().await;
        let booking = self.book(&[&user], self.minutes(60, 90)).await;
        (user, booking)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pub(crate) fn booking_of(delivery: &ClaimedDelivery) -> (&Booking, Option<TimeRange>) {
    match &delivery.event.subject {
        EventSubject::Booking { booking, previous_range, .. } => (booking, *previous_range),
        EventSubject::Connection { .. } => panic!("it is about a connection"),
    }
}
