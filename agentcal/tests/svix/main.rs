//! The program where Svix delivers: endpoints from before are made there, bookings are told through it and signed as its own
//! library reads them, and nothing is lost while it is away or the program is killed.

mod customer;
mod endpoints;
mod several;

use std::path::Path;
use std::time::Duration;

use agentcal_fake_kit::{Clock, Fault, Rule, Served, When, serve};
use agentcal_fake_svix::FakeSvix;
use agentcal_testkit::{Node, python, wait_for};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use customer::{Account, Customer, text};
use endpoints::{Endpoints, Message};

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const TOKEN: &str = "testsk_agentcal";
const WITHIN: Duration = Duration::from_secs(60);

/// The program, Svix and the endpoints.
struct World {
    /// Svix and the endpoints live as long as it does.
    _runtime: Runtime,
    svix: FakeSvix,
    served: Served,
    endpoints: Endpoints,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let svix = FakeSvix::new(Clock::system(), TOKEN);
        svix.set_retry_waits(vec![Duration::from_millis(50)]);
        let served = runtime.block_on(serve(svix.router(), 0));
        let endpoints = Endpoints::start(&runtime);
        Self { _runtime: runtime, svix, served, endpoints, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn variables(&self) -> Vec<(String, String)> {
        self.variables_on(&format!("sqlite://{}", self.folder.path().join("agentcal.db").display()))
    }

    fn variables_on(&self, database: &str) -> Vec<(String, String)> {
        let variables = [
            ("AGENTCAL_DATABASE_URL", database),
            ("AGENTCAL_ENCRYPTION_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("AGENTCAL_WEBHOOKS_ALLOW_LOOPBACK", "true"),
            ("AGENTCAL_WEBHOOKS_ALLOW_HTTP", "true"),
            ("AGENTCAL_WEBHOOKS_PORTS", "any"),
        ];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The same, with Svix.
    fn variables_with_svix(&self) -> Vec<(String, String)> {
        [self.variables(), self.svix_variables()].concat()
    }

    fn svix_variables(&self) -> Vec<(String, String)> {
        let svix = [("AGENTCAL_SVIX_URL", self.served.base_url()), ("AGENTCAL_SVIX_TOKEN", TOKEN.to_owned())];
        svix.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Svix answers nobody, and breaks connections.
    fn svix_goes(&self) {
        let fault = Fault::Drop;
        self.svix.faults().add(Rule { method: None, path_contains: String::new(), when: When::Always, fault });
    }

    fn svix_is_back(&self) {
        self.svix.faults().clear();
    }

    fn known(&self, customer: &Customer, webhook: &str) -> Option<Value> {
        self.svix.endpoint(&customer.application(), webhook)
    }

    /// Waits for the so manieth message at a path.
    fn heard(&self, path: &str, count: usize) -> Vec<Message> {
        wait_for(&format!("{count} messages at {path}"), WITHIN, || {
            let heard = self.endpoints.heard(path);
            (heard.len() >= count).then_some(heard)
        })
    }
}

#[test]
fn svix_delivers_in_our_place() {
    let world = World::new();
    let mut customer = Customer::new(&world.variables());
    let node = Node::start(BINARY, &world.variables());
    customer.speaks_to(node.base_url());
    let (first, second) = (customer.account(), customer.account());
    let webhook = customer.webhook(&world.endpoints.url("before"), None);
    let own = customer.book(&first);
    let sent = world.heard("before", 1);
    assert_eq!((sent[0].booking(), sent[0].is_of_svix()), (own, false));
    drop(node);

    let mut node = Node::start(BINARY, &world.variables_with_svix());
    customer.speaks_to(node.base_url());
    doctor_knows_it(&world);
    wait_for("the endpoint from before at Svix", WITHIN, || world.known(&customer, &webhook.id));
    let narrow = customer.webhook(&world.endpoints.url("narrow"), Some(&second));
    bookings_are_told(&world, &customer, (&first, &second));
    absences_lose_nothing(&world, &mut customer, &mut node, (&first, &webhook.id));
    let rotated = customer.ask(&Method::POST, &format!("/webhooks/{}/rotate-secret", webhook.id), None);
    two_secrets_are_used(&world, &customer, &first, [text(&rotated, "secret"), &webhook.secret]);
    what_was_sent_is_listed_and_sent_again(&world, &customer, (&first, &webhook.id));
    switching_off_and_deleting_reach_it(&world, &customer, (&first, &webhook.id, &narrow.id));
    node.kill9();
}

/// `agentcal doctor` looks at it.
fn doctor_knows_it(world: &World) {
    let said = customer::said(&world.variables_with_svix(), &["doctor"]);
    assert!(said.lines().any(|line| line.starts_with("ok") && line.contains("Svix")), "{said}");
}

/// Through Svix, each to the endpoints that hear of its account.
fn bookings_are_told(world: &World, customer: &Customer, (first, second): (&Account, &Account)) {
    let (of_first, of_second) = (customer.book(first), customer.book(second));
    let wide = world.heard("before", 3);
    let told: Vec<_> = wide[1..].iter().map(Message::booking).collect();
    assert!(wide[1..].iter().all(Message::is_of_svix));
    assert!(told.contains(&of_first) && told.contains(&of_second), "{told:?}");
    let narrow: Vec<_> = world.heard("narrow", 1).iter().map(Message::booking).collect();
    assert_eq!(narrow, [of_second]);
    assert_eq!(wide[1].event()["type"], json!("booking.created"));
}

/// Svix is away, and the program dies: what is changed and booked meanwhile reaches it later, the change first.
fn absences_lose_nothing(
    world: &World,
    customer: &mut Customer,
    node: &mut Node,
    (account, webhook): (&Account, &str),
) {
    world.svix_goes();
    let moved = json!({"url": world.endpoints.url("after")});
    let changed = customer.ask(&Method::PATCH, &format!("/webhooks/{webhook}"), Some(&moved));
    assert_eq!(changed["url"], moved["url"]);
    let mut booked = vec![customer.book(account), customer.book(account)];
    for (method, path) in [(Method::GET, "deliveries"), (Method::POST, "test")] {
        let refused = customer.refused(&method, &format!("/webhooks/{webhook}/{path}"));
        assert_eq!(refused, (503, "webhook_service_unavailable".to_owned()));
    }
    node.kill9();
    node.start_again();
    customer.speaks_to(node.base_url());
    booked.push(customer.book(account));
    world.svix_is_back();
    let mut told: Vec<_> = world.heard("after", 3).iter().map(Message::booking).collect();
    told.sort();
    booked.sort();
    assert_eq!(told, booked);
    assert_eq!(world.endpoints.heard("before").len(), 3, "nothing goes to where it was");
    // It has the first two messages, too, and none twice.
    assert_eq!(world.svix.event_ids(&customer.application()).len(), 5);
}

/// Messages carry a signature with each of the secrets, which Svix's library verifies, and it verifies all from before.
fn two_secrets_are_used(world: &World, customer: &Customer, account: &Account, secrets: [&str; 2]) {
    wait_for("the new secret at Svix", WITHIN, || {
        (world.svix.calls().of(&customer.application(), "endpoint.rotate") == 1).then_some(())
    });
    customer.book(account);
    let heard = world.heard("after", 4);
    let before = heard[..3].iter().map(|message| message.to_json(&secrets[1..]));
    let shown: Vec<Value> = before.chain([heard[3].to_json(&secrets)]).collect();
    let file = world.folder.path().join("messages.json");
    std::fs::write(&file, json!(shown).to_string()).expect("a file can be written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/verify_svix.py");
    let said = python(&script, &[file.to_str().expect("a name in UTF-8")]);
    if let Some(said) = said {
        assert_eq!(said.trim(), "5");
    }
}

fn what_was_sent_is_listed_and_sent_again(world: &World, customer: &Customer, (account, webhook): (&Account, &str)) {
    let path = format!("/webhooks/{webhook}/deliveries");
    let listed = wait_for("all to be listed as delivered", WITHIN, || {
        let listed = customer.ask(&Method::GET, &format!("{path}?status=delivered&limit=4"), None);
        (listed["data"].as_array().map(Vec::len) == Some(4)).then_some(listed)
    });
    let newest = &listed["data"][0];
    assert_eq!((&newest["event"], &newest["status"]), (&json!("booking.created"), &json!("delivered")));
    assert_eq!((&newest["attempts"][0]["number"], &newest["attempts"][0]["status"]), (&json!(1), &json!(200)));
    let next = listed["next_cursor"].as_str().expect("more follow");
    let rest = customer.ask(&Method::GET, &format!("{path}?limit=4&cursor={next}"), None);
    assert_eq!((rest["data"].as_array().map(Vec::len), &rest["next_cursor"]), (Some(2), &Value::Null), "{rest}");
    customer.ask(&Method::POST, &format!("{path}/{}/resend", text(newest, "id")), None);
    let again = world.heard("after", 5);
    assert_eq!(again[4].booking(), again[3].booking());
    let tested = customer.ask(&Method::POST, &format!("/webhooks/{webhook}/test"), None);
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(true), &json!(200)), "{tested}");
    assert_eq!(world.heard("after", 6)[5].event()["type"], json!("webhook.test"));
    let since = json!({"since": account.made.to_rfc3339()});
    let replayed = customer.ask(&Method::POST, &format!("/webhooks/{webhook}/replay"), Some(&since));
    assert_eq!(replayed, json!({"replayed": 0}));
}

fn switching_off_and_deleting_reach_it(
    world: &World,
    customer: &Customer,
    (account, webhook, narrow): (&Account, &str, &str),
) {
    let path = format!("/webhooks/{webhook}");
    for enabled in [false, true] {
        customer.ask(&Method::PATCH, &path, Some(&json!({"enabled": enabled})));
        wait_for("Svix to know whether it is on", WITHIN, || {
            let known = world.known(customer, webhook).expect("it is there");
            (known["disabled"] == json!(!enabled)).then_some(())
        });
    }
    customer.ask(&Method::DELETE, &path, None);
    wait_for("it to be gone from Svix", WITHIN, || world.known(customer, webhook).is_none().then_some(()));
    assert!(world.known(customer, narrow).is_some());
    let count = world.endpoints.heard("after").len();
    customer.ask(&Method::DELETE, &format!("/webhooks/{narrow}"), None);
    wait_for("it to be gone from Svix", WITHIN, || world.known(customer, narrow).is_none().then_some(()));
    customer.book(account);
    assert_eq!(world.endpoints.heard("after").len(), count);
}
