//! Three hundred bookings told to an endpoint that fails, hangs and goes away, by a program that is killed meanwhile:
//! every one of them arrives, under one id, signed as the libraries of others read it, two of Python and two of JavaScript.
//!
//! Lesson: webhooks stop after three failures, and one that answers badly holds up everybody's.

mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use agentcal_testkit::{Dev, javascript, python, wait_for};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use receiver::Receiver;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const BOOKINGS: usize = 300;
const PEOPLE: usize = 10;
/// A message that hangs is given up after 15 seconds, and one that was in hand when the program died after 30.
const TOLD_WITHIN: Duration = Duration::from_secs(180);
const MINUTES: i64 = 30;

#[test]
fn every_booking_is_told_whatever_the_endpoint_does() {
    let mut dev = Dev::start(Path::new(BINARY));
    let mut receiver = Receiver::start();
    let caller = Caller::new();
    let account = caller.account(&dev);
    let body = json!({"url": receiver.url(), "events": ["booking.created"], "account_ids": [account.id]});
    let webhook = caller.ask(&dev, Method::POST, "/webhooks", Some(body));
    let secret = webhook["secret"].as_str().expect("a secret").to_owned();
    let test = caller.ask(&dev, Method::POST, &format!("/webhooks/{}/test", text(&webhook, "id")), None);
    assert!(test["status"].is_u64(), "{test}");

    let gone = told_when_gone(&caller, &dev, &account, &receiver);

    let mut booked = BTreeSet::new();
    for number in 0..BOOKINGS {
        match number {
            100 => receiver.stop(),
            150 => dev.restart(),
            160 => receiver.start_again(),
            200 => {
                receiver.stop();
                receiver.start_again();
            }
            _ => {}
        }
        booked.insert(caller.book(&dev, &account, number));
    }
    assert_eq!(booked.len(), BOOKINGS);
    let began = Instant::now();
    wait_for("every booking to be told", TOLD_WITHIN, || (taken(&receiver) == booked).then_some(()));
    println!("all told {:.1} s after the last booking", began.elapsed().as_secs_f64());

    its_end_was_told(&caller, &dev, &gone, &receiver);
    one_id_for_each_booking(&receiver);
    deliveries_say_so(&caller, &dev, text(&webhook, "id"));
    signatures_are_verified(&receiver, &secret, dev.data_dir());
}

/// An endpoint that will say that it is gone, of an organization that wants to know.
fn told_when_gone(caller: &Caller, dev: &Dev, account: &Account, receiver: &Receiver) -> String {
    let organizations = beside(dev, &["org", "list"]);
    let organization = organizations.split_whitespace().next().expect("an organization");
    beside(dev, &["org", "update", organization, "--email", "ops@example.com"]);
    let url = format!("{}?token=secret", receiver.gone_url());
    let body = json!({"url": url, "events": ["booking.created"], "account_ids": [account.id]});
    text(&caller.ask(dev, Method::POST, "/webhooks", Some(body)), "id").to_owned()
}

/// Its organization got one mail, which says what it needs to know and no secret.
fn its_end_was_told(caller: &Caller, dev: &Dev, id: &str, receiver: &Receiver) {
    let webhook = caller.ask(dev, Method::GET, &format!("/webhooks/{id}"), None);
    assert_eq!((&webhook["enabled"], &webhook["disabled_reason"]), (&json!(false), &json!("gone")), "{webhook}");
    let outbox = dev.data_dir().join("outbox");
    let pages = wait_for("a mail in the outbox", TOLD_WITHIN, || {
        let files = fs::read_dir(&outbox).into_iter().flatten().flatten().map(|entry| entry.path());
        let pages = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let pages: Vec<Value> = pages.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect();
        (!pages.is_empty()).then_some(pages)
    });
    let [page] = pages.as_slice() else { panic!("one mail: {pages:#?}") };
    let said = text(page, "text");
    assert_eq!((&page["to"], &page["invitation"]), (&json!(["ops@example.com"]), &Value::Null), "{page:#}");
    assert!(said.contains(&receiver.gone_url()) && said.contains(id) && said.contains("410"), "{said}");
    assert!(!page.to_string().contains("secret"), "{page:#}");
    let jobs = caller.ask(dev, Method::GET, "/jobs?kind=notice", None);
    assert_eq!((&jobs["data"][0]["state"], &jobs["data"][0]["booking_id"]), (&json!("done"), &Value::Null), "{jobs}");
}

/// What a command says beside the running program.
fn beside(dev: &Dev, arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).arg("--data-dir").arg(dev.data_dir()).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// Bookings the endpoint said it has.
fn taken(receiver: &Receiver) -> BTreeSet<String> {
    let messages = receiver.messages().into_iter().filter(|message| message.is_taken);
    messages.filter_map(|message| booking_of(&message.event())).collect()
}

fn booking_of(event: &Value) -> Option<String> {
    event["data"]["booking"]["id"].as_str().map(str::to_owned)
}

fn one_id_for_each_booking(receiver: &Receiver) {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let messages = receiver.messages();
    for message in &messages {
        let event = message.event();
        if let Some(booking) = booking_of(&event) {
            assert_eq!((&event["type"], &event["data"]["sequence"]), (&json!("booking.created"), &json!(0)));
            ids.entry(booking).or_default().insert(message.id.clone());
        }
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:#?}");
    let distinct: BTreeSet<&String> = ids.values().flatten().collect();
    assert_eq!((ids.len(), distinct.len()), (BOOKINGS, BOOKINGS));
    let repeated = messages.iter().filter(|message| message.is_taken).count() - taken(receiver).len();
    println!("{} messages, {repeated} of them for what was taken before", messages.len());
}

fn deliveries_say_so(caller: &Caller, dev: &Dev, webhook: &str) {
    let path = format!("/webhooks/{webhook}/deliveries");
    wait_for("deliveries to be kept as such", TOLD_WITHIN, || {
        let pending = caller.ask(dev, Method::GET, &format!("{path}?status=pending"), None);
        (pending["data"] == json!([])).then_some(())
    });
    let failed = caller.ask(dev, Method::GET, &format!("{path}?status=failed"), None);
    assert_eq!(failed["data"], json!([]));
}

fn signatures_are_verified(receiver: &Receiver, secret: &str, folder: &Path) {
    let messages: Vec<Value> = receiver.messages().iter().map(receiver::Message::to_json).collect();
    let file = folder.join("messages.json");
    fs::write(&file, json!({"secret": secret, "messages": messages}).to_string()).expect("a file can be written");
    let (file, tests) = (file.to_str().expect("a name in UTF-8"), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let by_python = python(&tests.join("python/verify_webhooks.py"), &[file]);
    let by_javascript = javascript(&tests.join("javascript/verify_webhooks.js"), &[file]);
    for said in [by_python, by_javascript].into_iter().flatten() {
        assert_eq!(said.trim(), messages.len().to_string());
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

struct Account {
    id: String,
    /// The first time that is booked.
    first_start: DateTime<Utc>,
    people: Vec<String>,
}

/// A customer's program.
struct Caller {
    runtime: Runtime,
    http: Client,
}

impl Caller {
    fn new() -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = Client::builder().timeout(Duration::from_secs(40)).pool_max_idle_per_host(0).build();
        Self { runtime, http: http.expect("a client can be made") }
    }

    fn ask(&self, dev: &Dev, method: Method, path: &str, body: Option<Value>) -> Value {
        let address = format!("{}/v1{path}", dev.base_url());
        let request = self.http.request(method, address).bearer_auth(&dev.info().secret_key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        self.runtime.block_on(async {
            let response = request.send().await.expect("the api answers");
            let status = response.status();
            let text = response.text().await.expect("an answer has a body");
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or(Value::Null)
        })
    }

    fn account(&self, dev: &Dev) -> Account {
        let account = self.ask(dev, Method::POST, "/accounts", Some(json!({"name": "Webhooks", "timezone": "UTC"})));
        let id = text(&account, "id").to_owned();
        let day = |day: usize| json!({"day_of_week": day, "start_time": "00:00", "end_time": "24:00"});
        let rules = json!({"timezone": "UTC", "rules": (0..7).map(day).collect::<Vec<_>>()});
        let person = |number: usize| {
            let email = format!("person{number}@example.com");
            let user = json!({"name": format!("Person {number}"), "email": email, "timezone": "UTC"});
            let user = self.ask(dev, Method::POST, &format!("/accounts/{id}/users"), Some(user));
            let user = text(&user, "id").to_owned();
            let path = format!("/accounts/{id}/users/{user}/availability-rules");
            self.ask(dev, Method::PUT, &path, Some(rules.clone()));
            user
        };
        let people = (0..PEOPLE).map(person).collect();
        let made: DateTime<Utc> = text(&account, "created_at").parse().expect("an instant");
        let midnight = made.date_naive().and_time(NaiveTime::MIN).and_utc();
        Account { first_start: midnight + TimeDelta::days(2), people, id }
    }

    /// Books the next free time of the person whose turn it is.
    fn book(&self, dev: &Dev, account: &Account, number: usize) -> String {
        let turn = i64::try_from(number / PEOPLE).expect("few bookings");
        let start = account.first_start + TimeDelta::minutes(turn * MINUTES);
        let body = json!({
            "user_id": account.people[number % PEOPLE], "duration_minutes": MINUTES,
            "start_time": start.to_rfc3339(), "attendee": {"name": "Ada Lovelace"},
        });
        let booking = self.ask(dev, Method::POST, &format!("/accounts/{}/bookings", account.id), Some(body));
        text(&booking, "id").to_owned()
    }
}
