//! One node: scheduler and api on a simulated host, from boot to crash.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentcal_actors::{Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_api::{ApiParts, ApiSettings, Readiness, router};
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::Store;
use agentcal_engine::signed::SigningKeys;
use agentcal_sim_store::Disk;
use agentcal_store_memory::MemoryFactCache;
use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::chance::Dice;
use crate::clock::SimClock;

/// Where the node listens.
pub(crate) const PORT: u16 = 80;
/// Time between two looks for bells that rang.
const BELL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two tries to boot on a store that does not serve.
const BOOT_RETRY: Duration = Duration::from_millis(500);

/// What every life of the node is made of.
#[derive(Clone)]
pub(crate) struct NodeParts {
    pub(crate) disk: Disk,
    pub(crate) providers: Providers,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) dice: Arc<Dice>,
    pub(crate) bells: Bells,
    pub(crate) account_id: AccountId,
}

/// Notifications on their way to the node. Those that come while it is down are lost.
#[derive(Clone, Default)]
pub(crate) struct Bells(Arc<Mutex<VecDeque<CalendarId>>>);

impl Bells {
    pub(crate) fn ring(&self, calendar_id: CalendarId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(calendar_id);
    }

    fn take(&self) -> VecDeque<CalendarId> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One life of the node.
pub(crate) async fn live(parts: NodeParts) -> turmoil::Result {
    let store: Arc<dyn Store> = Arc::new(parts.disk.connect());
    let scheduler_parts = SchedulerParts {
        store: Arc::clone(&store),
        cache: Arc::new(MemoryFactCache::default()),
        providers: parts.providers.clone(),
        clock: Arc::clone(&parts.clock) as _,
        entropy: Arc::clone(&parts.dice) as _,
        peers: None,
        settings: SchedulerSettings::default(),
    };
    let scheduler = loop {
        match Scheduler::start(scheduler_parts.clone()).await {
            Ok(scheduler) => break scheduler,
            Err(_unavailable) => sleep(BOOT_RETRY).await,
        }
    };
    parts.bells.take();
    tokio::spawn(hear_bells(scheduler.clone(), parts.bells.clone(), parts.account_id));
    let router = router(ApiParts {
        store,
        scheduler,
        providers: parts.providers,
        clock: parts.clock,
        entropy: parts.dice,
        signing: Arc::new(SigningKeys::new(Zeroizing::new([7; 32]), [])),
        settings: ApiSettings::default(),
        metrics: None,
        readiness: Readiness::new(),
    });
    let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, router.clone()));
    }
}

async fn serve(stream: turmoil::net::TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A caller that left, or a network that lost it, is no concern of the node.
    let _ = connection.await;
}

async fn hear_bells(scheduler: Scheduler, bells: Bells, account_id: AccountId) {
    loop {
        sleep(BELL_INTERVAL).await;
        for calendar_id in bells.take() {
            scheduler.bell(account_id, calendar_id);
        }
    }
}
