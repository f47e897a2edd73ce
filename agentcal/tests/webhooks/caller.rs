//! A customer's program: it makes what can be booked, books, and asks what became of it.

use std::cell::Cell;
use std::time::Duration;

use agentcal_testkit::wait_for;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::Program;

const PEOPLE: usize = 10;
const MINUTES: i64 = 30;
/// How long a request is repeated that nobody answers.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What is booked, and the endpoint that is to hear of it.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) webhook: String,
    pub(crate) secret: String,
    made: DateTime<Utc>,
    /// The first time that is booked.
    first_start: DateTime<Utc>,
    people: Vec<String>,
}

pub(crate) struct Caller {
    runtime: Runtime,
    http: Client,
    /// Requests so far; each has a key of its own.
    asked: Cell<u64>,
}

impl Caller {
    pub(crate) fn new() -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = Client::builder().timeout(Duration::from_secs(40)).pool_max_idle_per_host(0).build();
        Self { runtime, http: http.expect("a client can be made"), asked: Cell::new(0) }
    }

    /// Asks the program. What nobody answers, or what is refused for now, is asked again, which is safe under a key.
    pub(crate) fn ask(&self, program: &Program, method: &Method, path: &str, body: Option<&Value>) -> Value {
        let key = format!("request-{}", self.asked.get());
        self.asked.set(self.asked.get() + 1);
        let mut turn = 0;
        let (status, text) = wait_for(path, ANSWERED_WITHIN, || {
            turn += 1;
            let address = format!("{}/v1{path}", program.base_url(turn));
            let request = self.http.request(method.clone(), address).bearer_auth(program.secret_key());
            let request = if *method == Method::GET { request } else { request.header("Idempotency-Key", &key) };
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            let answered = self.runtime.block_on(async {
                let response = request.send().await.ok()?;
                Some((response.status(), response.text().await.ok()?))
            });
            answered.filter(|(status, _)| *status != StatusCode::SERVICE_UNAVAILABLE && status.as_u16() != 429)
        });
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// An account with people who can be booked at all hours, and an endpoint that hears of it.
    pub(crate) fn account(&self, program: &Program, url: &str) -> Account {
        let named = json!({"name": "Webhooks", "timezone": "UTC"});
        let account = self.ask(program, &Method::POST, "/accounts", Some(&named));
        let id = text(&account, "id").to_owned();
        let people = (0..PEOPLE).map(|number| self.person(program, &id, number)).collect();
        let body = json!({"url": url, "events": ["booking.created"], "account_ids": [id]});
        let webhook = self.ask(program, &Method::POST, "/webhooks", Some(&body));
        let secret = text(&webhook, "secret").to_owned();
        let webhook = text(&webhook, "id").to_owned();
        let test = self.ask(program, &Method::POST, &format!("/webhooks/{webhook}/test"), None);
        assert!(test["status"].is_u64(), "{test}");
        let made: DateTime<Utc> = text(&account, "created_at").parse().expect("an instant");
        let midnight = made.date_naive().and_time(NaiveTime::MIN).and_utc();
        Account { id, webhook, secret, made, first_start: midnight + TimeDelta::days(2), people }
    }

    fn person(&self, program: &Program, account: &str, number: usize) -> String {
        let email = format!("person{number}@example.com");
        let user = json!({"name": format!("Person {number}"), "email": email, "timezone": "UTC"});
        let user = self.ask(program, &Method::POST, &format!("/accounts/{account}/users"), Some(&user));
        let user = text(&user, "id").to_owned();
        let day = |day: usize| json!({"day_of_week": day, "start_time": "00:00", "end_time": "24:00"});
        let rules = json!({"timezone": "UTC", "rules": (0..7).map(day).collect::<Vec<_>>()});
        let path = format!("/accounts/{account}/users/{user}/availability-rules");
        self.ask(program, &Method::PUT, &path, Some(&rules));
        user
    }

    /// Books the next free time of the person whose turn it is.
    pub(crate) fn book(&self, program: &Program, account: &Account, number: usize) -> String {
        let turn = i64::try_from(number / PEOPLE).expect("few bookings");
        let start = account.first_start + TimeDelta::minutes(turn * MINUTES);
        let body = json!({
            "user_id": account.people[number % PEOPLE], "duration_minutes": MINUTES,
            "start_time": start.to_rfc3339(), "attendee": {"name": "Ada Lovelace"},
        });
        let booking = self.ask(program, &Method::POST, &format!("/accounts/{}/bookings", account.id), Some(&body));
        text(&booking, "id").to_owned()
    }

    /// How many deliveries of an endpoint are in a state, of the first page of them.
    pub(crate) fn deliveries(&self, program: &Program, account: &Account, status: &str) -> usize {
        let path = format!("/webhooks/{}/deliveries?status={status}", account.webhook);
        let listed = self.ask(program, &Method::GET, &path, None);
        listed["data"].as_array().expect("a list").len()
    }

    /// Has everything sent again that was given up.
    pub(crate) fn replay(&self, program: &Program, account: &Account) {
        let since = json!({"since": account.made.to_rfc3339()});
        self.ask(program, &Method::POST, &format!("/webhooks/{}/replay", account.webhook), Some(&since));
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}
