//! Clients: they ask, hold, book, move, cancel and read, lose their patience, and try again.

mod acts;
mod holding;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ids::{BookingId, UserId};
use agentcal_engine::ports::Clock;
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_history::{Answer, Event, Operation, Outcome};
use agentcal_sim_store::Dice;
use http::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::clock::SimClock;
use crate::journal::Journal;
use crate::node::name_of;
use crate::wire::{Ask, Reply, send};
use crate::world::World;

/// Most bookings a client remembers.
const REMEMBERED_MAX: usize = 12;

/// One client.
pub(crate) struct Client {
    name: String,
    world: Arc<World>,
    clock: Arc<SimClock>,
    dice: Dice,
    journal: Journal,
    /// Bookings it knows of.
    known: Vec<Known>,
    counter: u64,
    /// How many nodes there are to ask.
    nodes: usize,
}

/// A booking a client knows of.
#[derive(Clone, Debug)]
struct Known {
    id: BookingId,
    thing: usize,
}

/// A slot a client was offered.
#[derive(Clone, Debug)]
struct Offered {
    thing: usize,
    range: TimeRange,
    user_ids: Vec<UserId>,
    slot_id: Option<String>,
}

/// A request, before it is known under which key and how often it will be sent.
struct Wanted {
    operation: Operation,
    method: Method,
    path: String,
    body: Option<Value>,
}

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) journal: Journal,
}

impl Client {
    pub(crate) fn new(name: String, seed: u64, nodes: usize, surroundings: Surroundings) -> Self {
        let Surroundings { world, clock, journal } = surroundings;
        let dice = Dice::new(seed, &name);
        Self { name, world, clock, dice, journal, known: Vec::new(), counter: 0, nodes }
    }

    /// Goes on for ever; while the journal is paused it begins nothing new.
    pub(crate) async fn run(mut self) {
        let journal = self.journal.clone();
        loop {
            let pause = self.dice.millis(2_000, 40_000);
            let wanted = tokio::select! {
                biased;
                start = journal.rushed() => start,
                () = sleep(pause) => None,
            };
            if !self.journal.is_paused() {
                let engaged = self.journal.enter();
                match wanted {
                    Some(start) => self.rush(start).await,
                    None => self.act().await,
                }
                drop(engaged);
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A name nobody used before.
    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("{}-{what}{}", self.name, self.counter)
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/accounts/{}{rest}", self.world.account_id())
    }

    /// Sends a request, perhaps with a key, and perhaps again as long as it is in doubt, or although it is done: to another
    /// node, where there is one.
    async fn persist(&mut self, wanted: Wanted) -> Option<(Outcome, Reply)> {
        let key = self.dice.happens(700).then(|| self.fresh("k"));
        let mut tries = 1 + self.dice.below(3);
        let mut node = self.some_node();
        loop {
            let answered = self.send(node, &wanted, key.clone()).await;
            node = self.another_node(node);
            tries -= 1;
            match &answered {
                Some((Outcome::Failed { .. }, _)) | None if tries > 0 => sleep(self.dice.millis(200, 5_000)).await,
                Some((Outcome::Failed { .. } | Outcome::Refused { .. }, _)) | None => return answered,
                // Some repeat what was done long since: the answer, not the deed.
                Some(_) if key.is_some() && self.dice.happens(80) => {
                    sleep(self.dice.millis(0, 30_000)).await;
                    self.send(node, &wanted, key).await;
                    return answered;
                }
                Some(_) => return answered,
            }
        }
    }

    fn some_node(&self) -> usize {
        if self.nodes == 1 { 0 } else { self.dice.index(self.nodes) }
    }

    fn another_node(&self, than: usize) -> usize {
        if self.nodes == 1 { 0 } else { (than + 1 + self.dice.index(self.nodes - 1)) % self.nodes }
    }

    /// Sometimes asks, a moment after something was done, whether any node still offers it.
    async fn look_again(&mut self, thing: usize) {
        if self.nodes > 1 && self.dice.happens(500) {
            sleep(self.dice.millis(0, 4_000)).await;
            self.ask(thing).await;
        }
    }

    async fn once(&mut self, wanted: &Wanted) -> Option<(Outcome, Reply)> {
        self.send(self.some_node(), wanted, None).await
    }

    async fn send(&mut self, node: usize, wanted: &Wanted, key: Option<String>) -> Option<(Outcome, Reply)> {
        let is_patient = self.dice.happens(700);
        let patience = if is_patient { Duration::from_secs(40) } else { self.dice.millis(500, 5_000) };
        let event = Event {
            client: self.name.clone(),
            invoked_at: self.now(),
            answer: None,
            idempotency_key: key.clone(),
            operation: wanted.operation.clone(),
        };
        let number = self.journal.begin(event);
        let Wanted { method, path, body, .. } = wanted;
        let ask = Ask { method: method.clone(), path: path.clone(), body: body.clone(), key, patience };
        let reply = send(node, &self.world.key, &ask).await?;
        let outcome = match reading::outcome(&wanted.operation, &reply) {
            Some(outcome) => outcome,
            None => {
                self.journal.odd(format!(
                    "{} {} was answered by {} with {} {}",
                    ask.method,
                    ask.path,
                    name_of(node),
                    reply.status,
                    reply.text
                ));
                return None;
            }
        };
        if let Outcome::Failed { status: 500, code } = &outcome {
            self.journal.odd(format!("{} {} was answered by {} with 500 {code}", ask.method, ask.path, name_of(node)));
        }
        let answer = Answer { at: self.now(), replayed: reply.is_replayed, outcome: outcome.clone() };
        self.journal.finish(number, answer);
        Some((outcome, reply))
    }

    fn remember(&mut self, known: Known) {
        self.known.retain(|other| other.id != known.id);
        if self.known.len() == REMEMBERED_MAX {
            self.known.remove(0);
        }
        self.known.push(known);
    }
}
