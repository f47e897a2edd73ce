//! Svix as the relay finds it: everything may be told twice and is there once, and what goes wrong says whether to come
//! again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_delivery_webhooks::{Svix, SvixOptions};
use agentcal_engine::ids::{AccountId, ConnectionId, DeliveryId, EventId, OrganizationId, WebhookId};
use agentcal_engine::model::{
    Connection, ConnectionStatus, DeliveryState, Event, EventKind, EventSubject, Mode, ProviderKind, WebhookEndpoint,
    WebhookHealth, WebhookSecrets, WebhookStanding,
};
use agentcal_engine::ports::{EndpointOwner, RelayError, RelayMessage, RelayPageRequest, WebhookRelay};
use agentcal_engine::relay::message_id;
use agentcal_engine::time::Timestamp;
use agentcal_fake_kit::{Clock, Fault, Rule, Served, When, serve};
use agentcal_fake_svix::FakeSvix;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::json;
use uuid::Uuid;

const TOKEN: &str = "testsk_agentcal";
const SECRET: [u8; 32] = [7; 32];
const ANOTHER: [u8; 32] = [8; 32];

/// Paths of endpoints that heard something.
type Heard = Arc<Mutex<Vec<String>>>;

struct World {
    fake: FakeSvix,
    svix: Svix,
    heard: Heard,
    endpoints: Served,
    _served: Served,
}

impl World {
    async fn new() -> Self {
        let fake = FakeSvix::new(Clock::at(now().to_utc()), TOKEN);
        fake.set_retry_waits(Vec::new());
        let served = serve(fake.router(), 0).await;
        let url = served.base_url().parse().expect("an address");
        let svix = Svix::new(SvixOptions { url, token: TOKEN.to_owned() }).expect("a client");
        let heard = Heard::default();
        let router = Router::new().route("/{path}", post(hear)).with_state(Arc::clone(&heard));
        let endpoints = serve(router, 0).await;
        Self { fake, svix, heard, endpoints, _served: served }
    }

    fn endpoint(&self, number: u128, accounts: Option<&[u128]>) -> WebhookEndpoint {
        WebhookEndpoint {
            id: hook(number),
            organization_id: OrganizationId::from_uuid(Uuid::from_u128(1)),
            mode: Mode::Live,
            url: format!("{}/{number}", self.endpoints.base_url()),
            events: BTreeSet::from([EventKind::ConnectionReauthorizationRequired]),
            account_ids: accounts.map(|ids| ids.iter().map(|&id| account(id)).collect()),
            standing: WebhookStanding::Enabled,
            health: WebhookHealth::default(),
            created_at: now(),
        }
    }

    async fn put(&self, endpoint: &WebhookEndpoint, secrets: &WebhookSecrets) {
        self.svix.put_endpoint(endpoint, secrets, false, now()).await.expect("it is told");
    }

    async fn heard(&self, count: usize) -> Vec<String> {
        let look = async {
            loop {
                let mut heard = self.heard.lock().expect("no holder panics").clone();
                if heard.len() >= count {
                    heard.sort();
                    return heard;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), look).await.expect("they hear of it")
    }
}

async fn hear(State(heard): State<Heard>, Path(path): Path<String>) -> StatusCode {
    let fails = path == "3";
    heard.lock().expect("no holder panics").push(path);
    if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
}

fn hook(number: u128) -> WebhookId {
    WebhookId::from_uuid(Uuid::from_u128(number))
}

fn account(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(number))
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_795_420_800)
}

fn owner() -> EndpointOwner {
    EndpointOwner { organization_id: OrganizationId::from_uuid(Uuid::from_u128(1)), mode: Mode::Live }
}

fn secrets(present: [u8; 32], previous: Option<([u8; 32], Timestamp)>) -> WebhookSecrets {
    let previous = previous.map(|(bytes, until)| (bytes.to_vec().into(), until));
    WebhookSecrets { present: present.to_vec().into(), previous }
}

fn message(number: u128, of: u128) -> RelayMessage {
    let connection = Connection {
        id: ConnectionId::from_uuid(Uuid::from_u128(9)),
        account_id: account(of),
        provider: ProviderKind::Caldav,
        display_name: "sarah".into(),
        owner_addresses: Vec::new(),
        status: ConnectionStatus::ReauthorizationRequired,
        status_reason: None,
        created_at: now(),
    };
    let subject = EventSubject::Connection { connection: Box::new(connection) };
    let (id, kind) = (EventId::from_uuid(Uuid::from_u128(number)), EventKind::ConnectionReauthorizationRequired);
    RelayMessage { owner: owner(), account_id: account(of), happened_at: now(), event: Event { id, kind, subject } }
}

fn application() -> String {
    format!("{}_live", owner().organization_id)
}

#[tokio::test]
async fn everything_told_twice_is_there_once() {
    let world = World::new().await;
    let endpoint = world.endpoint(1, None);
    let there = secrets(SECRET, None);
    // Each answer that is lost is asked for again.
    for path in ["/app?", "/endpoint", "/secret", "/msg"] {
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("POST", path, When::First(1), Fault::LoseAnswer));
        let _ = world.svix.put_endpoint(&endpoint, &there, false, now()).await;
        world.put(&endpoint, &there).await;
        let _ = world.svix.tell(&message(1, 5)).await;
        world.svix.tell(&message(1, 5)).await.expect("it is told");
    }
    assert_eq!(world.fake.event_ids(&application()), [message(1, 5).event.id.to_string()]);
    let shown = world.fake.endpoint(&application(), &endpoint.id.to_string()).expect("it is there");
    assert_eq!(shown["eventTypes"], json!(["connection.reauthorization_required", "webhook.test"]));
    assert_eq!(shown["channels"], json!(["all", endpoint.id.to_string()]));
    assert_eq!(world.heard(1).await, ["1"]);
    for _ in 0..2 {
        world.svix.delete_endpoint(owner(), endpoint.id).await.expect("it is told");
    }
    assert_eq!(world.fake.endpoint(&application(), &endpoint.id.to_string()), None);
}

#[tokio::test]
async fn accounts_and_standing_decide_who_hears() {
    let world = World::new().await;
    let there = secrets(SECRET, None);
    let off = WebhookEndpoint { standing: WebhookStanding::SwitchedOff, ..world.endpoint(4, None) };
    for endpoint in [world.endpoint(1, None), world.endpoint(2, Some(&[5, 6])), off.clone()] {
        world.put(&endpoint, &there).await;
    }
    world.svix.tell(&message(1, 5)).await.expect("it is told");
    world.svix.tell(&message(2, 7)).await.expect("it is told");
    assert_eq!(world.heard(3).await, ["1", "1", "2"]);
    // A test message reaches one endpoint, whatever the others hear of.
    let id = DeliveryId::from_uuid(Uuid::from_u128(77));
    let tried = world.svix.test(&world.endpoint(2, None), id, now()).await.expect("it is asked");
    assert_eq!((tried.status, tried.error), (Some(200), None));
    assert_eq!(world.heard(4).await, ["1", "1", "2", "2"]);
    let untried = world.svix.test(&off, id, now()).await.expect("it is asked");
    assert!(untried.status.is_none() && untried.error.is_some_and(|says| says.contains("switched off")));
    let nine: Vec<u128> = (1..=9).collect();
    world.put(&world.endpoint(5, Some(&nine)), &there).await;
    let ten: Vec<u128> = (1..=10).collect();
    let refused = world.svix.put_endpoint(&world.endpoint(6, Some(&ten)), &there, false, now()).await;
    assert!(matches!(refused, Err(RelayError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn secrets_are_those_we_know() {
    let world = World::new().await;
    let endpoint = world.endpoint(1, None);
    let tomorrow = now() + Duration::from_secs(86_400);
    let rotated = || world.fake.calls().of(&application(), "endpoint.rotate");
    world.put(&endpoint, &secrets(SECRET, None)).await;
    assert_eq!(rotated(), 0, "it was made with it");
    for _ in 0..2 {
        let known = secrets(ANOTHER, Some((SECRET, tomorrow)));
        world.svix.put_endpoint(&endpoint, &known, true, now()).await.expect("it is told");
    }
    assert_eq!(rotated(), 1, "once is enough");
    // One that is made while two are in use has both, too; and so has one that Svix lost.
    let second = world.endpoint(2, None);
    world.put(&second, &secrets(ANOTHER, Some((SECRET, tomorrow)))).await;
    world.fake.forget();
    world.svix.put_endpoint(&second, &secrets(ANOTHER, None), true, now()).await.expect("it is told");
    assert_eq!(rotated(), 3);
    assert_eq!(world.svix.tell(&message(3, 5)).await, Ok(()));
}

#[tokio::test]
async fn what_was_tried_is_listed_in_our_shape() {
    let world = World::new().await;
    let there = secrets(SECRET, None);
    let (taken, failing) = (world.endpoint(1, None), world.endpoint(3, None));
    world.put(&taken, &there).await;
    world.put(&failing, &there).await;
    let page = |state, after: Option<String>| RelayPageRequest { state, limit: 2, after };
    assert_eq!(world.svix.deliveries(owner(), hook(99), &page(None, None)).await, Err(RelayError::Missing));
    for number in 1..=3 {
        world.svix.tell(&message(number, 5)).await.expect("it is told");
    }
    world.heard(6).await;
    let listed =
        async |id, state, after| world.svix.deliveries(owner(), id, &page(state, after)).await.expect("a page");
    // What was heard is listed when its answer has come back.
    let look = async {
        loop {
            let first = listed(failing.id, Some(DeliveryState::Failed), None).await;
            if first.rows.len() == 2 && listed(failing.id, None, first.next.clone()).await.rows.len() == 1 {
                return first;
            }
        }
    };
    let first = tokio::time::timeout(Duration::from_secs(60), look).await.expect("three are listed");
    let second = listed(failing.id, None, first.next.clone()).await;
    assert_eq!((first.rows.len(), second.rows.len(), second.next), (2, 1, None));
    let ids: Vec<_> = first.rows.iter().chain(&second.rows).map(|row| row.id).collect();
    assert_eq!(ids, [3, 2, 1].map(|number| message_id(message(number, 5).event.id)));
    let row = &first.rows[0];
    assert_eq!((row.state, row.account_id, row.kind), (DeliveryState::Failed, account(5), message(3, 5).event.kind));
    let [attempt] = row.attempts.as_slice() else { panic!("one attempt: {row:?}") };
    assert_eq!((attempt.number, attempt.status, &attempt.error), (1, Some(500), &None));
    assert_eq!(listed(taken.id, Some(DeliveryState::Failed), None).await.rows, []);

    let yesterday = now() - Duration::from_secs(86_400);
    world.svix.resend(owner(), taken.id, ids[0]).await.expect("it is sent again");
    assert_eq!(world.svix.replay(owner(), failing.id, yesterday).await, Ok(3));
    assert_eq!(world.heard(10).await.iter().filter(|path| *path == "1").count(), 4);
    let unknown = message_id(EventId::from_uuid(Uuid::from_u128(99)));
    assert_eq!(world.svix.resend(owner(), taken.id, unknown).await, Err(RelayError::Missing));
    let long_ago = now() - Duration::from_secs(20 * 86_400);
    let refused = world.svix.replay(owner(), failing.id, long_ago).await;
    assert!(matches!(&refused, Err(RelayError::Refused(says)) if says.contains("14 days")), "{refused:?}");
}

#[tokio::test]
async fn what_goes_wrong_says_whether_to_come_again() {
    let world = World::new().await;
    assert_eq!(world.svix.tell(&message(1, 5)).await, Err(RelayError::Missing), "no such application");
    let check = async |fault: Fault, expected: Option<Option<u64>>| {
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("POST", "/msg", When::Always, fault.clone()));
        match (world.svix.tell(&message(1, 5)).await, expected) {
            (Err(RelayError::Away { retry_after, .. }), Some(expected)) => {
                assert_eq!(retry_after, expected.map(Duration::from_secs), "{fault:?}");
            }
            (Err(RelayError::Refused(says)), None) => assert!(!says.contains(TOKEN), "{says}"),
            (told, _) => panic!("{fault:?}: {told:?}"),
        }
    };
    let says = |status| Fault::json(status, &json!({"code": "x", "detail": "as it is"}));
    check(says(429).with_header("retry-after", "30"), Some(Some(30))).await;
    for status in [401, 403, 408, 500, 503] {
        check(says(status), Some(None)).await;
    }
    check(Fault::Drop, Some(None)).await;
    for status in [400, 413, 422] {
        check(says(status), None).await;
    }
    world.fake.faults().clear();
    assert_eq!(world.svix.check().await, Ok(()));
    let url = world._served.base_url().parse().expect("an address");
    let stranger = Svix::new(SvixOptions { url, token: "another".to_owned() }).expect("a client");
    assert_eq!(stranger.check().await, Err("it refuses our token".to_owned()));
    for nowhere in ["http://example.com", "ftp://127.0.0.1"] {
        let options = SvixOptions { url: nowhere.parse().expect("an address"), token: TOKEN.to_owned() };
        let made = Svix::new(options);
        let asked = match made {
            Ok(svix) => svix.check().await,
            Err(error) => Err(error.to_string()),
        };
        assert!(asked.is_err(), "{nowhere}");
    }
}
