//! Asking other nodes.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, UnavailableReason};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId, RequestId};
use agentcal_engine::ports::{BeatsEnded, Clock, Entropy, FactsWanted, NodeRecord, PeerError, Peers};
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exchange::{Call, Exchange, Failure};
use crate::secret::PeerSecret;
use crate::tls::PeerTls;
use crate::wire::{BellBody, ConfigChangedBody, FactsBody, Kind, WantedBody};

/// What bounds requests to other nodes.
#[derive(Clone, Debug)]
pub struct PeersSettings {
    /// How long a connection may take to stand, TLS included. Well below the wait for a receipt, so that a machine that is
    /// gone is noticed within it.
    pub connect_max: Duration,
    /// How often a connection is pinged, also while nothing is asked over it.
    pub ping_every: Duration,
    /// How long an answer to a ping may take. Then the connection is given up, and with it what waits for answers over it.
    pub ping_max: Duration,
    /// How long a peer may take over a bell or word of given shards.
    pub notice_max: Duration,
    /// How long a peer may take until it answers from nothing older than a changed configuration.
    pub config_changed_max: Duration,
    /// Most bytes of an answer.
    pub answer_len_max: usize,
    /// Most requests under way to one peer.
    pub in_flight_max: usize,
}

impl Default for PeersSettings {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_millis(80),
            ping_every: Duration::from_millis(500),
            ping_max: Duration::from_secs(1),
            notice_max: Duration::from_secs(1),
            config_changed_max: Duration::from_secs(5),
            answer_len_max: 16 * 1_024 * 1_024,
            in_flight_max: 4_096,
        }
    }
}

/// What a client is made of.
pub struct PeersParts {
    /// This node's clock: deadlines of requests are by it.
    pub clock: Arc<dyn Clock>,
    /// For the ids of requests.
    pub entropy: Arc<dyn Entropy>,
    /// What the others ask for, if they ask for a secret.
    pub secret: Option<PeerSecret>,
    /// Certificate and authority. With them, peers are reached over `https` alone; without, over `http` alone.
    pub tls: Option<PeerTls>,
    /// Bounds.
    pub settings: PeersSettings,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The HTTP client could not be made of its parts.
    #[error("failed to make the client for other nodes")]
    Client(#[from] reqwest::Error),
    /// TLS could not be set up.
    #[error("failed to set up TLS between nodes")]
    Tls(#[from] rustls::Error),
}

/// Other nodes over HTTP/2, one connection each.
pub struct HttpPeers {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    exchange: Exchange,
    settings: PeersSettings,
    speaks_tls: bool,
}

impl HttpPeers {
    /// A client. Connects to nobody before it is asked to.
    pub fn new(parts: PeersParts) -> Result<Self, PeersError> {
        let PeersParts { clock, entropy, secret, tls, settings } = parts;
        let exchange = Exchange::new(secret, tls.as_ref(), &settings)?;
        Ok(Self { clock, entropy, exchange, settings, speaks_tls: tls.is_some() })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        self.exchange.client()
    }

    pub(crate) fn secret(&self) -> Option<&PeerSecret> {
        self.exchange.secret()
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.speaks_tls
    }

    pub(crate) fn answer_len_max(&self) -> usize {
        self.settings.answer_len_max
    }

    fn mint(&self) -> RequestId {
        RequestId::mint(self.clock.now(), self.entropy.as_ref())
    }

    /// Tells a peer something; the receipt is the answer.
    async fn notify(
        &self,
        owner: &NodeRecord,
        kind: Kind,
        body: Vec<u8>,
        answer_within: Duration,
    ) -> Result<(), PeerError> {
        let call = Call { kind, request_id: self.mint(), body, receipt_within: answer_within, answer_within };
        self.exchange.ask(owner, call).await.map(drop).map_err(PeerError::from)
    }
}

#[async_trait]
impl Peers for HttpPeers {
    async fn commit(
        &self,
        owner: &NodeRecord,
        request: &CommitRequest,
        receipt_within: Duration,
    ) -> Result<CommitAnswer, PeerError> {
        let answer_within = request.deadline.saturating_since(self.clock.now());
        if answer_within.is_zero() {
            return Ok(CommitAnswer::Unavailable(UnavailableReason::Deadline));
        }
        let request_id = RequestId::from_uuid(request.commit_id);
        let call = Call { kind: Kind::Commit, request_id, body: json(request), receipt_within, answer_within };
        match self.exchange.ask(owner, call).await {
            Ok(body) => parse(&body),
            // Somebody is there and has too much to do already: others doing it in its place would not help.
            Err(Failure::TooMany) => Ok(CommitAnswer::Unavailable(UnavailableReason::MailboxFull)),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn facts(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, PeerError> {
        let body = FactsBody { account_id, wanted: wanted.iter().map(WantedBody::from).collect() };
        let (receipt_within, answer_within) = (deadline, deadline);
        let call =
            Call { kind: Kind::Facts, request_id: self.mint(), body: json(&body), receipt_within, answer_within };
        let facts: Vec<Arc<CalendarFacts>> = parse(&self.exchange.ask(owner, call).await?)?;
        let ids = facts.iter().map(|facts| (facts.account_id, facts.calendar_id));
        if ids.eq(wanted.iter().map(|wanted| (account_id, wanted.calendar_id))) {
            Ok(facts)
        } else {
            Err(PeerError::Lost("its answer is about other calendars".to_owned()))
        }
    }

    async fn bell(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        calendar_id: CalendarId,
        ring: Ring,
    ) -> Result<(), PeerError> {
        let body = json(&BellBody { account_id, calendar_id, ring });
        self.notify(owner, Kind::Bell, body, self.settings.notice_max).await
    }

    async fn config_changed(&self, owner: &NodeRecord, account_id: AccountId) -> Result<(), PeerError> {
        let body = json(&ConfigChangedBody { account_id });
        self.notify(owner, Kind::ConfigChanged, body, self.settings.config_changed_max).await
    }

    async fn beats_ended(&self, reader: &NodeRecord, ended: BeatsEnded) -> Result<(), PeerError> {
        self.notify(reader, Kind::BeatsEnded, json(&ended), self.settings.notice_max).await
    }

    async fn shards_given(&self, receiver: &NodeRecord) -> Result<(), PeerError> {
        self.notify(receiver, Kind::ShardsGiven, Vec::new(), self.settings.notice_max).await
    }
}

fn json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("the engine's values are JSON: no map of theirs has keys other than text")
}

/// An answer of a peer. What is wrong with it is told by place alone, since the text may quote what callers sent.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PeerError> {
    serde_json::from_slice(body).map_err(|error| {
        PeerError::Lost(format!("its answer cannot be read at line {}, column {}", error.line(), error.column()))
    })
}
