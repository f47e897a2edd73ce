//! One request and its answer, within bounds of time, size and number.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentcal_actors::metrics::{PEER_LATENCY, PEER_REQUESTS};
use agentcal_engine::ids::RequestId;
use agentcal_engine::ports::{NodeRecord, PeerError};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use metrics::{counter, histogram};
use reqwest::{Client, Request, Response, Url};
use tokio::time::{Instant, timeout_at};

use crate::client::{PeersError, PeersSettings};
use crate::logged::OncePerMinute;
use crate::secret::PeerSecret;
use crate::tls::{PeerTls, client_without_authority};
use crate::wire::{Kind, LEFT_HEADER, REQUEST_ID_HEADER, left_to_send};

/// A request.
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) request_id: RequestId,
    pub(crate) body: Vec<u8>,
    /// Longest wait for the head of the answer.
    pub(crate) receipt_within: Duration,
    /// Longest wait for all of it.
    pub(crate) answer_within: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NotOwner,
    TooMany,
    Silent(String),
    Lost(String),
}

impl Failure {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::NotOwner => "not_owner",
            Self::TooMany => "too_many",
            Self::Silent(_) => "silent",
            Self::Lost(_) => "lost",
        }
    }
}

impl From<Failure> for PeerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotOwner => Self::NotOwner,
            Failure::TooMany => Self::Silent("too many requests to it are under way".to_owned()),
            Failure::Silent(why) => Self::Silent(why),
            Failure::Lost(why) => Self::Lost(why),
        }
    }
}

/// Requests to all peers.
pub(crate) struct Exchange {
    client: Client,
    secret: Option<PeerSecret>,
    in_flight: InFlight,
    answer_len_max: usize,
    refused: OncePerMinute,
}

impl Exchange {
    pub(crate) fn new(
        secret: Option<PeerSecret>,
        tls: Option<&PeerTls>,
        settings: &PeersSettings,
    ) -> Result<Self, PeersError> {
        let config = tls.map_or_else(client_without_authority, |tls| Ok(tls.client()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(tls.is_some())
            .http2_prior_knowledge()
            .http2_keep_alive_interval(settings.ping_every)
            .http2_keep_alive_timeout(settings.ping_max)
            .http2_keep_alive_while_idle(true)
            .connect_timeout(settings.connect_max)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .build()?;
        let in_flight = InFlight { by_address: Mutex::default(), max: settings.in_flight_max };
        let answer_len_max = settings.answer_len_max;
        Ok(Self { client, secret, in_flight, answer_len_max, refused: OncePerMinute::default() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn secret(&self) -> Option<&PeerSecret> {
        self.secret.as_ref()
    }

    /// Asks a peer and waits for its whole answer. Dropping the future takes the request back, as far as it can be.
    pub(crate) async fn ask(&self, peer: &NodeRecord, call: Call) -> Result<Vec<u8>, Failure> {
        let mut meter = Meter::start(call.kind);
        let answer = self.perform(peer, call).await;
        meter.outcome = answer.as_ref().map_or_else(Failure::as_str, |_| "answered");
        answer
    }

    async fn perform(&self, peer: &NodeRecord, call: Call) -> Result<Vec<u8>, Failure> {
        let _place = self.in_flight.enter(&peer.address).ok_or(Failure::TooMany)?;
        let answer_until = Instant::now() + call.answer_within;
        let receipt_within = call.receipt_within.min(call.answer_within);
        let receipt_until = Instant::now() + receipt_within;
        let kind = call.kind;
        let request = self.request(peer, call)?;
        let head = timeout_at(receipt_until, self.client.execute(request)).await;
        let head = head.map_err(|_elapsed| silent_for(receipt_within))?;
        let head = head.map_err(|error| Failure::Silent(innermost(&error)))?;
        self.check(peer, kind, head.status())?;
        let body = timeout_at(answer_until, read_whole(head, self.answer_len_max)).await;
        body.map_err(|_elapsed| Failure::Lost("the deadline passed".to_owned()))?.map_err(Failure::Lost)
    }

    fn request(&self, peer: &NodeRecord, call: Call) -> Result<Request, Failure> {
        let address = format!("{}{}", peer.address.trim_end_matches('/'), call.kind.path());
        let url = Url::parse(&address).map_err(|error| Failure::Silent(format!("its address is no URL: {error}")))?;
        let mut request = Request::new(Method::POST, url);
        self.dress(request.headers_mut(), &call);
        *request.body_mut() = Some(call.body.into());
        Ok(request)
    }

    fn dress(&self, headers: &mut HeaderMap, call: &Call) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(LEFT_HEADER, HeaderValue::from(left_to_send(call.answer_within)));
        let id = HeaderValue::from_str(&call.request_id.to_string());
        headers.insert(REQUEST_ID_HEADER, id.expect("ids are letters and digits"));
        if let Some(secret) = &self.secret {
            headers.insert(AUTHORIZATION, secret.header());
        }
    }

    fn check(&self, peer: &NodeRecord, kind: Kind, status: StatusCode) -> Result<(), Failure> {
        if status.is_success() {
            return Ok(());
        }
        let failure = match status {
            StatusCode::MISDIRECTED_REQUEST => Failure::NotOwner,
            StatusCode::TOO_MANY_REQUESTS => Failure::TooMany,
            StatusCode::UNAUTHORIZED => Failure::Silent("it does not accept how this node shows who it is".to_owned()),
            other => Failure::Silent(format!("it refused with status {}", other.as_u16())),
        };
        if matches!(failure, Failure::Silent(_)) && self.refused.may_speak() {
            let (address, kind, status) = (&peer.address, kind.as_str(), status.as_u16());
            tracing::error!(address, kind, status, "another node refuses this one; compare their secrets and versions");
        }
        Err(failure)
    }
}

fn silent_for(receipt_within: Duration) -> Failure {
    Failure::Silent(format!("no sign of it within {} ms", receipt_within.as_millis()))
}

/// An answer up to its end; or why there is none.
pub(crate) async fn read_whole(mut head: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = head.chunk().await.map_err(|error| innermost(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(format!("its answer has more than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What is at the bottom of it; the layers above repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Counts what is under way, by address. A peer that answers nobody must not take the room of the others.
struct InFlight {
    by_address: Mutex<BTreeMap<String, usize>>,
    max: usize,
}

/// Room for one request, given back when dropped.
struct Place<'a> {
    in_flight: &'a InFlight,
    address: &'a str,
}

impl InFlight {
    fn enter<'a>(&'a self, address: &'a str) -> Option<Place<'a>> {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get_mut(address) {
            Some(count) if *count >= self.max => return None,
            Some(count) => *count += 1,
            None => drop(by_address.insert(address.to_owned(), 1)),
        }
        Some(Place { in_flight: self, address })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut by_address = self.in_flight.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = by_address.get_mut(self.address) else { return };
        *count -= 1;
        if *count == 0 {
            by_address.remove(self.address);
        }
    }
}

/// Counts a request when it is over, also one whose caller left.
struct Meter {
    kind: Kind,
    begun: Instant,
    outcome: &'static str,
}

impl Meter {
    fn start(kind: Kind) -> Self {
        Self { kind, begun: Instant::now(), outcome: "given_up" }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let kind = self.kind.as_str();
        counter!(PEER_REQUESTS, "kind" => kind, "outcome" => self.outcome).increment(1);
        histogram!(PEER_LATENCY, "kind" => kind).record(self.begun.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_per_peer_and_given_back() {
        let in_flight = InFlight { by_address: Mutex::default(), max: 2 };
        let first = in_flight.enter("a");
        let second = in_flight.enter("a");
        assert!(first.is_some() && second.is_some());
        assert!(in_flight.enter("a").is_none(), "full");
        assert!(in_flight.enter("b").is_some(), "another peer has room of its own");
        drop(first);
        let third = in_flight.enter("a");
        assert!(third.is_some());
        drop((second, third));
        assert!(
            in_flight.by_address.lock().expect("not poisoned").is_empty(),
            "nothing is kept of peers that are gone"
        );
    }
}
