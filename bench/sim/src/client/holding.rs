//! Holds, and what becomes of them.

use std::time::Duration;

use agentcal_engine::ids::HoldId;
use agentcal_history::{HoldSeen, Operation, Outcome, Wish};
use http::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{Client, Known, Wanted};

/// What a client means to do with a hold.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Confirm,
    ExtendAndConfirm,
    Release,
    ReleaseSession,
    Abandon,
    /// Confirm when it is over, or nearly so.
    ConfirmLate,
}

const PURPOSES: [Purpose; 10] = [
    Purpose::Confirm,
    Purpose::Confirm,
    Purpose::Confirm,
    Purpose::Confirm,
    Purpose::ExtendAndConfirm,
    Purpose::Release,
    Purpose::ReleaseSession,
    Purpose::Abandon,
    Purpose::ConfirmLate,
    Purpose::ConfirmLate,
];

impl Client {
    pub(super) async fn hold_something(&mut self) {
        let purpose = *self.dice.pick(&PURPOSES);
        let session_id = self.fresh("s");
        let thing = self.some_thing();
        let offered = self.ask(thing).await;
        let Some(first) = self.choose(&offered) else { return };
        let mut held = self.hold(&first, &session_id).await;
        if matches!(purpose, Purpose::ReleaseSession)
            && let Some(second) = self.choose(&offered)
        {
            held = self.hold(&second, &session_id).await.or(held);
        }
        if let Some(held) = held {
            self.see_through(purpose, thing, &held, &session_id).await;
        }
    }

    async fn hold(&mut self, offered: &super::Offered, session_id: &str) -> Option<HoldSeen> {
        let by_slot_id = self.thing(offered.thing).needs_slot_id || self.dice.happens(400);
        let (mut body, wish) = self.pick_slot(offered, by_slot_id);
        body["ttl_seconds"] = json!(30 + self.dice.below(30));
        body["session_id"] = json!(session_id);
        let operation = Operation::Hold { wish, session_id: Some(session_id.to_owned()) };
        let path = self.path("/holds");
        match self.persist(Wanted { operation, method: Method::POST, path, body: Some(body) }).await {
            Some((Outcome::Hold(seen), _)) => {
                self.look_again(offered.thing).await;
                Some(seen)
            }
            _ => None,
        }
    }

    async fn see_through(&mut self, purpose: Purpose, thing: usize, held: &HoldSeen, session_id: &str) {
        sleep(self.dice.millis(200, 12_000)).await;
        match purpose {
            Purpose::Abandon => {}
            Purpose::Confirm => self.confirm(thing, held).await,
            Purpose::ExtendAndConfirm => {
                self.extend(held.hold_id).await;
                self.confirm(thing, held).await;
            }
            Purpose::Release => self.release(held.hold_id).await,
            Purpose::ReleaseSession => {
                self.release_session(session_id).await;
                if self.dice.happens(500) {
                    self.confirm(thing, held).await;
                }
            }
            Purpose::ConfirmLate => {
                let left = held.expires_at.saturating_since(self.now());
                let early = if self.dice.happens(800) { self.dice.millis(0, 700) } else { Duration::ZERO };
                sleep(left.saturating_sub(early)).await;
                self.confirm(thing, held).await;
            }
        }
    }

    async fn confirm(&mut self, thing: usize, held: &HoldSeen) {
        let mut body = json!({ "hold_id": held.hold_id });
        let intent = self.fresh("i");
        self.sign(&mut body, &intent);
        let wish = Wish { user_ids: held.user_ids.clone(), all: true, range: held.range };
        let operation = Operation::Book { intent, wish, hold_id: Some(held.hold_id) };
        let path = self.path("/bookings");
        let answered = self.persist(Wanted { operation, method: Method::POST, path, body: Some(body) }).await;
        if let Some((Outcome::Booking(seen), _)) = answered {
            self.remember(Known { id: seen.booking_id, thing });
        }
    }

    async fn extend(&mut self, hold_id: HoldId) {
        let path = self.path(&format!("/holds/{hold_id}/extend"));
        let body = Some(json!({ "ttl_seconds": 30 + self.dice.below(60) }));
        self.persist(Wanted { operation: Operation::Extend { hold_id }, method: Method::POST, path, body }).await;
        sleep(self.dice.millis(100, 20_000)).await;
    }

    async fn release(&mut self, hold_id: HoldId) {
        let path = self.path(&format!("/holds/{hold_id}"));
        let operation = Operation::Release { hold_id };
        self.persist(Wanted { operation, method: Method::DELETE, path, body: None }).await;
    }

    async fn release_session(&mut self, session_id: &str) {
        let path = self.path(&format!("/holds?session_id={session_id}"));
        let operation = Operation::ReleaseSession { session_id: session_id.to_owned() };
        self.persist(Wanted { operation, method: Method::DELETE, path, body: None }).await;
    }
}
