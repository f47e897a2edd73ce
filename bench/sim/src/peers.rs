//! How nodes ask each other: over the simulated network, and answered by the routes that real nodes answer with.
//!
//! Real nodes ask over one HTTP/2 connection; here each request has one of its own, since a simulated connection that
//! lost a packet never finds it again.

use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::Scheduler;
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, UnavailableReason};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, Clock, Entropy, FactsWanted, NodeRecord, PeerError, Peers};
use agentcal_peers::{Guard, PeerSecret, RouterParts, router};
use async_trait::async_trait;
use axum::Router;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::node::INTERNAL_PORT;
use crate::wire::knock;

/// What nodes know each other by.
const SECRET: &str = "the-same-for-all-the-simulated-nodes";
/// Longest time a peer may take over anything but a commit and facts.
const NOTICE_MAX: Duration = Duration::from_secs(5);
/// Most that is kept back of a caller's time for the way there and back.
const TRIP_MAX: Duration = Duration::from_millis(20);
/// Most requests of peers at work at once.
const IN_FLIGHT_MAX: usize = 4_096;

/// What a node answers its peers with.
pub(crate) fn internal_router(scheduler: Scheduler, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Router {
    let secret = PeerSecret::new(SECRET).expect("long and printable");
    let guard = Guard::Secrets(vec![secret]);
    router(RouterParts { owner: Arc::new(scheduler), guard, clock, entropy, in_flight_max: IN_FLIGHT_MAX })
}

/// A node's way to the others.
pub(crate) struct SimPeers {
    pub(crate) clock: Arc<dyn Clock>,
}

/// Longest waits of one request.
#[derive(Clone, Copy)]
struct Within {
    receipt: Duration,
    answer: Duration,
}

impl SimPeers {
    async fn ask(&self, peer: &NodeRecord, path: &str, body: &Value, within: Within) -> Result<Bytes, PeerError> {
        let began = Instant::now();
        let left = within.answer.saturating_sub(TRIP_MAX.min(within.answer / 10));
        let request = Request::post(path)
            .header("host", &peer.address)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {SECRET}"))
            .header("agentcal-left-ms", left.as_millis().to_string())
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| PeerError::Silent(error.to_string()))?;
        let knocked = knock((&peer.address, INTERNAL_PORT), request);
        let knocked = timeout_at(began + within.receipt.min(within.answer), knocked).await;
        let knocked = knocked.map_err(|_elapsed| PeerError::Silent("no sign of it".into()))?;
        let (response, connected) = knocked.map_err(|error| PeerError::Silent(error.to_string()))?;
        check(response.status())?;
        let whole = timeout_at(began + within.answer, response.into_body().collect()).await;
        let whole = whole.map_err(|_elapsed| PeerError::Lost("the deadline passed".into()))?;
        let whole = whole.map_err(|error| PeerError::Lost(error.to_string()))?;
        drop(connected);
        Ok(whole.to_bytes())
    }

    async fn notify(&self, peer: &NodeRecord, path: &str, body: &Value) -> Result<(), PeerError> {
        self.ask(peer, path, body, Within { receipt: NOTICE_MAX, answer: NOTICE_MAX }).await.map(drop)
    }
}

fn check(status: StatusCode) -> Result<(), PeerError> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::MISDIRECTED_REQUEST => Err(PeerError::NotOwner),
        other => Err(PeerError::Silent(format!("it refused with {other}"))),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PeerError> {
    serde_json::from_slice(body).map_err(|error| PeerError::Lost(error.to_string()))
}

#[async_trait]
impl Peers for SimPeers {
    async fn commit(
        &self,
        owner: &NodeRecord,
        request: &CommitRequest,
        receipt_within: Duration,
    ) -> Result<CommitAnswer, PeerError> {
        let answer = request.deadline.saturating_since(self.clock.now());
        if answer.is_zero() {
            return Ok(CommitAnswer::Unavailable(UnavailableReason::Deadline));
        }
        let body = serde_json::to_value(request).map_err(|error| PeerError::Silent(error.to_string()))?;
        let within = Within { receipt: receipt_within, answer };
        parse(&self.ask(owner, "/internal/v1/commit", &body, within).await?)
    }

    async fn facts(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, PeerError> {
        let wanted: Vec<Value> = wanted
            .iter()
            .map(|wanted| match wanted.max_age {
                None => json!({ "calendar_id": wanted.calendar_id }),
                Some(age) => {
                    let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                    json!({
                        "calendar_id": wanted.calendar_id,
                        "max_age_ms": millis(age.polled),
                        "watched_max_age_ms": millis(age.watched),
                    })
                }
            })
            .collect();
        let body = json!({ "account_id": account_id, "wanted": wanted });
        parse(&self.ask(owner, "/internal/v1/facts", &body, Within { receipt: deadline, answer: deadline }).await?)
    }

    async fn bell(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        calendar_id: CalendarId,
        ring: Ring,
    ) -> Result<(), PeerError> {
        let body = json!({ "account_id": account_id, "calendar_id": calendar_id, "ring": ring });
        self.notify(owner, "/internal/v1/bell", &body).await
    }

    async fn config_changed(&self, owner: &NodeRecord, account_id: AccountId) -> Result<(), PeerError> {
        self.notify(owner, "/internal/v1/config-changed", &json!({ "account_id": account_id })).await
    }

    async fn beats_ended(&self, reader: &NodeRecord, ended: BeatsEnded) -> Result<(), PeerError> {
        let body = serde_json::to_value(ended).map_err(|error| PeerError::Silent(error.to_string()))?;
        self.notify(reader, "/internal/v1/beats-ended", &body).await
    }

    async fn shards_given(&self, receiver: &NodeRecord) -> Result<(), PeerError> {
        self.notify(receiver, "/internal/v1/shards-given", &Value::Null).await
    }
}
