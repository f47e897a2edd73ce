//! A node to ask, another that asks, and what goes on at the owner.

use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, Clock, Entropy, FactsWanted, NodeRecord};
use agentcal_engine::shard::NodeId;
use agentcal_engine::time::Timestamp;
use agentcal_peers::{
    Guard, HttpPeers, NotOwner, Owner, PeerSecret, PeerTls, PeersParts, PeersSettings, RouterParts, ServeOptions,
    ShardsPicture, router, serve,
};
use async_trait::async_trait;
use axum::Router;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::samples;

/// Nothing here takes longer, however slow the machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

/// The clock of a node, which stands still.
pub(crate) struct StoppedClock(pub Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Never the same twice.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

/// What an owner does with what it hears.
pub(crate) enum Behaviour {
    Answers(CommitAnswer),
    /// Answers each when it is given a permit.
    Waits(Arc<Semaphore>, CommitAnswer),
    NeverAnswers,
    /// Panics when it is given a permit.
    Breaks(Arc<Semaphore>),
    Refuses,
}

/// An owner that remembers what it was asked.
pub(crate) struct FakeOwner {
    pub(crate) behaviour: Behaviour,
    pub(crate) facts: Vec<Arc<CalendarFacts>>,
    pub(crate) shards: Option<ShardsPicture>,
    pub(crate) commits: Mutex<Vec<CommitRequest>>,
    /// Commits that came to their end.
    pub(crate) done: Arc<Mutex<usize>>,
    pub(crate) notices: Mutex<Vec<String>>,
}

impl FakeOwner {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            facts: Vec::new(),
            shards: None,
            commits: Mutex::default(),
            done: Arc::default(),
            notices: Mutex::default(),
        }
    }

    pub(crate) fn commit_count(&self) -> usize {
        self.commits.lock().unwrap().len()
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap().clone()
    }

    fn note(&self, notice: String) -> Result<(), NotOwner> {
        if matches!(self.behaviour, Behaviour::Refuses) {
            return Err(NotOwner);
        }
        self.notices.lock().unwrap().push(notice);
        Ok(())
    }
}

#[async_trait]
impl Owner for FakeOwner {
    fn commit(&self, request: CommitRequest) -> Result<BoxFuture<'static, CommitAnswer>, NotOwner> {
        self.commits.lock().unwrap().push(request);
        let done = Arc::clone(&self.done);
        match &self.behaviour {
            Behaviour::Answers(answer) => {
                let answer = answer.clone();
                Ok(Box::pin(async move { answer }))
            }
            Behaviour::Waits(permits, answer) => {
                let (permits, answer) = (Arc::clone(permits), answer.clone());
                Ok(Box::pin(async move {
                    permits.acquire().await.unwrap().forget();
                    *done.lock().unwrap() += 1;
                    answer
                }))
            }
            Behaviour::NeverAnswers => Ok(Box::pin(pending())),
            Behaviour::Breaks(permits) => {
                let permits = Arc::clone(permits);
                Ok(Box::pin(async move {
                    permits.acquire().await.unwrap().forget();
                    panic!("the owner breaks, as it was told to")
                }))
            }
            Behaviour::Refuses => Err(NotOwner),
        }
    }

    async fn facts(
        &self,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, NotOwner> {
        let ages: Vec<_> = wanted.iter().map(|wanted| (wanted.calendar_id, wanted.max_age)).collect();
        self.note(format!("facts {account_id} {ages:?} {deadline:?}"))?;
        if matches!(self.behaviour, Behaviour::NeverAnswers) {
            pending::<()>().await;
        }
        Ok(self.facts.clone())
    }

    fn bell(&self, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> Result<(), NotOwner> {
        self.note(format!("bell {account_id} {calendar_id} {ring:?}"))
    }

    async fn config_changed(&self, account_id: AccountId) -> Result<(), NotOwner> {
        self.note(format!("config_changed {account_id}"))
    }

    fn beats_ended(&self, ended: BeatsEnded) {
        self.notices.lock().unwrap().push(format!("beats_ended {ended:?}"));
    }

    fn shards_given(&self) {
        self.notices.lock().unwrap().push("shards_given".to_owned());
    }

    fn shards(&self) -> ShardsPicture {
        self.shards.clone().expect("the test gave it a map")
    }
}

/// How the two nodes are set up. By default both have the secret and agree about the time.
pub(crate) struct Setup {
    pub(crate) guard: Guard,
    pub(crate) server_tls: Option<PeerTls>,
    pub(crate) in_flight_max: usize,
    pub(crate) owner_now: Timestamp,
    pub(crate) client: ClientSetup,
}

/// How the asking one is.
pub(crate) struct ClientSetup {
    pub(crate) secret: Option<String>,
    pub(crate) tls: Option<PeerTls>,
    pub(crate) settings: PeersSettings,
    pub(crate) now: Timestamp,
}

impl Default for ClientSetup {
    fn default() -> Self {
        // Everything may take longer than in production: the tests run beside each other.
        let settings = PeersSettings {
            connect_max: LONG,
            ping_max: LONG,
            notice_max: LONG,
            config_changed_max: LONG,
            ..PeersSettings::default()
        };
        Self { secret: Some(SECRET.to_owned()), tls: None, settings, now: samples::NOW }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            guard: Guard::Secrets(vec![PeerSecret::new(SECRET).unwrap()]),
            server_tls: None,
            in_flight_max: 4_096,
            owner_now: samples::NOW,
            client: ClientSetup::default(),
        }
    }
}

/// An owner that listens, and one who asks it.
pub(crate) struct Bed {
    pub(crate) owner: Arc<FakeOwner>,
    pub(crate) node: NodeRecord,
    pub(crate) peers: Arc<HttpPeers>,
    pub(crate) listener: Listener,
}

impl Bed {
    pub(crate) async fn start(owner: FakeOwner, setup: Setup) -> Self {
        let owner = Arc::new(owner);
        let routes = router(RouterParts {
            owner: Arc::clone(&owner) as Arc<dyn Owner>,
            guard: setup.guard,
            clock: Arc::new(StoppedClock(setup.owner_now)),
            entropy: Arc::new(Counting::default()),
            in_flight_max: setup.in_flight_max,
        });
        let tls = setup.server_tls;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = Listener::start(routes, ServeOptions::new(tls.map(|tls| tls.server()))).await;
        let node = node_at(&format!("{scheme}://{}", listener.address));
        Self { owner, node, peers: Arc::new(client(setup.client)), listener }
    }

    pub(crate) async fn with(behaviour: Behaviour) -> Self {
        Self::start(FakeOwner::new(behaviour), Setup::default()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node.address)
    }
}

pub(crate) fn client(setup: ClientSetup) -> HttpPeers {
    let parts = PeersParts {
        clock: Arc::new(StoppedClock(setup.now)),
        entropy: Arc::new(Counting::default()),
        secret: setup.secret.map(|secret| PeerSecret::new(&secret).unwrap()),
        tls: setup.tls,
        settings: setup.settings,
    };
    HttpPeers::new(parts).unwrap()
}

pub(crate) fn node_at(address: &str) -> NodeRecord {
    NodeRecord {
        id: NodeId(Uuid::from_u128(1)),
        address: address.to_owned(),
        started_at: samples::NOW,
        is_draining: false,
    }
}

/// A listener of our own kind, whatever it answers.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) ended: JoinHandle<bool>,
}

impl Listener {
    pub(crate) async fn start(routes: Router, options: ServeOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let ended = tokio::spawn(serve(listener, routes, options, stopping));
        Self { address, stop, ended }
    }
}

/// Waits for a condition, not for ever.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(LONG * 2, waited).await.is_ok(), "it never came to this: {what}");
}

/// The value of a future that must not take for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG * 2, future).await.expect("it does not take for ever")
}
