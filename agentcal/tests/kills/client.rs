//! A client that wants time, and does not give up when nobody answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::ids::{BookingId, HoldId};
use agentcal_engine::time::Timestamp;
use agentcal_history::{Answer, Event, INTENT, Operation, Outcome, Wish};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::draw::Draw;
use crate::wire::{Api, Offer, Request, Seen, now};
use crate::world::{Want, World, instant};

/// Shortest hold there is, in seconds: those that are forgotten shall run out soon.
pub(crate) const TTL_SECONDS: u32 = 30;
/// Least time between two requests of one client, so that a long run leaves a history that can be kept.
const PACE: Duration = Duration::from_millis(10);
/// Bookings that stand before clients begin to cancel as often as they book: there shall always be time to be had.
const BOOKINGS_MAX: usize = 2_000;
/// How often what was not answered is sent again in the end.
const HEALS_MAX: usize = 3;

/// A hold a client may still confirm.
#[derive(Clone, Debug)]
struct Held {
    hold_id: HoldId,
    wish: Wish,
    expires_at: Timestamp,
}

/// Bookings anybody may move or cancel, as colleagues do.
pub(crate) type Shared = Arc<Mutex<Vec<BookingId>>>;

/// One client.
pub(crate) struct Client {
    name: String,
    api: Api,
    world: Arc<World>,
    draw: Draw,
    bookings: Shared,
    held: Vec<Held>,
    /// What was offered last.
    offers: Vec<Offer>,
    /// Sent before, and to be sent once more.
    again: Option<Request>,
    /// By key: not answered so far.
    unsettled: BTreeMap<String, Request>,
    count: u64,
    history: Vec<Event>,
}

impl Client {
    pub(crate) fn new(number: u64, seed: u64, api: Api, world: Arc<World>, bookings: Shared) -> Self {
        let (name, draw) = (format!("c{number}"), Draw::of(seed, number));
        let (held, offers, history) = (Vec::new(), Vec::new(), Vec::new());
        let unsettled = BTreeMap::new();
        Self { name, api, world, draw, bookings, held, offers, again: None, unsettled, count: 0, history }
    }

    /// Asks one thing after the other until told to stop, and returns what it saw. What was not answered until then is
    /// sent once more under its key, if it has one; by then nothing shall be in its way.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) -> Vec<Event> {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            pace.tick().await;
            let request = match self.again.take() {
                Some(request) => request,
                None => self.next(),
            };
            if !self.perform(&request).await {
                // It may be sent as if for the first time.
                self.again = Some(request);
            }
        }
        for _ in 0..HEALS_MAX {
            for (key, request) in std::mem::take(&mut self.unsettled) {
                if !self.perform(&request).await {
                    self.unsettled.insert(key, request);
                }
            }
        }
        self.history
    }

    /// False: it never left.
    async fn perform(&mut self, request: &Request) -> bool {
        let Some(Seen { event, offers }) = self.api.perform(&self.name, request).await else { return false };
        self.note(request, &event);
        self.learn(request, &event);
        if !offers.is_empty() {
            self.offers = offers;
        }
        self.history.push(event);
        true
    }

    /// Remembers what was not answered.
    fn note(&mut self, request: &Request, event: &Event) {
        let Some(key) = &request.key else { return };
        match event.answer.as_ref().map(|answer| &answer.outcome) {
            None | Some(Outcome::Failed { .. }) => drop(self.unsettled.insert(key.clone(), request.clone())),
            Some(_) => drop(self.unsettled.remove(key)),
        }
    }

    fn next(&mut self) -> Request {
        let is_full = self.bookings.lock().expect("nobody panics with it").len() > BOOKINGS_MAX;
        if is_full && self.draw.percent(50) {
            return self.of_booking(Self::cancel);
        }
        match self.draw.below(100) {
            0..34 => self.hold(),
            34..58 => self.confirm().unwrap_or_else(|| self.book()),
            58..63 => self.of_held(Self::extend),
            63..70 => self.of_held(Self::release),
            70..72 => self.release_session(),
            72..81 => self.book(),
            81..83 => self.rehearse(),
            83..89 => self.of_booking(Self::shift),
            89..94 => self.of_booking(Self::cancel),
            94..97 => self.of_booking(Self::read),
            _ => self.ask(),
        }
    }

    fn of_held(&mut self, make: fn(&mut Self, &Held) -> Request) -> Request {
        match self.draw.pick(&self.held).cloned() {
            Some(held) => make(self, &held),
            None => self.hold(),
        }
    }

    fn of_booking(&mut self, make: fn(&mut Self, BookingId) -> Request) -> Request {
        let booking_id = self.draw.pick(&self.bookings.lock().expect("nobody panics with it")).copied();
        match booking_id {
            Some(booking_id) => make(self, booking_id),
            None => self.book(),
        }
    }

    /// Something that was offered, or whatever comes to mind.
    fn want(&mut self) -> Want {
        let offer = if self.draw.percent(30) { self.draw.pick(&self.offers) } else { None };
        match offer {
            Some(Offer { slot_id, slot }) => {
                let wish = Wish { user_ids: slot.user_ids.clone(), all: false, range: slot.range };
                Want { wish, body: json!({ "slot_id": slot_id }) }
            }
            None => self.world.want(&mut self.draw),
        }
    }

    fn hold(&mut self) -> Request {
        let want = self.want();
        let session_id = self.draw.percent(50).then(|| self.session());
        let mut body = want.body;
        body["ttl_seconds"] = json!(TTL_SECONDS);
        if let Some(session_id) = &session_id {
            body["session_id"] = json!(session_id);
        }
        let operation = Operation::Hold { wish: want.wish, session_id };
        self.request(operation, Method::POST, "/holds", Some(body))
    }

    fn book(&mut self) -> Request {
        let Want { wish, mut body } = self.want();
        let intent = self.fresh("wish");
        attend(&mut body, &intent);
        let operation = Operation::Book { intent, wish, hold_id: None };
        self.request(operation, Method::POST, "/bookings", Some(body))
    }

    /// Asks what would happen; if anything does, the wish stands in some booking's metadata.
    fn rehearse(&mut self) -> Request {
        let Want { mut body, .. } = self.want();
        let intent = self.fresh("rehearsal");
        attend(&mut body, &intent);
        body["dry_run"] = json!(true);
        let mut request = self.request(Operation::Rehearse { intent }, Method::POST, "/bookings", Some(body));
        request.key = None;
        request
    }

    /// Confirms a hold: mostly a live one, at times one that has run out.
    fn confirm(&mut self) -> Option<Request> {
        let index = if self.held.is_empty() { return None } else { self.draw.below(self.held.len()) };
        let Held { hold_id, wish, .. } = self.held.swap_remove(index);
        let intent = self.fresh("wish");
        let mut body = json!({ "hold_id": hold_id });
        attend(&mut body, &intent);
        let operation = Operation::Book { intent, wish, hold_id: Some(hold_id) };
        Some(self.request(operation, Method::POST, "/bookings", Some(body)))
    }

    fn extend(&mut self, held: &Held) -> Request {
        let path = format!("/holds/{}/extend", held.hold_id);
        let body = json!({ "ttl_seconds": TTL_SECONDS });
        self.request(Operation::Extend { hold_id: held.hold_id }, Method::POST, &path, Some(body))
    }

    fn release(&mut self, held: &Held) -> Request {
        self.held.retain(|other| other.hold_id != held.hold_id);
        let path = format!("/holds/{}", held.hold_id);
        self.request(Operation::Release { hold_id: held.hold_id }, Method::DELETE, &path, None)
    }

    /// Others may be on the same call, so what it holds is only forgotten when they find out.
    fn release_session(&mut self) -> Request {
        let session_id = self.session();
        let path = format!("/holds?session_id={session_id}");
        self.request(Operation::ReleaseSession { session_id }, Method::DELETE, &path, None)
    }

    fn shift(&mut self, booking_id: BookingId) -> Request {
        let range = self.world.other_time(&mut self.draw);
        let body = json!({ "start_time": instant(range.start) });
        let path = format!("/bookings/{booking_id}");
        self.request(Operation::Move { booking_id, range }, Method::PATCH, &path, Some(body))
    }

    fn cancel(&mut self, booking_id: BookingId) -> Request {
        self.request(Operation::Cancel { booking_id }, Method::DELETE, &format!("/bookings/{booking_id}"), None)
    }

    fn read(&mut self, booking_id: BookingId) -> Request {
        let mut request =
            self.request(Operation::Read { booking_id }, Method::GET, &format!("/bookings/{booking_id}"), None);
        request.key = None;
        request
    }

    fn ask(&mut self) -> Request {
        let person = *self.draw.pick(&self.world.people).expect("there are people");
        let (from, to) = self.world.dates();
        let solo = &self.world.solo;
        let path = format!(
            "/availability?event_type_id={solo}&user_id={person}&start_date={from}&end_date={to}&timezone=UTC&limit=200"
        );
        let operation = Operation::Ask { user_ids: vec![person], max_staleness_us: None };
        let mut request = self.request(operation, Method::GET, &path, None);
        request.key = None;
        request
    }

    fn request(&mut self, operation: Operation, method: Method, path: &str, body: Option<Value>) -> Request {
        let key = self.draw.percent(60).then(|| self.fresh("key"));
        Request { operation, method, path: self.world.at(path), body, key }
    }

    /// What the answer, or its absence, means for what comes next.
    fn learn(&mut self, request: &Request, event: &Event) {
        let Some(Answer { outcome, .. }) = &event.answer else {
            self.doubt(request);
            return;
        };
        match (&event.operation, outcome) {
            (_, Outcome::Failed { .. }) => self.doubt(request),
            (Operation::Hold { .. } | Operation::Extend { .. }, Outcome::Hold(seen)) => {
                let wish = Wish { user_ids: seen.user_ids.clone(), all: true, range: seen.range };
                self.held.retain(|held| held.hold_id != seen.hold_id);
                self.held.push(Held { hold_id: seen.hold_id, wish, expires_at: seen.expires_at });
            }
            (Operation::Book { .. }, Outcome::Booking(seen)) => {
                let mut bookings = self.bookings.lock().expect("nobody panics with it");
                if !bookings.contains(&seen.booking_id) {
                    bookings.push(seen.booking_id);
                }
            }
            (Operation::Cancel { booking_id }, Outcome::Booking(_)) => {
                self.bookings.lock().expect("nobody panics with it").retain(|other| other != booking_id);
            }
            (Operation::Extend { hold_id }, Outcome::Refused { .. }) => {
                self.held.retain(|held| held.hold_id != *hold_id);
            }
            _ => {}
        }
        // A caller that did not believe its ears: the same again, under the same key. Only what made something: where
        // nothing was left to do, since somebody else had done it, there is no deed to repeat the answer of.
        let made = match outcome {
            Outcome::Hold(_) => true,
            Outcome::Booking(_) => matches!(event.operation, Operation::Book { .. }),
            _ => false,
        };
        let is_first = event.answer.as_ref().is_some_and(|answer| !answer.replayed);
        if made && is_first && request.key.is_some() && self.draw.percent(12) {
            self.again = Some(request.clone());
        }
        self.forget();
    }

    /// Nobody knows whether it was done: the same again, or as a new request, or never mind.
    fn doubt(&mut self, request: &Request) {
        if self.draw.percent(15) {
            return;
        }
        let mut again = request.clone();
        if self.draw.percent(25) {
            again.key = None;
        }
        self.again = Some(again);
    }

    /// Holds that ran out are kept for a while, to be confirmed in vain.
    fn forget(&mut self) {
        let long_ago = now().plus_micros(-20 * agentcal_engine::time::SECOND_US);
        self.held.retain(|held| long_ago < held.expires_at);
    }

    /// The name of a call; each is shared by two clients.
    fn session(&mut self) -> String {
        let number: u64 = self.name[1..].parse().expect("names are a letter and a number");
        format!("call-{}-{}", number / 2, self.count / 64)
    }

    fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}-{}", self.name, self.count)
    }
}

/// What every booking needs: somebody it is for, and the name of the wish.
fn attend(body: &mut Value, intent: &str) {
    body["attendee"] = json!({ "name": "Ada Lovelace" });
    body["metadata"] = json!({ INTENT: intent });
}
