//! What a client does next.

use std::time::Duration;

use agentcal_engine::model::SchedulingMode;
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_history::{INTENT, Operation, Outcome, SlotsSeen, Wish};
use chrono::SecondsFormat;
use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Client, Known, Offered, Wanted, reading};
use crate::provider::POLL_INTERVALS;
use crate::quiet::Audit;
use crate::world::{HOT_US, Thing};

/// Things whose bookings are led by different calendars and take the same people's time.
const SHARING: [usize; 5] = [1, 2, 2, 3, 3];
/// Slots for which clients fight: the first so many.
const HOT_SLOTS: usize = 6;
/// In how many milliseconds everybody comes who wants what everybody wants: few enough that decisions overlap.
const RUSH_MS: u64 = 60;

impl Client {
    pub(super) async fn act(&mut self) {
        match self.dice.below(100) {
            0..25 => {
                self.look_around().await;
            }
            25..50 => self.book_offered().await,
            50..60 => self.book_blindly().await,
            60..80 => self.hold_something().await,
            80..88 => self.move_something().await,
            88..95 => self.cancel_something().await,
            95..98 => self.read_something().await,
            _ => self.rehearse().await,
        }
    }

    pub(super) fn some_thing(&self) -> usize {
        let things = &self.world.things;
        let mut chosen = self.dice.below(things.iter().map(|thing| thing.weight).sum());
        let mut index = 0;
        while chosen >= things[index].weight {
            chosen -= things[index].weight;
            index += 1;
        }
        index
    }

    pub(super) fn thing(&self, index: usize) -> Thing {
        self.world.things[index].clone()
    }

    async fn look_around(&mut self) -> Vec<Offered> {
        let thing = self.some_thing();
        self.ask(thing).await
    }

    pub(super) async fn ask(&mut self, index: usize) -> Vec<Offered> {
        let thing = self.thing(index);
        let first = self.now().plus_micros(i64::try_from(self.dice.below(2)).unwrap_or(0) * DAY_US);
        let last = first.plus_micros(i64::try_from(self.dice.below(2)).unwrap_or(0) * DAY_US);
        let date = |instant: Timestamp| instant.to_utc().format("%Y-%m-%d").to_string();
        let zone = self.dice.pick(&["UTC", "Europe/Berlin", "Asia/Kathmandu"]);
        let mut path = self.path(&format!(
            "/availability?event_type_id={}&start_date={}&end_date={}&timezone={zone}",
            thing.id,
            date(first),
            date(last)
        ));
        let mut user_ids = thing.user_ids.clone();
        if thing.mode != SchedulingMode::Collective && self.dice.happens(200) {
            user_ids = vec![*self.dice.pick(&thing.user_ids)];
            path.push_str(&format!("&user_id={}", user_ids[0]));
        }
        let max_staleness_us = match self.dice.happens(200) {
            true => {
                let millis = 2_000 + self.dice.below(60_000);
                path.push_str(&format!("&max_staleness_ms={millis}"));
                millis * 1_000
            }
            false => u64::try_from(POLL_INTERVALS.1.as_micros()).unwrap_or(u64::MAX) * 2,
        };
        let operation = Operation::Ask { user_ids, max_staleness_us: i64::try_from(max_staleness_us).ok() };
        let wanted = Wanted { operation, method: Method::GET, path, body: None };
        match self.once(&wanted).await {
            Some((Outcome::Slots(seen), reply)) => reading::offered(index, &seen, &reply.body),
            _ => Vec::new(),
        }
    }

    /// Asks every node about everything that can be booked, whenever that is wanted.
    pub(crate) async fn audit_when_asked(mut self, audit: Audit) {
        loop {
            sleep(Duration::from_secs(1)).await;
            if audit.is_wanted() {
                let mut seen = Vec::new();
                for node in 0..self.nodes {
                    for index in 0..self.world.things.len() {
                        seen.push(self.audit(node, index).await);
                    }
                }
                audit.deliver(seen);
            }
        }
    }

    async fn audit(&mut self, node: usize, index: usize) -> Option<SlotsSeen> {
        let thing = self.thing(index);
        let days = [self.now(), self.now().plus_micros(DAY_US)].map(|at| at.to_utc().format("%Y-%m-%d").to_string());
        let [first, last] = days;
        let query = format!("/availability?event_type_id={}&start_date={first}&end_date={last}&timezone=UTC", thing.id);
        let max_staleness_us = i64::try_from(POLL_INTERVALS.1.as_micros() * 2).ok();
        let operation = Operation::Ask { user_ids: thing.user_ids, max_staleness_us };
        let wanted = Wanted { operation, method: Method::GET, path: self.path(&query), body: None };
        match self.send(node, &wanted, None).await {
            Some((Outcome::Slots(seen), _)) => Some(seen),
            _ => None,
        }
    }

    /// One of the first slots, for which others may be fighting, or any.
    pub(super) fn choose(&self, offered: &[Offered]) -> Option<Offered> {
        let among = if self.dice.happens(700) { offered.len().min(HOT_SLOTS) } else { offered.len() };
        offered.get(self.dice.index(among)).cloned()
    }

    async fn book_offered(&mut self) {
        let thing = self.some_thing();
        let offered = self.ask(thing).await;
        if let Some(offered) = self.choose(&offered) {
            let by_slot_id = self.thing(thing).needs_slot_id || self.dice.happens(400);
            self.book(&offered, by_slot_id).await;
        }
    }

    /// Books a time nobody offered: on the hour or on its half, soon.
    async fn book_blindly(&mut self) {
        let offered = self.guess();
        self.book(&offered, false).await;
    }

    /// Wants a time that everybody wants, of one of the things that share people.
    pub(super) async fn rush(&mut self, start: Timestamp) {
        let index = *self.dice.pick(&SHARING);
        let thing = self.thing(index);
        // Neighbours get into each other's buffers, where the store's constraint does not look.
        let start = start.plus_micros(*self.dice.pick(&[0, 0, 30 * MINUTE_US]));
        let range = TimeRange { start, end: start.plus_micros(i64::from(thing.minutes) * MINUTE_US) };
        let wanted = Offered { thing: index, range, user_ids: thing.user_ids, slot_id: None };
        sleep(self.dice.millis(0, RUSH_MS)).await;
        self.book(&wanted, false).await;
    }

    pub(super) fn guess(&self) -> Offered {
        let index = self.some_thing();
        let thing = self.thing(index);
        let step = 30 * MINUTE_US;
        let steps = u64::try_from(HOT_US / step).unwrap_or(1);
        let ahead = i64::try_from(1 + self.dice.below(steps)).unwrap_or(1) * step;
        let start = Timestamp::from_micros((self.now().as_micros() + ahead) / step * step);
        let range = TimeRange { start, end: start.plus_micros(i64::from(thing.minutes) * MINUTE_US) };
        Offered { thing: index, range, user_ids: thing.user_ids, slot_id: None }
    }

    /// What to put into the body for a slot, and what that wishes for.
    pub(super) fn pick_slot(&self, offered: &Offered, by_slot_id: bool) -> (Value, Wish) {
        let thing = self.thing(offered.thing);
        let all = thing.mode == SchedulingMode::Collective;
        if let (true, Some(slot_id)) = (by_slot_id, &offered.slot_id) {
            let wish = Wish { user_ids: offered.user_ids.clone(), all, range: offered.range };
            return (json!({ "slot_id": slot_id }), wish);
        }
        let mut body = json!({ "event_type_id": thing.id, "start_time": rfc3339(offered.range.start) });
        let mut user_ids = thing.user_ids;
        if !all && self.dice.happens(200) {
            user_ids = vec![*self.dice.pick(&offered.user_ids)];
            body["user_id"] = json!(user_ids[0]);
        }
        (body, Wish { user_ids, all, range: offered.range })
    }

    async fn book(&mut self, offered: &Offered, by_slot_id: bool) {
        let (mut body, wish) = self.pick_slot(offered, by_slot_id);
        let intent = self.fresh("i");
        self.sign(&mut body, &intent);
        let operation = Operation::Book { intent, wish, hold_id: None };
        let path = self.path("/bookings");
        let answered = self.persist(Wanted { operation, method: Method::POST, path, body: Some(body) }).await;
        if let Some((Outcome::Booking(seen), _)) = answered {
            self.remember(Known { id: seen.booking_id, thing: offered.thing });
            self.look_again(offered.thing).await;
        }
    }

    /// Who books, and what for.
    pub(super) fn sign(&self, body: &mut Value, intent: &str) {
        body["attendee"] = json!({ "name": self.name });
        body["metadata"] = json!({ INTENT: intent });
    }

    async fn move_something(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let known = self.dice.pick(&self.known).clone();
        let target = if self.dice.happens(700) {
            let offered = self.ask(known.thing).await;
            self.choose(&offered)
        } else {
            Some(Offered { thing: known.thing, ..self.guess() })
        };
        let Some(target) = target else { return };
        let minutes = i64::from(self.thing(known.thing).minutes);
        let range = TimeRange { start: target.range.start, end: target.range.start.plus_micros(minutes * MINUTE_US) };
        let operation = Operation::Move { booking_id: known.id, range };
        let path = self.path(&format!("/bookings/{}", known.id));
        let body = json!({ "start_time": rfc3339(range.start) });
        let answered = self.persist(Wanted { operation, method: Method::PATCH, path, body: Some(body) }).await;
        if let Some((Outcome::Booking(seen), _)) = answered {
            let thing = known.thing;
            self.remember(Known { id: seen.booking_id, ..known });
            self.look_again(thing).await;
        }
    }

    async fn cancel_something(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let known = self.dice.pick(&self.known).clone();
        let operation = Operation::Cancel { booking_id: known.id };
        let path = self.path(&format!("/bookings/{}", known.id));
        let answered = self.persist(Wanted { operation, method: Method::DELETE, path, body: None }).await;
        // Some clients forget what they cancelled, and others try to move it.
        if matches!(answered, Some((Outcome::Booking(_), _))) && self.dice.happens(700) {
            self.known.retain(|other| other.id != known.id);
        }
    }

    async fn read_something(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let id = self.dice.pick(&self.known).id;
        let path = self.path(&format!("/bookings/{id}"));
        let operation = Operation::Read { booking_id: id };
        self.once(&Wanted { operation, method: Method::GET, path, body: None }).await;
    }

    async fn rehearse(&mut self) {
        let offered = self.guess();
        let (mut body, _) = self.pick_slot(&offered, false);
        let intent = self.fresh("rehearsal");
        self.sign(&mut body, &intent);
        body["dry_run"] = json!(true);
        let path = self.path("/bookings");
        let operation = Operation::Rehearse { intent };
        self.persist(Wanted { operation, method: Method::POST, path, body: Some(body) }).await;
    }
}

pub(super) fn rfc3339(instant: Timestamp) -> String {
    instant.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
