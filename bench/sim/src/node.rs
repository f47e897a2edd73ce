//! One node: scheduler and api on a simulated host, from boot to crash or to its orderly end.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_actors::{Doorbells, Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_api::{ApiParts, ApiSettings, Readiness, router};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{CLOCK_SKEW_MAX, Clock, FactCache, Peers, Store};
use agentcal_engine::signed::SigningKeys;
use agentcal_sim_store::{Dice, Disk, Line, SharedCache, Way};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::clock::{SimClock, SkewedClock};
use crate::peers::{SimPeers, internal_router};
use crate::provider::WATCHED_SWEEP_INTERVAL;

/// Most nodes there can be.
pub const NODES_MAX: usize = 5;
/// Where a node listens for clients.
pub(crate) const PORT: u16 = 80;
/// Where it listens for other nodes.
pub(crate) const INTERNAL_PORT: u16 = 81;
/// Time between two looks for bells that rang.
const BELL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two tries to boot on a store that does not serve.
const BOOT_RETRY: Duration = Duration::from_millis(500);
/// How long what was accepted may take to end when the node ends in order.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Most milliseconds that a node's clock is wrong.
const SKEW_MS_MAX: u64 = CLOCK_SKEW_MAX.as_secs() * 1_000;

/// The names of the nodes' hosts.
const NAMES: [&str; NODES_MAX] = ["node0", "node1", "node2", "node3", "node4"];

/// The name of a node's host, which is its address among the nodes as well.
pub(crate) fn name_of(node: usize) -> &'static str {
    NAMES[node]
}

/// Which node has an address.
pub(crate) fn node_at(address: &str) -> Option<usize> {
    NAMES.iter().position(|name| *name == address)
}

/// What every life of a node is made of.
#[derive(Clone)]
pub(crate) struct NodeParts {
    pub(crate) number: usize,
    pub(crate) disk: Disk,
    pub(crate) providers: Providers,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) dice: Arc<Dice>,
    pub(crate) bells: Bells,
    pub(crate) account_id: AccountId,
    pub(crate) handle: NodeHandle,
    /// What it shares with other nodes; `None`: it is alone.
    pub(crate) cache: Option<SharedCache>,
}

/// A node as it is seen, and meddled with, from outside.
#[derive(Clone, Default)]
pub(crate) struct NodeHandle(Arc<HandleState>);

#[derive(Default)]
struct HandleState {
    store: Line,
    cache: Line,
    provider: Line,
    stop: Notify,
    is_stopping: AtomicBool,
    scheduler: Mutex<Option<Scheduler>>,
}

impl NodeHandle {
    /// Its ways to store, cache and providers.
    pub(crate) fn lines(&self) -> [&Line; 3] {
        [&self.0.store, &self.0.cache, &self.0.provider]
    }

    /// How it reaches store and cache.
    pub(crate) fn reach(&self, store: Way, cache: Way) {
        self.0.store.set(store);
        self.0.cache.set(cache);
    }

    /// Asks it to end in order.
    pub(crate) fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        self.0.stop.notify_one();
    }

    /// It begins, or is no more.
    pub(crate) fn forget(&self) {
        self.0.is_stopping.store(false, Ordering::SeqCst);
        *self.lock() = None;
    }

    /// Its scheduler, while it runs.
    pub(crate) fn scheduler(&self) -> Option<Scheduler> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Scheduler>> {
        self.0.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn asked_to_stop(&self) {
        while !self.0.is_stopping.load(Ordering::SeqCst) {
            self.0.stop.notified().await;
        }
    }
}

/// Notifications on their way to the nodes, to each in turn. Those that come while one is down are lost.
#[derive(Clone)]
pub(crate) struct Bells(Arc<Mutex<Ringing>>);

struct Ringing {
    queues: Vec<VecDeque<CalendarId>>,
    next: usize,
}

impl Bells {
    pub(crate) fn new(nodes: usize) -> Self {
        Self(Arc::new(Mutex::new(Ringing { queues: vec![VecDeque::new(); nodes], next: 0 })))
    }

    pub(crate) fn ring(&self, calendar_id: CalendarId) {
        let mut ringing = self.lock();
        let node = ringing.next;
        ringing.queues[node].push_back(calendar_id);
        ringing.next = (node + 1) % ringing.queues.len();
    }

    fn take(&self, node: usize) -> VecDeque<CalendarId> {
        std::mem::take(&mut self.lock().queues[node])
    }

    fn lock(&self) -> MutexGuard<'_, Ringing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of a node.
pub(crate) async fn live(parts: NodeParts) -> turmoil::Result {
    parts.handle.forget();
    let clock: Arc<dyn Clock> = match &parts.cache {
        None => Arc::clone(&parts.clock) as _,
        Some(_) => Arc::new(SkewedClock { truth: Arc::clone(&parts.clock), ahead_us: skew_us(&parts.dice) }),
    };
    let scheduler_parts = scheduler_parts(&parts, &clock);
    let (store, quotas) = (Arc::clone(&scheduler_parts.store), Arc::clone(&scheduler_parts.quotas));
    let scheduler = loop {
        match Scheduler::start(scheduler_parts.clone()).await {
            Ok(scheduler) => break scheduler,
            Err(_unavailable) => sleep(BOOT_RETRY).await,
        }
    };
    parts.bells.take(parts.number);
    *parts.handle.lock() = Some(scheduler.clone());
    tokio::spawn(hear_bells(scheduler.clone(), parts.clone()));
    let readiness = Readiness::new();
    readiness.set(true);
    let public = router(ApiParts {
        store,
        scheduler: scheduler.clone(),
        quotas,
        providers: parts.providers.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&parts.dice) as _,
        signing: signing(),
        webhooks: None,
        oauth: None,
        mail: None,
        jobs: None,
        settings: ApiSettings::default(),
        metrics: None,
        readiness: readiness.clone(),
    });
    let mut at_work = JoinSet::new();
    if parts.cache.is_some() {
        let internal = internal_router(scheduler.clone(), clock, Arc::clone(&parts.dice) as _);
        at_work.spawn(listen(INTERNAL_PORT, internal, NodeHandle::default()));
    }
    listen(PORT, public, parts.handle.clone()).await?;
    readiness.set(false);
    scheduler.shutdown().await;
    at_work.shutdown().await;
    parts.handle.forget();
    Ok(())
}

/// What offers and doorbells are signed with, on every node.
fn signing() -> Arc<SigningKeys> {
    Arc::new(SigningKeys::new(Zeroizing::new([7; 32]), []))
}

/// What a node reaches besides providers.
type Surroundings = (Arc<dyn Store>, Arc<dyn FactCache>, Option<Arc<dyn Peers>>);

fn scheduler_parts(parts: &NodeParts, clock: &Arc<dyn Clock>) -> SchedulerParts {
    let [store_line, cache_line, _] = parts.handle.lines();
    let dice = Arc::clone(&parts.dice);
    let (store, cache, peers): Surroundings = match &parts.cache {
        None => (Arc::new(parts.disk.connect()), Arc::new(MemoryFactCache::default()), None),
        Some(shared) => (
            Arc::new(parts.disk.connect_for_good(u32::try_from(parts.number).unwrap_or(0), store_line.clone())),
            Arc::new(shared.connect(cache_line.clone(), Arc::clone(&dice))),
            Some(Arc::new(SimPeers { clock: Arc::clone(clock) })),
        ),
    };
    let settings = SchedulerSettings {
        address: name_of(parts.number).to_owned(),
        watched_sweep_interval: WATCHED_SWEEP_INTERVAL,
        ..SchedulerSettings::default()
    };
    let providers = parts.providers.clone();
    let quotas = Arc::new(MemoryQuotas::new(Arc::clone(clock)));
    SchedulerParts {
        store,
        cache,
        quotas,
        providers,
        clock: Arc::clone(clock),
        entropy: dice,
        doorbells: Doorbells::at("https://simulated.example.com", false, signing()),
        peers,
        webhooks: None,
        jobs: None,
        oauth: None,
        settings,
    }
}

/// How far a clock is ahead: some are right, some nearly so, some are not.
fn skew_us(dice: &Dice) -> i64 {
    let most = *dice.pick(&[0, 500, 5_000, SKEW_MS_MAX]);
    let ms = i64::try_from(dice.below(2 * most + 1)).unwrap_or(0) - i64::try_from(most).unwrap_or(0);
    ms * 1_000
}

/// Takes connections until asked to stop; then what was accepted may end.
async fn listen(port: u16, router: Router, handle: NodeHandle) -> io::Result<()> {
    let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = handle.asked_to_stop() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                connections.spawn(serve(accepted?.0, router.clone()));
            }
        }
    }
    drop(listener);
    // What takes longer is cut off.
    let _ = timeout(DRAIN_MAX, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn serve(stream: turmoil::net::TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A caller that left, or a network that lost it, is no concern of the node.
    let _ = connection.await;
}

async fn hear_bells(scheduler: Scheduler, parts: NodeParts) {
    loop {
        sleep(BELL_INTERVAL).await;
        for calendar_id in parts.bells.take(parts.number) {
            // Now and then a provider has something to say of the watch, true or not.
            let ring = match parts.dice.below(12) {
                0 => Ring::WatchEnded,
                1 => Ring::WatchToRenew,
                _ => Ring::Changed,
            };
            scheduler.ring(parts.account_id, calendar_id, ring);
        }
    }
}
