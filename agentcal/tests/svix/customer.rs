//! A customer's program, and the operator's commands.

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use agentcal_testkit::Node;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::BINARY;

const MINUTES: i64 = 30;

/// Somebody who can be booked at all hours.
pub(crate) struct Account {
    id: String,
    user: String,
    pub(crate) made: DateTime<Utc>,
}

/// A webhook, and what it was made with.
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) secret: String,
}

pub(crate) struct Customer {
    runtime: Runtime,
    http: Client,
    organization: String,
    key: String,
    base_url: String,
    booked: Cell<i64>,
}

impl Customer {
    /// One with a key, in a new database.
    pub(crate) fn new(variables: &[(String, String)]) -> Self {
        // A second installation of the provider is refused, and the first one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        said(variables, &["migrate"]);
        let organization = said(variables, &["org", "create", "--name", "Webhooks"]);
        let key = said(variables, &["key", "create", "--organization", &organization, "--mode", "test"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = Client::builder().timeout(Duration::from_secs(40)).pool_max_idle_per_host(0).build();
        let (http, base_url) = (http.expect("a client can be made"), String::new());
        Self { runtime, http, organization, key, base_url, booked: Cell::new(0) }
    }

    pub(crate) fn speaks_to(&mut self, base_url: String) {
        self.base_url = base_url;
    }

    /// What its endpoints are kept under at Svix.
    pub(crate) fn application(&self) -> String {
        format!("{}_test", self.organization)
    }

    pub(crate) fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Value {
        self.runtime.block_on(async {
            let response = self.response(method, path, body).await;
            let (status, text) = (response.status(), response.text().await.expect("an answer"));
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or(Value::Null)
        })
    }

    /// The status and code of a refusal.
    pub(crate) fn refused(&self, method: &Method, path: &str) -> (u16, String) {
        self.runtime.block_on(async {
            let response = self.response(method, path, None).await;
            let status = response.status().as_u16();
            let problem: Value = response.json().await.expect("a problem");
            (status, text(&problem, "code").to_owned())
        })
    }

    /// How many events a node has told Svix of, by its own count.
    pub(crate) fn told_by(&self, node: &Node) -> u64 {
        let page = self.runtime.block_on(async {
            let page = self.http.get(format!("{}/metrics", node.internal_url())).send().await.expect("it answers");
            page.text().await.expect("an answer")
        });
        let is_told = |line: &&str| line.contains("what=\"event\"") && line.contains("outcome=\"told\"");
        let counted = page.lines().filter(|line| line.starts_with("agentcal_webhook_relay_attempts_total{"));
        let counts = counted.filter(is_told).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().expect("a count")).sum()
    }

    async fn response(&self, method: &Method, path: &str, body: Option<&Value>) -> Response {
        let request = self.http.request(method.clone(), format!("{}/v1{path}", self.base_url)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.expect("it answers")
    }

    pub(crate) fn account(&self) -> Account {
        let named = json!({"name": "Webhooks", "timezone": "UTC"});
        let account = self.ask(&Method::POST, "/accounts", Some(&named));
        let (id, made) = (text(&account, "id").to_owned(), text(&account, "created_at").parse());
        let user = json!({"name": "Sarah", "email": "sarah@example.com", "timezone": "UTC"});
        let user = self.ask(&Method::POST, &format!("/accounts/{id}/users"), Some(&user));
        let user = text(&user, "id").to_owned();
        let day = |day: usize| json!({"day_of_week": day, "start_time": "00:00", "end_time": "24:00"});
        let rules = json!({"timezone": "UTC", "rules": (0..7).map(day).collect::<Vec<_>>()});
        self.ask(&Method::PUT, &format!("/accounts/{id}/users/{user}/availability-rules"), Some(&rules));
        Account { id, user, made: made.expect("an instant") }
    }

    /// A webhook that hears of bookings that are made, of one account or of all.
    pub(crate) fn webhook(&self, url: &str, account: Option<&Account>) -> Webhook {
        let mut body = json!({"url": url, "events": ["booking.created"]});
        if let Some(account) = account {
            body["account_ids"] = json!([account.id]);
        }
        let made = self.ask(&Method::POST, "/webhooks", Some(&body));
        Webhook { id: text(&made, "id").to_owned(), secret: text(&made, "secret").to_owned() }
    }

    /// Books a time nobody has.
    pub(crate) fn book(&self, account: &Account) -> String {
        self.booked.set(self.booked.get() + 1);
        let midnight = account.made.date_naive().and_time(NaiveTime::MIN).and_utc();
        let start = midnight + TimeDelta::days(2) + TimeDelta::minutes(self.booked.get() * MINUTES);
        let body = json!({
            "user_id": account.user, "duration_minutes": MINUTES, "start_time": start.to_rfc3339(),
            "attendee": {"name": "Ada Lovelace"},
        });
        let booking = self.ask(&Method::POST, &format!("/accounts/{}/bookings", account.id), Some(&body));
        text(&booking, "id").to_owned()
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// What a command of the operator says.
pub(crate) fn said(variables: &[(String, String)], arguments: &[&str]) -> String {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AGENTCAL_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8").trim().to_owned()
}
