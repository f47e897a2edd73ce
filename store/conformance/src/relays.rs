//! What waits for a service that delivers in our place: endpoints first, then events, each once at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_engine::followups::MailFor;
use agentcal_engine::ids::WebhookId;
use agentcal_engine::model::{BookingStatus, EventKind, EventSubject, Mode, WebhookEndpoint};
use agentcal_engine::ports::{
    ClaimedEndpoint, ClaimedEvent, EndpointOwner, EndpointTold, EventTold, JobNext, RelayClaim, Spread, Write,
};
use agentcal_engine::shard::NodeId;

use crate::webhooks::WebhookWorld;
use crate::webhooks::stage::LEASE;

const CLAIM: RelayClaim = RelayClaim { owner: None, limit: 10, lease: LEASE };
const SOON: JobNext = JobNext::Again(Duration::from_secs(5));

impl WebhookWorld {
    async fn to_relay(&self) -> Spread {
        self.relays.spread_to_relay(None, 100, MailFor::NOBODY).await.expect("the store answers")
    }

    async fn endpoints_in_hand(&self) -> Vec<ClaimedEndpoint> {
        self.relays.claim_endpoints(CLAIM).await.expect("the store answers")
    }

    async fn one_in_hand(&self) -> ClaimedEndpoint {
        let [one] = <[_; 1]>::try_from(self.endpoints_in_hand().await).expect("one endpoint");
        one
    }

    async fn endpoint_told(&self, claimed: &ClaimedEndpoint, next: JobNext) {
        let told = EndpointTold {
            id: claimed.id,
            revision: claimed.revision,
            is_deleted: claimed.present.is_none(),
            tries: claimed.tries,
            ended_at: self.now(),
            next,
        };
        self.relays.record_endpoints(&[told]).await.expect("the store answers");
    }

    /// Makes an endpoint, of which the service is told.
    async fn known_endpoint(&self) -> WebhookId {
        let id = self.endpoint().await;
        self.endpoint_told(&self.one_in_hand().await, JobNext::Done).await;
        id
    }

    async fn events_in_hand(&self) -> Vec<ClaimedEvent> {
        self.relays.claim_events(CLAIM).await.expect("the store answers")
    }

    async fn event_told(&self, claimed: &ClaimedEvent, next: JobNext) {
        let (account_id, event_id) = (claimed.account_id, claimed.event.id);
        let told = EventTold { account_id, event_id, tries: claimed.tries, ended_at: self.now(), next };
        self.relays.record_events(&[told]).await.expect("the store answers");
    }
}

/// The service is told of an endpoint as it is: made, changed, with another secret, gone. Once each, and nothing in between.
pub async fn the_service_is_told_how_endpoints_are(world: WebhookWorld) {
    let id = world.endpoint().await;
    let made = world.one_in_hand().await;
    assert_eq!((made.id, made.owner, made.is_known, made.tries), (id, world.owner(), false, 1));
    let present = made.present.as_deref().expect("it is there");
    assert_eq!(
        (&present.0, present.1.present.as_slice()),
        (&world.read(id).await, b"a secret of an endpoint".as_slice())
    );
    assert_eq!(world.endpoints_in_hand().await.len(), 0, "it is in hand");
    world.endpoint_told(&made, JobNext::Done).await;
    assert_eq!(world.endpoints_in_hand().await.len(), 0, "it is told");

    let before = world.read(id).await;
    let after = WebhookEndpoint { url: "https://example.org/".into(), ..before.clone() };
    assert_eq!(world.webhooks.update_endpoint(&before, &after, None).await.expect("answered"), Write::Done);
    let rotated = world.webhooks.rotate_secret(world.owner(), id, b"another secret entirely", None).await;
    assert_eq!(rotated.expect("answered"), Write::Done);
    let changed = world.one_in_hand().await;
    let present = changed.present.as_deref().expect("it is there");
    assert!(changed.is_known && changed.revision > made.revision);
    assert_eq!((&present.0.url, present.1.present.as_slice()), (&after.url, b"another secret entirely".as_slice()));
    world.endpoint_told(&changed, JobNext::Done).await;

    let deleted = world.webhooks.delete_endpoint(world.owner(), id, None).await;
    assert_eq!(deleted.expect("answered"), Write::Done);
    let gone = world.one_in_hand().await;
    assert!((gone.id, gone.is_known) == (id, true) && gone.present.is_none());
    world.endpoint_told(&gone, JobNext::Done).await;
    world.pass(LEASE);
    assert_eq!(world.endpoints_in_hand().await.len(), 0);
}

/// A change while the service is being told is told afterwards, by nobody beside whoever tells, and not lost.
pub async fn a_change_meanwhile_is_told_afterwards(world: WebhookWorld) {
    let id = world.endpoint().await;
    let first = world.one_in_hand().await;
    let before = world.read(id).await;
    let after = WebhookEndpoint { url: "https://example.org/".into(), ..before.clone() };
    world.webhooks.update_endpoint(&before, &after, None).await.expect("answered");
    assert_eq!(world.endpoints_in_hand().await.len(), 0, "somebody tells of it");
    world.endpoint_told(&first, JobNext::Done).await;
    let second = world.one_in_hand().await;
    assert_eq!(second.present.as_deref().map(|present| present.0.url.as_str()), Some("https://example.org/"));
    // Whoever has it dies; a late word of theirs changes nothing.
    world.pass(LEASE);
    let third = world.one_in_hand().await;
    assert_eq!((third.revision, third.tries), (second.revision, second.tries + 1));
    world.endpoint_told(&second, JobNext::Done).await;
    assert_eq!(world.endpoints_in_hand().await.len(), 0);
    world.endpoint_told(&third, SOON).await;
    assert_eq!(world.endpoints_in_hand().await.len(), 0, "it waits");
    world.pass(Duration::from_secs(5));
    let fourth = world.one_in_hand().await;
    world.endpoint_told(&fourth, JobNext::Done).await;
    world.pass(LEASE);
    assert_eq!(world.endpoints_in_hand().await.len(), 0);
}

/// What the service refuses is told again when it is changed, and holds up no event.
pub async fn a_refused_endpoint_waits_for_a_change(world: WebhookWorld) {
    let id = world.endpoint().await;
    world.a_booking().await;
    assert_eq!(world.to_relay().await, Spread { events: 1, deliveries: 1 });
    let refused = world.one_in_hand().await;
    assert_eq!(world.events_in_hand().await, [], "endpoints come first");
    world.endpoint_told(&refused, JobNext::GiveUp).await;
    world.pass(LEASE);
    assert_eq!(world.endpoints_in_hand().await.len(), 0);
    assert_eq!(world.events_in_hand().await.len(), 1);
    let before = world.read(id).await;
    world.webhooks.update_endpoint(&before, &before, None).await.expect("answered");
    assert!(!world.one_in_hand().await.is_known);
}

/// One event is one message, as it was then, told until it is known; then nothing of it is kept.
pub async fn an_event_is_told_once(world: WebhookWorld) {
    world.known_endpoint().await;
    world.known_endpoint().await;
    let (user, booking) = world.a_booking().await;
    world.commit(&world.cancel_plan(&booking, &[&user])).await;
    let due_at = world.now();
    assert_eq!(world.to_relay().await, Spread { events: 2, deliveries: 2 });
    assert_eq!(world.to_relay().await, Spread::default());
    assert_eq!(world.relays.first_event_due().await.expect("readable"), Some(due_at));
    assert_eq!(world.due().await, [], "nothing is delivered from here");
    let mut claimed = world.events_in_hand().await;
    claimed.sort_by_key(|claimed| claimed.event.sequence());
    let kinds: Vec<_> = claimed.iter().map(|claimed| (claimed.event.kind, claimed.tries, claimed.owner)).collect();
    let expected = [EventKind::BookingCreated, EventKind::BookingCancelled];
    assert_eq!(kinds, expected.map(|kind| (kind, 1, world.owner())));
    let EventSubject::Booking { booking: told, .. } = &claimed[0].event.subject else { panic!("a booking") };
    assert_eq!((told.id, told.status), (booking.id, BookingStatus::Confirmed));
    assert_eq!(world.events_in_hand().await, [], "they are in hand");
    world.event_told(&claimed[0], JobNext::Done).await;
    world.event_told(&claimed[1], SOON).await;
    world.pass(Duration::from_secs(5));
    let [again] = <[_; 1]>::try_from(world.events_in_hand().await).expect("one is left");
    assert_eq!((again.event.id, again.tries), (claimed[1].event.id, 2));
    // Lost with a node, and found again; the late word of the first does not put it off.
    world.pass(LEASE);
    let [third] = <[_; 1]>::try_from(world.events_in_hand().await).expect("one is left");
    world.event_told(&again, JobNext::Again(LEASE * 10)).await;
    world.pass(LEASE);
    assert_eq!(world.events_in_hand().await.len(), 1);
    world.event_told(&third, JobNext::Done).await;
    world.pass(LEASE);
    assert_eq!(world.events_in_hand().await, []);
    assert_eq!(world.relays.first_event_due().await.expect("readable"), None);
    assert_eq!(world.webhooks.forget_old_events(10).await.expect("answered"), 0, "nothing is kept");
}

/// What nobody hears of is forgotten, and what is refused for good is told no more.
pub async fn what_need_not_be_told_is_not(world: WebhookWorld) {
    let base = world.new_endpoint();
    let events = BTreeSet::from([EventKind::BookingCancelled]);
    world.make(&WebhookEndpoint { events, ..base }).await;
    world.endpoint_told(&world.one_in_hand().await, JobNext::Done).await;
    let (user, booking) = world.a_booking().await;
    assert_eq!(world.to_relay().await, Spread { events: 1, deliveries: 0 });
    world.commit(&world.cancel_plan(&booking, &[&user])).await;
    assert_eq!(world.to_relay().await, Spread { events: 1, deliveries: 1 });
    let [told] = <[_; 1]>::try_from(world.events_in_hand().await).expect("one event");
    world.event_told(&told, JobNext::GiveUp).await;
    world.pass(LEASE);
    assert_eq!(world.events_in_hand().await, []);
}

/// A service that knows nothing any more is told of all endpoints of an organization and mode, and of no others.
pub async fn the_service_is_told_anew(world: WebhookWorld) {
    let (first, second) = (world.known_endpoint().await, world.known_endpoint().await);
    let live = WebhookEndpoint { id: WebhookId::from_uuid(world.uuid()), mode: Mode::Live, ..world.new_endpoint() };
    world.make(&live).await;
    world.endpoint_told(&world.one_in_hand().await, JobNext::Done).await;
    world.relays.relay_anew(world.owner()).await.expect("answered");
    let claimed = world.endpoints_in_hand().await;
    let ids: BTreeSet<_> = claimed.iter().map(|claimed| (claimed.id, claimed.is_known)).collect();
    assert_eq!(ids, BTreeSet::from([(first, false), (second, false)]));
    let stranger = world.another_organization().await;
    let owner = EndpointOwner { organization_id: stranger.organization_id, mode: Mode::Test };
    world.relays.relay_anew(owner).await.expect("answered");
    assert_eq!(world.endpoints_in_hand().await.len(), 0);
}

/// However many tell the service, each endpoint and each event is in one hand.
pub async fn racers_tell_once(world: WebhookWorld) {
    world.endpoint().await;
    world.endpoint().await;
    let relays = &world.relays;
    let racers = (0..4).map(|_| async move { relays.claim_endpoints(CLAIM).await.expect("answered") });
    let claimed: Vec<_> = futures::future::join_all(racers).await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 2);
    for endpoint in &claimed {
        world.endpoint_told(endpoint, JobNext::Done).await;
    }
    world.a_booking().await;
    world.a_booking().await;
    let racers = (0..4).map(|_| async move { relays.spread_to_relay(None, 100, MailFor::NOBODY).await });
    let made: u32 = futures::future::join_all(racers).await.into_iter().flatten().map(|spread| spread.deliveries).sum();
    assert_eq!(made, 2);
    let racers = (0..4).map(|_| async move { relays.claim_events(CLAIM).await.expect("answered") });
    let claimed: Vec<_> = futures::future::join_all(racers).await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 2);
}

/// Only the owner of an account's shard tells what happened in it. Endpoints are anybody's.
pub async fn events_are_told_by_their_owners(world: WebhookWorld) {
    let stranger = RelayClaim { owner: Some(NodeId(world.uuid())), ..CLAIM };
    world.endpoint().await;
    let claimed = world.relays.claim_endpoints(stranger).await.expect("answered");
    world.endpoint_told(&claimed[0], JobNext::Done).await;
    world.a_booking().await;
    world.to_relay().await;
    assert_eq!(world.relays.claim_events(stranger).await.expect("answered"), []);
    assert_eq!(world.events_in_hand().await.len(), 1);
}
