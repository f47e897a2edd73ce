//! Somebody who takes time, and then asks every node whether it knows.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::UserId;
use agentcal_engine::time::{HOUR_US, TimeRange};
use agentcal_history::{Answer, Event, INTENT, Operation, Outcome};
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::draw::Draw;
use crate::wire::{Api, Request, Seen};
use crate::world::World;

/// Oldest facts that are fine, in milliseconds.
const STALENESS_MAX_MS: i64 = 30_000;
/// Longest wait for one node's answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often every node is asked after one answer, and how long after the first time.
const ASKED_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_millis(5_500)];

/// Least time between one thing and the next, and so much of each answer is kept round what was taken, so that a long run
/// leaves a history that can be kept.
const PACE: Duration = Duration::from_millis(300);
const NEAR_US: i64 = HOUR_US;
/// How often one thing is asked for. Nothing is away for as long as that takes.
const TRIES_MAX: usize = 100_000;

/// Books or holds, and asks all nodes at once, and again later.
pub(crate) struct Witness {
    name: String,
    draw: Draw,
    api: Api,
    world: Arc<World>,
    secret_key: String,
    living: watch::Receiver<Vec<String>>,
    count: u64,
}

impl Witness {
    pub(crate) fn new(
        number: usize,
        draw: Draw,
        api: Api,
        world: Arc<World>,
        (secret_key, living): (&str, watch::Receiver<Vec<String>>),
    ) -> Self {
        let secret_key = secret_key.to_owned();
        Self { name: format!("w{number}"), draw, api, world, secret_key, living, count: 0 }
    }

    /// Takes and asks until told to stop, and returns what it was told.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) -> Vec<Event> {
        let (mut history, mut asked) = (Vec::new(), JoinSet::new());
        let mut pace = tokio::time::interval(PACE);
        while !*stop.borrow() {
            pace.tick().await;
            let request = self.next();
            // The same again, until there is an answer.
            for _ in 0..TRIES_MAX {
                let Some(Seen { event, .. }) = self.api.perform(&self.name, &request).await else { continue };
                let (taken, is_settled) = (taken(&event), is_settled(&event));
                history.push(event);
                if let Some((user_id, range)) = taken {
                    self.ask_all(user_id, range, &mut asked, &mut history).await;
                }
                if is_settled {
                    break;
                }
            }
        }
        history.extend(asked.join_all().await.into_iter().flatten());
        history
    }

    /// At once, and waited for; later beside everything else.
    async fn ask_all(
        &self,
        user_id: UserId,
        range: TimeRange,
        later: &mut JoinSet<Vec<Event>>,
        history: &mut Vec<Event>,
    ) {
        let request = self.question(user_id, range);
        for after in ASKED_AFTER {
            let (name, secret_key, living) = (self.name.clone(), self.secret_key.clone(), self.living.clone());
            let asked = ask_after(after, (name, range), (secret_key, living), request.clone());
            if after.is_zero() { history.extend(asked.await) } else { drop(later.spawn(asked)) }
        }
        while let Some(events) = later.try_join_next() {
            history.extend(events.expect("nobody panics"));
        }
    }

    fn next(&mut self) -> Request {
        self.count += 1;
        let want = self.world.want(&mut self.draw);
        let mut body = want.body;
        let key = Some(format!("key-{}-{}", self.name, self.count));
        if self.draw.percent(50) {
            body["ttl_seconds"] = json!(crate::client::TTL_SECONDS);
            let operation = Operation::Hold { wish: want.wish, session_id: None };
            return Request { operation, method: Method::POST, path: self.world.at("/holds"), body: Some(body), key };
        }
        let intent = format!("wish-{}-{}", self.name, self.count);
        body["attendee"] = json!({ "name": "Witness" });
        body["metadata"] = json!({ INTENT: intent });
        let operation = Operation::Book { intent, wish: want.wish, hold_id: None };
        Request { operation, method: Method::POST, path: self.world.at("/bookings"), body: Some(body), key }
    }

    fn question(&self, user_id: UserId, range: TimeRange) -> Request {
        let (solo, day) = (&self.world.solo, range.start.to_utc().date_naive());
        let path = self.world.at(&format!(
            "/availability?event_type_id={solo}&user_id={user_id}&start_date={day}&end_date={day}&timezone=UTC\
             &max_staleness_ms={STALENESS_MAX_MS}"
        ));
        let max_staleness_us = Some(STALENESS_MAX_MS * 1000);
        let operation = Operation::Ask { user_ids: vec![user_id], max_staleness_us };
        Request { operation, method: Method::GET, path, body: None, key: None }
    }
}

/// Whose time was taken, and when.
fn taken(event: &Event) -> Option<(UserId, TimeRange)> {
    let (user_ids, range) = match &event.answer.as_ref()?.outcome {
        Outcome::Booking(seen) => (&seen.user_ids, seen.range),
        Outcome::Hold(seen) => (&seen.user_ids, seen.range),
        _ => return None,
    };
    user_ids.first().map(|&user_id| (user_id, range))
}

fn is_settled(event: &Event) -> bool {
    event.answer.as_ref().is_some_and(|answer| !matches!(answer.outcome, Outcome::Failed { .. }))
}

/// Asks each node clients may ask. One that does not answer in time is not waited for.
async fn ask_after(
    after: Duration,
    (name, taken): (String, TimeRange),
    (secret_key, living): (String, watch::Receiver<Vec<String>>),
    request: Request,
) -> Vec<Event> {
    tokio::time::sleep(after).await;
    let base_urls = living.borrow().clone();
    let asked = base_urls.into_iter().map(|base_url| {
        let (name, request, secret_key) = (name.clone(), request.clone(), secret_key.clone());
        async move {
            let mut api = Api::new(&secret_key, watch::Sender::new(Some(base_url)).subscribe());
            tokio::time::timeout(PATIENCE, api.perform(&name, &request)).await.ok().flatten()
        }
    });
    let asked: JoinSet<_> = asked.collect();
    asked.join_all().await.into_iter().flatten().map(|seen| near(seen.event, taken)).collect()
}

/// An answer with what it says of the time round one that was taken.
fn near(mut event: Event, taken: TimeRange) -> Event {
    let (from, to) = (taken.start.plus_micros(-NEAR_US), taken.end.plus_micros(NEAR_US));
    if let Some(Answer { outcome: Outcome::Slots(seen), .. }) = &mut event.answer {
        seen.slots.retain(|slot| from <= slot.range.start && slot.range.end <= to);
        seen.slots.shrink_to_fit();
    }
    event
}
