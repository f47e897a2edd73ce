//! The nodes: scheduler and api, from boot to crash or to an orderly end, and the address that stays.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_actors::{Doorbells, Oauth, Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_api::{ApiParts, ApiSettings, Readiness, router};
use agentcal_engine::ports::{Clock, FactCache};
use agentcal_engine::signed::SigningKeys;
use agentcal_fake_kit::{Served, serve};
use agentcal_provider_google::{GoogleOptions, GoogleProvider};
use agentcal_provider_microsoft::{MicrosoftOptions, MicrosoftProvider};
use agentcal_sim_store::{Dice, Disk, Line, NoClients, SharedCache, Way};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use url::Url;
use zeroize::Zeroizing;

use crate::brake::Brake;
use crate::clock::VirtualClock;
use crate::cloud::Cloud;
use crate::consent;
use crate::neighbours::Neighbours;
use crate::plan::Planted;
use crate::provider::{Leash, Leashed, Writes};

/// Time between two sweeps. A second would do for production; here it would be most of what is done.
const SWEEP_INTERVAL: Duration = Duration::from_secs(20);
/// Longest answer of the api.
const ANSWER_LEN_MAX: usize = 4 * 1024 * 1024;
/// How seldom a calendar is looked at whose bells are trusted.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What every life of a node is made of.
pub(crate) struct NodeParts {
    pub(crate) disk: Disk,
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) brake: Brake,
    pub(crate) dice: Arc<Dice>,
    pub(crate) planted: Option<Planted>,
}

/// The address at which callers and providers reach the nodes: each in its turn, of those that live. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Front(Arc<Mutex<Doors>>);

#[derive(Default)]
struct Doors {
    open: BTreeMap<usize, Open>,
    last: usize,
}

#[derive(Clone)]
struct Open {
    router: Router,
    death: CancellationToken,
}

/// A request of a caller.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) idempotency_key: Option<String>,
}

impl Front {
    /// Asks one of the nodes as a caller does, without a socket: an answer may take virtual time. `None`: no answer came, and
    /// nobody knows what was done.
    pub(crate) async fn ask(&self, bearer: &str, ask: &Ask) -> Option<(StatusCode, Value)> {
        let Open { router, death } = self.open()?;
        let mut request = Request::builder()
            .method(ask.method)
            .uri(&ask.path)
            .header("host", "soak.example")
            .header("authorization", format!("Bearer {bearer}"));
        if let Some(key) = &ask.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answered = async move {
            let response = router.oneshot(request.body(body).ok()?).await.ok()?;
            let status = response.status();
            let bytes = to_bytes(response.into_body(), ANSWER_LEN_MAX).await.ok()?;
            Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        };
        tokio::select! {
            biased;
            () = death.cancelled() => None,
            answer = answered => answer,
        }
    }

    /// Whoever's turn it is.
    fn open(&self) -> Option<Open> {
        let mut doors = self.lock();
        let next = doors.open.range(doors.last + 1..).chain(doors.open.range(..)).next();
        let (number, open) = next.map(|(number, open)| (*number, open.clone()))?;
        doors.last = number;
        Some(open)
    }

    fn open_at(&self, number: usize, open: Open) {
        self.lock().open.insert(number, open);
    }

    fn shut(&self, number: usize) {
        self.lock().open.remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, Doors> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes over the network: notifications.
async fn through_front(State(front): State<Front>, request: Request) -> Response {
    match front.open() {
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Open { router, .. }) => router.oneshot(request).await.into_response(),
    }
}

/// All nodes, and what they share.
pub(crate) struct Cluster {
    parts: NodeParts,
    pub(crate) front: Front,
    pub(crate) writes: Writes,
    /// The cache, which outlives them; `None`: there is one node, which has its own.
    cache: Option<SharedCache>,
    neighbours: Neighbours,
    public_url: String,
    lives: Vec<Option<Life>>,
    /// Lives that are over and do not know.
    ghosts: JoinSet<()>,
    _served: Served,
}

struct Life {
    scheduler: Scheduler,
    store: Line,
    cache: Line,
    death: CancellationToken,
}

impl Cluster {
    /// So many nodes that are down.
    pub(crate) async fn new(parts: NodeParts, count: u32) -> Self {
        let front = Front::default();
        let served = serve(Router::new().fallback(through_front).with_state(front.clone()), 0).await;
        Self {
            parts,
            front,
            writes: Writes::default(),
            cache: (count > 1).then(SharedCache::default),
            neighbours: Neighbours::default(),
            public_url: served.base_url(),
            lives: (0..count).map(|_| None).collect(),
            ghosts: JoinSet::new(),
            _served: served,
        }
    }

    /// Boots those that are down.
    pub(crate) async fn start_all(&mut self) -> io::Result<()> {
        for number in 0..self.lives.len() {
            self.start(number).await?;
        }
        Ok(())
    }

    /// Boots one that is down, with nothing but what the store has.
    pub(crate) async fn start(&mut self, number: usize) -> io::Result<()> {
        if self.lives[number].is_some() {
            return Ok(());
        }
        let (store, cache, death) = (Line::default(), Line::default(), CancellationToken::new());
        let leash = Leash {
            brake: self.parts.brake.clone(),
            clock: Arc::clone(&self.parts.clock),
            writes: self.writes.clone(),
            death: death.clone(),
            planted: self.parts.planted,
        };
        let scheduler_parts = self.scheduler_parts(number, (&store, &cache), &leash)?;
        let scheduler = Scheduler::start(scheduler_parts.clone()).await.map_err(io::Error::other)?;
        self.neighbours.add(scheduler.clone(), death.clone());
        let readiness = Readiness::new();
        readiness.set(true);
        let router = router(ApiParts {
            store: scheduler_parts.store,
            scheduler: scheduler.clone(),
            quotas: scheduler_parts.quotas,
            providers: scheduler_parts.providers,
            clock: scheduler_parts.clock,
            entropy: scheduler_parts.entropy,
            signing: signing(),
            webhooks: None,
            jobs: None,
            mail: None,
            oauth: None,
            settings: ApiSettings { public_url: self.public_url.clone(), ..ApiSettings::default() },
            metrics: None,
            readiness,
        });
        self.front.open_at(number, Open { router, death: death.clone() });
        self.lives[number] = Some(Life { scheduler, store, cache, death });
        Ok(())
    }

    /// Ends one in order.
    pub(crate) async fn stop(&mut self, number: usize) {
        self.front.shut(number);
        if let Some(life) = self.lives[number].take() {
            life.scheduler.shutdown().await;
            life.death.cancel();
        }
    }

    /// One is dead: nothing it has begun is heard of any more, by the store, the cache, the others, providers or callers.
    pub(crate) fn crash(&mut self, number: usize) {
        self.front.shut(number);
        if let Some(life) = self.lives[number].take() {
            life.death.cancel();
            life.store.set(Way::Cut);
            life.cache.set(Way::Cut);
            self.ghosts.spawn(async move { life.scheduler.shutdown().await });
        }
        while self.ghosts.try_join_next().is_some() {}
    }

    /// Whether there is more than one.
    pub(crate) fn is_shared(&self) -> bool {
        self.cache.is_some()
    }

    /// The cache that they share forgets everything.
    pub(crate) fn flush_cache(&self) {
        self.cache.iter().for_each(SharedCache::flush);
    }

    /// The numbers of those that live.
    pub(crate) fn living(&self) -> Vec<usize> {
        (0..self.lives.len()).filter(|&number| self.lives[number].is_some()).collect()
    }

    /// Whether some are down.
    pub(crate) fn is_short(&self) -> bool {
        self.lives.iter().any(Option::is_none)
    }

    /// What runs.
    pub(crate) fn schedulers(&self) -> impl Iterator<Item = &Scheduler> {
        self.lives.iter().flatten().map(|life| &life.scheduler)
    }

    fn scheduler_parts(
        &self,
        number: usize,
        (store_line, cache_line): (&Line, &Line),
        leash: &Leash,
    ) -> io::Result<SchedulerParts> {
        let NodeParts { disk, cloud, clock, dice, planted, .. } = &self.parts;
        let address = format!("node{number}");
        let settings = SchedulerSettings { address, sweep_interval: SWEEP_INTERVAL, ..SchedulerSettings::default() };
        let settings = match planted {
            Some(Planted::BellsAreTrusted) => {
                SchedulerSettings { watched_sweep_interval: NEVER, watched_asked_interval: NEVER, ..settings }
            }
            _ => settings,
        };
        let issuer = consent::servers(cloud, clock).map_err(io::Error::other)?;
        let issuer = Arc::new(Leashed { inner: issuer, leash: leash.clone() });
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let (cache, peers): (Arc<dyn FactCache>, _) = match &self.cache {
            None => (Arc::new(MemoryFactCache::default()), None),
            Some(shared) => (
                Arc::new(shared.connect(cache_line.clone(), Arc::clone(dice))),
                Some(self.neighbours.seen_from(leash.death.clone())),
            ),
        };
        let writer = u32::try_from(number).map_err(io::Error::other)?;
        Ok(SchedulerParts {
            store: Arc::new(disk.connect_for_good(writer, store_line.clone())),
            cache,
            quotas: Arc::new(MemoryQuotas::new(Arc::clone(&clock))),
            providers: providers(cloud, &clock, dice, leash)?,
            clock,
            entropy: Arc::clone(dice) as _,
            peers,
            webhooks: None,
            jobs: None,
            doorbells: Doorbells::at(&self.public_url, true, signing()),
            oauth: Some(Oauth { store: Arc::new(NoClients), issuer }),
            settings,
        })
    }
}

/// Both providers as they are in production, but for where they are.
pub(crate) fn providers(
    cloud: &Cloud,
    clock: &Arc<dyn Clock>,
    dice: &Arc<Dice>,
    leash: &Leash,
) -> io::Result<Providers> {
    let google =
        GoogleOptions { api_url: cloud.google_url.clone(), ..GoogleOptions::production(Arc::clone(dice) as _) };
    let google = GoogleProvider::new(google).map_err(io::Error::other)?;
    let graph_url = Url::parse(&cloud.graph.graph_url()).map_err(io::Error::other)?;
    let MicrosoftOptions { poll_min, poll_max, .. } = MicrosoftOptions::production();
    let microsoft = MicrosoftOptions { poll_min, poll_max, ..MicrosoftOptions::development(graph_url) };
    let microsoft = MicrosoftProvider::new(microsoft, Arc::clone(clock)).map_err(io::Error::other)?;
    Ok(Providers::new()
        .with(Arc::new(Leashed { inner: google, leash: leash.clone() }))
        .with(Arc::new(Leashed { inner: microsoft, leash: leash.clone() })))
}

/// What offers and doorbells are signed with.
fn signing() -> Arc<SigningKeys> {
    Arc::new(SigningKeys::new(Zeroizing::new([7; 32]), []))
}
