//! Something to ask about: an account with one of everything, and more of what requests use up.

use std::time::Duration;

use agentcal_testkit::Dev;
use chrono::{Days, NaiveDate};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// As many there are of what requests use up.
const SPARE: usize = 12;
/// Days that are asked about.
const DAYS: u64 = 21;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks until a webhook must have been told: twenty seconds.
const LOOKS_MAX: u32 = 400;

/// Ids of what there is.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) account_id: String,
    /// The account to delete.
    pub(crate) account_to_go: String,
    /// Users to book; nothing of theirs changes.
    pub(crate) users: Vec<String>,
    /// Users to change and, at last, to delete.
    pub(crate) users_to_change: Vec<String>,
    /// Event types to book, one for each scheduling mode.
    pub(crate) event_types: Vec<String>,
    /// Event types to change and, at last, to delete.
    pub(crate) event_types_to_change: Vec<String>,
    pub(crate) connections: Vec<String>,
    pub(crate) calendars: Vec<String>,
    pub(crate) bookings: Vec<String>,
    pub(crate) holds: Vec<String>,
    pub(crate) holds_to_confirm: Vec<String>,
    pub(crate) decisions: Vec<String>,
    /// Webhooks to change and, at last, to delete.
    pub(crate) webhooks_to_change: Vec<String>,
    /// A webhook that stays as it is, and a delivery to it.
    pub(crate) delivery: [String; 2],
    /// What is to be done when bookings are over.
    pub(crate) jobs: Vec<String>,
    /// Starts of slots, the first of them taken.
    pub(crate) start_times: Vec<String>,
    pub(crate) slot_ids: Vec<String>,
    pub(crate) first_date: String,
    pub(crate) last_date: String,
}

impl Stage {
    /// Makes it in the demo's organization.
    pub(crate) fn set(dev: &Dev) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(Maker::of(dev).make())
    }
}

struct Maker {
    http: Client,
    base_url: String,
    key: String,
    stage: Stage,
}

impl Maker {
    fn of(dev: &Dev) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (base_url, key) = (dev.base_url().to_owned(), dev.info().secret_key.clone());
        Self { http: Client::new(), base_url, key, stage: Stage::default() }
    }

    async fn make(mut self) -> Stage {
        self.stage.account_id = self.id("/v1/accounts", json!({ "name": "World" })).await;
        self.stage.account_to_go = self.id("/v1/accounts", json!({ "name": "To be deleted" })).await;
        self.people().await;
        self.event_types().await;
        self.connections().await;
        self.webhooks().await;
        self.times().await;
        self.taken_times().await;
        self.stage.delivery[1] = self.first_delivery().await;
        self.stage.jobs = self.first_jobs().await;
        let decided = self.send(Method::GET, &self.at("/decisions"), None, 200).await;
        self.stage.decisions = ids(&decided["data"]);
        self.stage
    }

    async fn connections(&mut self) {
        for _ in 0..SPARE / 4 {
            let made =
                self.send(Method::POST, &self.at("/connections"), Some(json!({ "provider": "sandbox" })), 201).await;
            self.stage.connections.push(text(&made, "id").to_owned());
            self.stage.calendars.extend(ids(&made["calendars"]));
        }
    }

    async fn webhooks(&mut self) {
        self.stage.delivery[0] = self.webhook().await;
        for _ in 0..SPARE {
            let webhook = self.webhook().await;
            self.stage.webhooks_to_change.push(webhook);
        }
    }

    /// At an address where nobody listens: what comes of a delivery is written down all the same.
    async fn webhook(&self) -> String {
        let body = json!({ "url": "http://127.0.0.1:9/hook", "events": ["booking.created"] });
        self.id("/v1/webhooks", body).await
    }

    async fn first_delivery(&self) -> String {
        let path = format!("/v1/webhooks/{}/deliveries", self.stage.delivery[0]);
        for _ in 0..LOOKS_MAX {
            let answer = self.send(Method::GET, &path, None, 200).await;
            if let Some(first) = answer["data"].as_array().and_then(|list| list.first()) {
                return text(first, "id").to_owned();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("no webhook is told of a booking");
    }

    async fn first_jobs(&self) -> Vec<String> {
        for _ in 0..LOOKS_MAX {
            let answer = self.send(Method::GET, "/v1/jobs?kind=completed&state=pending&limit=100", None, 200).await;
            let jobs = ids(&answer["data"]);
            if !jobs.is_empty() {
                return jobs;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("nothing is to be done when a booking is over");
    }

    async fn people(&mut self) {
        for name in ["First", "Second", "Third"] {
            let user_id = self.user(name, "UTC").await;
            self.stage.users.push(user_id);
        }
        for _ in 0..SPARE / 2 {
            let user_id = self.user("Changes", "America/New_York").await;
            self.stage.users_to_change.push(user_id);
        }
    }

    async fn user(&self, name: &str, timezone: &str) -> String {
        let body = json!({ "name": name, "email": "somebody@example.com", "timezone": timezone });
        self.id(&self.at("/users"), body).await
    }

    async fn event_types(&mut self) {
        for (slug, mode) in [("one", "individual"), ("any", "round_robin"), ("all", "collective")] {
            let id = self.event_type(slug, mode).await;
            self.stage.event_types.push(id);
        }
        for index in 0..SPARE / 2 {
            let id = self.event_type(&format!("change-{index}"), "individual").await;
            self.stage.event_types_to_change.push(id);
        }
    }

    async fn event_type(&self, slug: &str, mode: &str) -> String {
        let body = json!({
            "name": slug, "slug": slug, "duration_minutes": 30, "user_ids": self.stage.users, "public": true,
            "scheduling_mode": mode,
        });
        self.id(&self.at("/event-types"), body).await
    }

    async fn times(&mut self) {
        let today = chrono::DateTime::from_timestamp_micros(now_micros()).expect("a date").date_naive();
        let date = |days: u64| (today + Days::new(days)).to_string();
        (self.stage.first_date, self.stage.last_date) = (date(2), date(2 + DAYS));
        assert!(NaiveDate::parse_from_str(&self.stage.last_date, "%F").is_ok());
        let path = self.at(&format!(
            "/availability?event_type_id={}&start_date={}&end_date={}",
            self.stage.event_types[0], self.stage.first_date, self.stage.last_date
        ));
        let answer = self.send(Method::GET, &path, None, 200).await;
        for slot in answer["slots"].as_array().expect("slots") {
            self.stage.start_times.push(text(slot, "start_time").to_owned());
            self.stage.slot_ids.push(text(slot, "slot_id").to_owned());
        }
        assert!(self.stage.start_times.len() > 4 * SPARE, "there is enough to book");
    }

    /// Bookings and holds on the first slots.
    async fn taken_times(&mut self) {
        let mut times = self.stage.start_times.clone().into_iter();
        let mut time = || times.next().expect("there is enough to book");
        for _ in 0..SPARE {
            let booking = self.booking(time()).await;
            self.stage.bookings.push(booking);
            let (stays, goes) = (self.hold(time()).await, self.hold(time()).await);
            self.stage.holds.push(stays);
            self.stage.holds_to_confirm.push(goes);
        }
    }

    async fn booking(&self, start_time: String) -> String {
        let event_type_id = &self.stage.event_types[0];
        let attendee = json!({ "name": "Ada Lovelace", "email": "ada@example.com", "phone": "+49 30 901820" });
        let body = json!({ "event_type_id": event_type_id, "start_time": start_time, "attendee": attendee });
        self.id(&self.at("/bookings"), body).await
    }

    async fn hold(&self, start_time: String) -> String {
        let event_type_id = &self.stage.event_types[0];
        let body = json!({ "event_type_id": event_type_id, "start_time": start_time, "ttl_seconds": 900 });
        self.id(&self.at("/holds"), body).await
    }

    fn at(&self, rest: &str) -> String {
        format!("/v1/accounts/{}{rest}", self.stage.account_id)
    }

    async fn id(&self, path: &str, body: Value) -> String {
        text(&self.send(Method::POST, path, Some(body), 201).await, "id").to_owned()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, expected: u16) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a whole answer");
        assert_eq!(status, expected, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of a real process lives in real time")]
fn now_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    i64::try_from(since.expect("it is after 1970").as_micros()).expect("a date that can be written")
}

/// The ids of a list of objects.
fn ids(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    assert!(!list.is_empty(), "there is something");
    list.iter().map(|object| text(object, "id").to_owned()).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing in {value}"))
}
