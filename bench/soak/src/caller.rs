//! Callers: they ask, book, move and cancel through the api, and ask again with the same key until they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::Clock;
use agentcal_engine::time::{DAY_US, HOUR_US, TimeRange, Timestamp};
use agentcal_sim_store::Dice;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::clock::VirtualClock;
use crate::ledger::{Entry, Ledger};
use crate::node::{Ask, Front};
use crate::world::World;

/// Time between two tries.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// Tries after which a request counts as never answered: after more than three hours.
const TRIES_MAX: u32 = 600;
/// What is over or begins so soon is left alone.
const SOON_US: i64 = 3 * HOUR_US;

/// All callers.
#[derive(Clone)]
pub(crate) struct Callers {
    pub(crate) front: Front,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) ledger: Ledger,
    pub(crate) dice: Arc<Dice>,
    pub(crate) counter: Arc<AtomicU64>,
}

impl Callers {
    /// One of them calls.
    pub(crate) async fn call(self) {
        match self.dice.below(100) {
            0..55 => self.book().await,
            55..80 => self.reschedule().await,
            80..92 => self.cancel().await,
            _ => drop(self.slots(self.dice.index(self.world.people.len())).await),
        }
    }

    async fn book(&self) {
        let index = self.dice.index(self.world.people.len());
        let Some(start) = self.slots(index).await else { return };
        let person = &self.world.people[index];
        let body = json!({
            "event_type_id": person.event_type_id.to_string(), "user_id": person.user_id.to_string(), "start_time": start,
            "attendee": { "name": "Ada" },
        });
        let path = format!("/v1/accounts/{}/bookings", person.account_id);
        let Some(answer) = self.persist("POST", path, Some(body)).await else { return };
        let now = self.clock.now();
        match booking_of(&answer) {
            Some((id, range)) => {
                let entry =
                    Entry { person: index, range, is_cancelled: false, asked_at: now, is_in_hand: false, touch: None };
                let mut book = self.ledger.open();
                if book.entries.insert(id, entry).is_some() {
                    book.oddities.push(format!("{id} was given to two callers"));
                }
            }
            None => self.ledger.open().oddities.push(format!("a booking was answered with {answer}")),
        }
    }

    async fn reschedule(&self) {
        let Some((id, person)) = self.take_in_hand() else { return };
        let mut is_done = None;
        if let Some(start) = self.slots(person).await {
            let path = self.path_of(person, id);
            is_done = self.persist("PATCH", path, Some(json!({ "start_time": start }))).await;
        }
        self.lay_down(id, |entry, odd| match is_done.as_ref().map(booking_of) {
            Some(Some((_, range))) => (entry.range, entry.touch) = (range, None),
            Some(None) => *odd = true,
            None => {}
        });
    }

    async fn cancel(&self) {
        let Some((id, person)) = self.take_in_hand() else { return };
        let is_done = self.persist("DELETE", self.path_of(person, id), None).await;
        self.lay_down(id, |entry, _| {
            if is_done.is_some() {
                (entry.is_cancelled, entry.touch) = (true, None);
            }
        });
    }

    fn path_of(&self, person: usize, id: BookingId) -> String {
        format!("/v1/accounts/{}/bookings/{id}", self.world.people[person].account_id)
    }

    /// A booking of which somebody wants something.
    fn take_in_hand(&self) -> Option<(BookingId, usize)> {
        let now = self.clock.now();
        let mut book = self.ledger.open();
        let is_free =
            |entry: &Entry| !entry.is_cancelled && !entry.is_in_hand && entry.range.start > now.plus_micros(SOON_US);
        let free: Vec<BookingId> = book.entries.iter().filter(|(_, entry)| is_free(entry)).map(|(id, _)| *id).collect();
        let id = *free.get(self.dice.index(free.len()))?;
        let entry = book.entries.get_mut(&id)?;
        entry.is_in_hand = true;
        entry.asked_at = now;
        Some((id, entry.person))
    }

    fn lay_down(&self, id: BookingId, change: impl FnOnce(&mut Entry, &mut bool)) {
        let now = self.clock.now();
        let mut book = self.ledger.open();
        let mut is_odd = false;
        if let Some(entry) = book.entries.get_mut(&id) {
            entry.is_in_hand = false;
            entry.asked_at = now;
            change(entry, &mut is_odd);
        }
        if is_odd {
            book.oddities.push(format!("a change of {id} was answered with something else"));
        }
    }

    /// The start of one of the free times of a person in the next days.
    async fn slots(&self, index: usize) -> Option<String> {
        let (person, now) = (&self.world.people[index], self.clock.now());
        let date = |days: i64| now.plus_micros(days * DAY_US).to_utc().format("%Y-%m-%d").to_string();
        let path = format!(
            "/v1/accounts/{}/availability?event_type_id={}&user_id={}&start_date={}&end_date={}&timezone=UTC",
            person.account_id,
            person.event_type_id,
            person.user_id,
            date(1),
            date(7)
        );
        let ask = Ask { method: "GET", path, body: None, idempotency_key: None };
        let answer = self.front.ask(&self.world.key, &ask).await;
        let slots = match answer {
            Some((StatusCode::OK, body)) => body["slots"].as_array().cloned().unwrap_or_default(),
            Some((status, body)) if !status.is_server_error() => {
                self.ledger.open().oddities.push(format!("a question was answered with {status} {body}"));
                return None;
            }
            _ => {
                self.ledger.open().unanswered += 1;
                return None;
            }
        };
        let slot = slots.get(self.dice.index(slots.len()))?;
        slot["start_time"].as_str().map(str::to_owned)
    }

    /// Asks until there is an answer; what was done, if anything was.
    async fn persist(&self, method: &'static str, path: String, body: Option<Value>) -> Option<Value> {
        let key = format!("key-{}", self.counter.fetch_add(1, Ordering::Relaxed));
        let ask = Ask { method, path, body, idempotency_key: Some(key) };
        for _ in 0..TRIES_MAX {
            match self.front.ask(&self.world.key, &ask).await {
                Some((status, body)) if status.is_success() => {
                    self.ledger.open().acknowledged += 1;
                    return Some(body);
                }
                Some((StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY, _)) => {
                    self.ledger.open().refused += 1;
                    return None;
                }
                Some((status, body)) if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                    self.ledger.open().oddities.push(format!("{method} was answered with {status} {body}"));
                    return None;
                }
                _ => self.ledger.open().repeated += 1,
            }
            sleep(AGAIN_AFTER).await;
        }
        self.ledger.open().oddities.push(format!("{method} {} was never answered", ask.path));
        None
    }
}

fn booking_of(body: &Value) -> Option<(BookingId, TimeRange)> {
    let at = |name: &str| -> Option<Timestamp> {
        Some(DateTime::parse_from_rfc3339(body[name].as_str()?).ok()?.with_timezone(&Utc).into())
    };
    Some((body["id"].as_str()?.parse().ok()?, TimeRange::new(at("start_time")?, at("end_time")?)?))
}
