//! Requests and answers, and what a history keeps of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use agentcal_engine::ids::UserId;
use agentcal_engine::model::BookingStatus;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_history::{
    Answer, BookingSeen, Event, FreshnessSeen, FreshnessState, HoldSeen, Operation, Outcome, SlotSeen, SlotsSeen,
};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::sync::watch;

/// Longest wait for one answer. Nothing waits that long while the program lives, and none comes after its death.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Longest time between two lives of the program.
const DEAD_MAX: Duration = Duration::from_secs(90);

/// This machine's clock, which is the program's as well.
#[expect(clippy::disallowed_methods, reason = "a test of real processes lives in real time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::EARLIEST + SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970")
}

/// What a client is about to ask.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) key: Option<String>,
}

/// A slot that was offered, under its name.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) slot_id: String,
    pub(crate) slot: SlotSeen,
}

/// What came of a request.
pub(crate) struct Seen {
    pub(crate) event: Event,
    /// The slots, where it was a question.
    pub(crate) offers: Vec<Offer>,
}

/// The program wherever it listens at the moment.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    secret_key: String,
    /// Where it listens; `None` while it is dead.
    base_url: watch::Receiver<Option<String>>,
    answered: Arc<AtomicU64>,
}

impl Api {
    pub(crate) fn new(secret_key: &str, base_url: watch::Receiver<Option<String>>) -> Self {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = Client::builder().timeout(ANSWER_MAX).build().expect("a client");
        Self { http, secret_key: secret_key.to_owned(), base_url, answered: Arc::default() }
    }

    /// How many answers came so far, to all clones.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Asks and writes down what came of it; `None` when the request never left.
    pub(crate) async fn perform(&mut self, client: &str, request: &Request) -> Option<Seen> {
        let base_url = self.alive().await;
        let mut ask = self.http.request(request.method.clone(), format!("{base_url}{}", request.path));
        ask = ask.bearer_auth(&self.secret_key);
        if let Some(key) = &request.key {
            ask = ask.header("idempotency-key", key);
        }
        if let Some(body) = &request.body {
            ask = ask.json(body);
        }
        let invoked_at = now();
        let answered = match ask.send().await {
            Ok(response) => answer(response, &request.operation, &base_url).await,
            Err(error) if error.is_connect() => {
                self.until_other(&base_url).await;
                return None;
            }
            Err(_) => None,
        };
        match answered {
            Some(_) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            None => self.until_other(&base_url).await,
        }
        let (answer, offers) = answered.map_or_else(Default::default, |(answer, offers)| (Some(answer), offers));
        let (client, idempotency_key) = (client.to_owned(), request.key.clone());
        let operation = request.operation.clone();
        Some(Seen { event: Event { client, invoked_at, answer, idempotency_key, operation }, offers })
    }

    /// Where it listens, as soon as it does.
    async fn alive(&mut self) -> String {
        let alive = tokio::time::timeout(DEAD_MAX, self.base_url.wait_for(Option::is_some)).await;
        let base_url = alive.expect("the program lives again").expect("somebody restarts it");
        base_url.clone().expect("waited for")
    }

    /// Waits until it does not listen where it did.
    async fn until_other(&mut self, base_url: &str) {
        let gone = self.base_url.wait_for(|now| now.as_deref() != Some(base_url));
        tokio::time::timeout(DEAD_MAX, gone).await.expect("an unanswered request has a dead program behind it").ok();
    }

    /// Reads something that must be there.
    pub(crate) async fn get(&mut self, path: &str) -> Value {
        self.must(Method::GET, path, None, 200).await
    }

    /// Makes something.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        self.clone().must(Method::POST, path, Some(body), 201).await
    }

    /// Replaces something.
    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        self.clone().must(Method::PUT, path, Some(body), 200).await
    }

    async fn must(&mut self, method: Method, path: &str, body: Option<Value>, expected: u16) -> Value {
        let base_url = self.alive().await;
        let mut ask = self.http.request(method, format!("{base_url}{path}")).bearer_auth(&self.secret_key);
        if let Some(body) = &body {
            ask = ask.json(body);
        }
        let response = ask.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a whole answer");
        assert_eq!(status, expected, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// The answer, if it came whole, and what it offered.
async fn answer(response: Response, operation: &Operation, base_url: &str) -> Option<(Answer, Vec<Offer>)> {
    let status = response.status().as_u16();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let body = response.text().await.ok()?;
    let at = now();
    // The program is somewhere else after each start, and links in replayed answers lead to where it is now.
    let body = body.replace(base_url, "http://node");
    let value: Value = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).ok()? };
    let code = || text(&value, "code").to_owned();
    let offers = value["slots"].as_array().map(|slots| slots.iter().map(offer).collect()).unwrap_or_default();
    let outcome = match status {
        200..300 => done(operation, &value, body),
        400..500 => Outcome::Refused { status, code: code() },
        _ => Outcome::Failed { status, code: code() },
    };
    Some((Answer { at, replayed, outcome }, offers))
}

fn done(operation: &Operation, value: &Value, body: String) -> Outcome {
    match operation {
        Operation::Ask { .. } => Outcome::Slots(slots(value)),
        Operation::Hold { .. } | Operation::Extend { .. } => Outcome::Hold(hold(value)),
        Operation::Book { .. } | Operation::Move { .. } | Operation::Cancel { .. } => {
            Outcome::Booking(BookingSeen { body: Some(body), ..booking(value) })
        }
        Operation::Read { .. } => Outcome::Booking(booking(value)),
        Operation::Release { .. } | Operation::ReleaseSession { .. } | Operation::Rehearse { .. } => Outcome::Done,
    }
}

/// A booking of an answer.
pub(crate) fn booking(value: &Value) -> BookingSeen {
    let status = match text(value, "status") {
        "confirmed" => BookingStatus::Confirmed,
        "cancelled" => BookingStatus::Cancelled,
        "completed" => BookingStatus::Completed,
        other => panic!("{other} is no status of a booking"),
    };
    let booking_id = text(value, "id").parse().expect("the id of a booking");
    BookingSeen { booking_id, range: range(value), user_ids: user_ids(value), status, body: None }
}

fn hold(value: &Value) -> HoldSeen {
    HoldSeen {
        hold_id: text(value, "id").parse().expect("the id of a hold"),
        range: range(value),
        user_ids: user_ids(value),
        expires_at: instant(text(value, "expires_at")),
    }
}

fn offer(value: &Value) -> Offer {
    Offer {
        slot_id: text(value, "slot_id").to_owned(),
        slot: SlotSeen { range: range(value), user_ids: user_ids(value) },
    }
}

fn slots(value: &Value) -> SlotsSeen {
    let slots = value["slots"].as_array().expect("slots").iter();
    let freshness = &value["freshness"];
    let state = match text(freshness, "state") {
        "complete" => FreshnessState::Complete,
        "stale" => FreshnessState::Stale,
        "partial" => FreshnessState::Partial,
        "unavailable" => FreshnessState::Unavailable,
        other => panic!("{other} is no state of freshness"),
    };
    let as_of = freshness["as_of"].as_str().map(instant);
    let left_out = freshness["users"].as_array().expect("users").iter();
    let left_out = left_out.map(|user| text(user, "user_id").parse().expect("the id of a user")).collect();
    SlotsSeen {
        slots: slots.map(|slot| SlotSeen { range: range(slot), user_ids: user_ids(slot) }).collect(),
        freshness: FreshnessSeen { state, as_of, left_out },
    }
}

fn range(value: &Value) -> TimeRange {
    let (start, end) = (instant(text(value, "start_time")), instant(text(value, "end_time")));
    TimeRange::new(start, end).expect("ends after its start")
}

fn user_ids(value: &Value) -> Vec<UserId> {
    let ids = value["user_ids"].as_array().expect("user_ids").iter();
    ids.map(|id| id.as_str().and_then(|id| id.parse().ok()).expect("the id of a user")).collect()
}

fn instant(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Timestamp::from_micros(at.timestamp_micros())
}

/// A text of an object.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("`{name}` is missing in {value}"))
}
