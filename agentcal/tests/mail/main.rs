//! Mails about bookings that are made, moved and cancelled, sent by a program that is killed meanwhile to a server nobody here
//! wrote: each arrives, and if more than once, then as the same mail.

mod receiver;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use agentcal_testkit::{Dev, Node, wait_for};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use receiver::Receiver;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const BOOKINGS: usize = 24;
/// After how many bookings the program is killed.
const KILLED_AT: usize = 16;
/// A mail that was in hand when the program died is taken up after 30 seconds.
const SENT_WITHIN: Duration = Duration::from_secs(120);

/// Whom a mail is for, and what it says of which booking.
type Told = (String, String, String, u64);

#[test]
fn every_mail_arrives_whatever_becomes_of_the_program() {
    let Some(receiver) = Receiver::start() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let variables = variables(folder.path(), &receiver.url());
    program(&variables, &["migrate"]);
    let organization = program(&variables, &["org", "create", "--name", "Mail"]);
    let key = program(&variables, &["key", "create", "--organization", &organization, "--mode", "live"]);
    let mut node = Node::start(BINARY, &variables);
    let caller = Caller::new(&key);
    let account = caller.account(&node.base_url());

    let mut expected: BTreeSet<Told> = BTreeSet::new();
    for number in 0..BOOKINGS {
        if number == KILLED_AT {
            node.start_again();
        }
        expected.extend(caller.live(&node.base_url(), &account, number));
    }
    let began = Instant::now();
    wait_for("every mail to arrive", SENT_WITHIN, || {
        let mails = receiver.mails();
        (mails.len() >= expected.len() && !mails.contains_key("")).then_some(())
    });
    println!("all sent {:.1} s after the last booking", began.elapsed().as_secs_f64());

    let mails = receiver.mails();
    for (message_id, same) in &mails {
        assert!(same.iter().all(|mail| *mail == same[0]), "two mails are {message_id}");
    }
    let came = mails.values().map(Vec::len).sum::<usize>();
    println!("{came} mails, {} of them came before", came - mails.len());
    let told: BTreeSet<Told> = receiver.read().iter().map(told).collect();
    assert_eq!((mails.len(), told), (expected.len(), expected));
}

/// `agentcal dev` keeps what it would send in a folder.
#[test]
fn dev_keeps_mail_in_its_outbox() {
    let mut dev = Dev::start(Path::new(BINARY));
    let caller = Caller::new(&dev.info().secret_key);
    let account = caller.account(dev.base_url());
    let made = caller.book(dev.base_url(), &account, 0);
    let subjects = |count: usize| {
        let outbox = dev.data_dir().join("outbox");
        wait_for("mails in the outbox", SENT_WITHIN, || Some(pages(&outbox)).filter(|pages| pages.len() == count))
    };
    let [to_host, to_attendee] = <[Value; 2]>::try_from(subjects(2)).expect("two mails");
    assert_eq!((&to_host["to"], &to_attendee["to"]), (&json!(["host@example.com"]), &json!(["zoe@example.com"])));
    let says = |mail: &Value, text: &str| mail["text"].as_str().is_some_and(|said| said.contains(text));
    let link = text(&made, "manage_url");
    assert!(says(&to_attendee, link) && !says(&to_host, link), "{to_attendee:#}");
    dev.restart();
    let outbox = dev.data_dir().join("outbox");
    caller.cancel(dev.base_url(), &account, &made);
    wait_for("mails in the outbox", SENT_WITHIN, || (pages(&outbox).len() == 4).then_some(()));
}

/// What a page would show of the mails of a folder, by recipient.
fn pages(outbox: &Path) -> Vec<Value> {
    let files = fs::read_dir(outbox).into_iter().flatten().flatten().map(|entry| entry.path());
    let pages = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut pages: Vec<Value> = pages.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect();
    pages.sort_by_key(|page| page["to"].to_string());
    pages
}

fn told(mail: &Value) -> Told {
    let read = &mail["invitation"]["icalendar"];
    let to = mail["to"][0][1].as_str().expect("a recipient").to_owned();
    let sequence = read["sequence"].as_u64().expect("a sequence");
    (to, text(read, "method").to_owned(), text(read, "uid").to_owned(), sequence)
}

fn variables(folder: &Path, smtp_url: &str) -> Vec<(String, String)> {
    let database = format!("sqlite://{}", folder.join("agentcal.db").display());
    let variables = [
        ("AGENTCAL_DATABASE_URL", database.as_str()),
        ("AGENTCAL_ENCRYPTION_KEYS", KEY),
        ("AGENTCAL_PUBLIC_URL", "https://cal.example.com"),
        ("AGENTCAL_SMTP_URL", smtp_url),
        ("AGENTCAL_MAIL_FROM", "calendar@agentcal.example"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What a command of the program prints.
fn program(variables: &[(String, String)], arguments: &[&str]) -> String {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let output = Command::new(BINARY).args(arguments).envs(variables).output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints UTF-8").trim().to_owned()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

struct Account {
    id: String,
    event_type: String,
    first_start: DateTime<Utc>,
}

/// A customer's program.
struct Caller {
    runtime: Runtime,
    http: Client,
    key: String,
}

impl Caller {
    fn new(key: &str) -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = Client::builder().timeout(Duration::from_secs(40)).pool_max_idle_per_host(0).build();
        Self { runtime, http: http.expect("a client can be made"), key: key.to_owned() }
    }

    fn ask(&self, base_url: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let request = self.http.request(method, format!("{base_url}/v1{path}")).bearer_auth(&self.key);
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

    /// An account with somebody who can be booked at all hours, of whose bookings both sides get mail.
    fn account(&self, base_url: &str) -> Account {
        let account = json!({"name": "Practice", "timezone": "UTC"});
        let account = self.ask(base_url, Method::POST, "/accounts", Some(account));
        let id = text(&account, "id").to_owned();
        let at = |rest: &str| format!("/accounts/{id}{rest}");
        let user = json!({"name": "Grace Hopper", "email": "host@example.com", "timezone": "Europe/Berlin"});
        let user = self.ask(base_url, Method::POST, &at("/users"), Some(user));
        let user = text(&user, "id").to_owned();
        let day = |day: usize| json!({"day_of_week": day, "start_time": "00:00", "end_time": "24:00"});
        let rules = json!({"timezone": "UTC", "rules": (0..7).map(day).collect::<Vec<_>>()});
        self.ask(base_url, Method::PUT, &at(&format!("/users/{user}/availability-rules")), Some(rules));
        let event_type = json!({
            "name": "Checkup", "slug": "checkup", "duration_minutes": 30, "user_ids": [user],
            "mail": {"attendee": true, "hosts": true},
        });
        let event_type = self.ask(base_url, Method::POST, &at("/event-types"), Some(event_type));
        let event_type = text(&event_type, "id").to_owned();
        let made: DateTime<Utc> = text(&account, "created_at").parse().expect("an instant");
        let midnight = made.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        Account { first_start: midnight + TimeDelta::days(2), event_type, id }
    }

    fn book(&self, base_url: &str, account: &Account, number: usize) -> Value {
        let body = json!({
            "event_type_id": account.event_type, "start_time": start(account, 2 * number),
            "attendee": {"name": "Zoe Example", "email": "zoe@example.com", "timezone": "America/New_York"},
        });
        self.ask(base_url, Method::POST, &format!("/accounts/{}/bookings", account.id), Some(body))
    }

    fn cancel(&self, base_url: &str, account: &Account, booking: &Value) {
        let path = format!("/accounts/{}/bookings/{}", account.id, text(booking, "id"));
        self.ask(base_url, Method::DELETE, &path, None);
    }

    /// Makes a booking, moves every second one and cancels every third; what both sides are to be told of it.
    fn live(&self, base_url: &str, account: &Account, number: usize) -> Vec<Told> {
        let booking = self.book(base_url, account, number);
        let path = format!("/accounts/{}/bookings/{}", account.id, text(&booking, "id"));
        let mut methods = vec!["REQUEST"];
        if number.is_multiple_of(2) {
            let body = json!({"start_time": start(account, 2 * number + 1)});
            self.ask(base_url, Method::PATCH, &path, Some(body));
            methods.push("REQUEST");
        }
        if number.is_multiple_of(3) {
            self.cancel(base_url, account, &booking);
            methods.push("CANCEL");
        }
        let uid = format!("{}@agentcal", text(&booking, "id"));
        let sides = |(sequence, method): (u64, &str)| {
            let told = |to: &str, method: &str| (to.to_owned(), method.to_owned(), uid.clone(), sequence);
            [told("zoe@example.com", method), told("host@example.com", "PUBLISH")]
        };
        (0..).zip(methods).flat_map(sides).collect()
    }
}

fn start(account: &Account, place: usize) -> String {
    let places = i32::try_from(place).expect("few bookings");
    (account.first_start + TimeDelta::minutes(30) * places).to_rfc3339()
}
