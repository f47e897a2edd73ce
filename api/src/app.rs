//! What every handler shares.

use std::sync::Arc;

use agentcal_engine::ids::AccountId;
use agentcal_engine::ports::Store;
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use crate::chance::DrawnAhead;
use crate::limits::Gates;
use crate::meters::Meters;
use crate::offers::Offers;
use crate::parts::ApiParts;
use crate::trust::{Trust, watch};

/// Writers of configuration in this process that may be at work at once.
const TURNS: usize = 64;

/// State of the routers.
pub(crate) struct App {
    pub(crate) parts: ApiParts,
    pub(crate) trust: Arc<Trust>,
    pub(crate) offers: Offers,
    pub(crate) meters: Meters,
    /// For the ids of requests.
    pub(crate) request_chance: DrawnAhead,
    turns: Vec<Mutex<()>>,
}

/// The state as axum hands it out.
pub(crate) type AppState = Arc<App>;

impl App {
    /// Must be called inside a tokio runtime: it watches the change counters from a task, until it is dropped.
    pub(crate) fn start(parts: ApiParts) -> AppState {
        let gates = parts.settings.key_rate.map(|rate| {
            let (quotas, clock) = (Arc::clone(&parts.quotas), Arc::clone(&parts.clock));
            Gates::new(rate, quotas, clock)
        });
        let trust = Arc::new(Trust::new(Arc::clone(&parts.store), gates));
        tokio::spawn(watch(Arc::downgrade(&trust)));
        let offers = Offers::new(Arc::clone(&parts.signing));
        let request_chance = DrawnAhead::of(Arc::clone(&parts.entropy));
        let turns = (0..TURNS).map(|_| Mutex::new(())).collect();
        Arc::new(Self { parts, trust, offers, meters: Meters::default(), request_chance, turns })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Waits for its turn to rewrite an account's configuration. Spares writers of this process the retries that the
    /// store's revision check, which alone is the guard, would cost them.
    pub(crate) async fn config_turn(&self, account_id: AccountId) -> MutexGuard<'_, ()> {
        self.turns[usize::from(Shard::of(account_id).number()) % TURNS].lock().await
    }
}
