//! Putting a node together: the one place that names stores, caches and providers.

use std::path::PathBuf;
use std::sync::Arc;

use agentcal_actors::{Providers, Scheduler, SchedulerParts, SchedulerSettings, StartError};
use agentcal_api::{ApiParts, ApiSettings, Readiness};
use agentcal_engine::commit::HoldLimits;
use agentcal_engine::ports::{Clock, Entropy, Store, StoreError};
use agentcal_engine::signed::SigningKeys;
use agentcal_provider_caldav::{CaldavOptions, CaldavProvider};
use agentcal_provider_egress::EgressError;
use agentcal_provider_sandbox::{SandboxProvider, SandboxSettings};
use agentcal_store_memory::MemoryFactCache;
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use agentcal_web::{WebParts, WebSettings};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::{OsEntropy, SystemClock};
use crate::config::CaldavConfig;

/// Name of the database in a data folder.
pub(crate) const DATABASE_FILE: &str = "agentcal.db";
/// Name of the key ring in a data folder.
pub(crate) const KEYRING_FILE: &str = "keyring";

/// Why a node was not put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    /// The schema is older than this program.
    #[error("the database lacks {0} migrations of this version; run `agentcal migrate`, then start again")]
    SchemaBehind(usize),
    /// The schema is newer than this program.
    #[error("the database was migrated by a newer version of agentcal; start that version instead")]
    SchemaAhead,
    /// The database would lose acknowledged bookings.
    #[error("the database would lose bookings that were confirmed: {0}")]
    NotDurable(String),
    /// The keys are not those that sealed the data.
    #[error(
        "AGENTCAL_ENCRYPTION_KEYS does not open what is stored: the key {0} is missing from it, or is another one; put \
         the key that was used before back into the list"
    )]
    WrongKeys(String),
    /// The store did not serve.
    #[error("the store did not serve")]
    Store(#[from] StoreError),
    /// The actors did not start.
    #[error("failed to start the scheduler")]
    Scheduler(#[from] StartError),
    /// The CalDAV client could not be made.
    #[error("failed to make the CalDAV client")]
    Caldav(#[from] EgressError),
}

/// What a node is made of, besides its store.
pub(crate) struct Plan {
    /// How it speaks to CalDAV servers.
    pub(crate) caldav: CaldavConfig,
    /// Most live holds.
    pub(crate) holds: HoldLimits,
    /// How sandbox calendars behave.
    pub(crate) sandbox: SandboxSettings,
    /// What callers reach the api at.
    pub(crate) public_url: String,
    /// Whether this is `agentcal dev`.
    pub(crate) dev: bool,
    /// Renders the metrics.
    pub(crate) metrics: PrometheusHandle,
    /// What offers and attendees' links are signed with.
    pub(crate) signing: Arc<SigningKeys>,
}

/// A node that works, and answers as soon as it is listened to.
pub(crate) struct Node {
    /// Everything that moves.
    pub(crate) scheduler: Scheduler,
    /// What the api is made of.
    pub(crate) api: ApiParts,
    /// What attendees' pages are made of.
    pub(crate) web: WebParts,
    /// Whether it should be sent requests; not at first.
    pub(crate) readiness: Readiness,
}

impl Node {
    /// What the public listener answers with: the api, and the pages attendees' links lead to.
    pub(crate) fn public_router(&self) -> Router {
        agentcal_api::router(self.api.clone()).merge(agentcal_web::router(self.web.clone()))
    }
}

/// How to open a database file.
pub(crate) fn open_options(path: PathBuf, keyring: Arc<KeyRing>) -> OpenOptions {
    OpenOptions { path, keyring, entropy: Arc::new(OsEntropy), clock: Arc::new(SystemClock) }
}

/// Refuses a database whose schema is not this program's.
pub(crate) async fn require_current_schema(store: &SqliteStore) -> Result<(), BootError> {
    let schema = store.schema_state().await?;
    if !schema.unknown.is_empty() {
        return Err(BootError::SchemaAhead);
    }
    match schema.pending.len() {
        0 => Ok(()),
        behind => Err(BootError::SchemaBehind(behind)),
    }
}

/// Refuses a database that would not keep what it acknowledges.
pub(crate) async fn require_durability(store: &SqliteStore) -> Result<(), BootError> {
    let problems = store.durability_check().await?;
    if problems.is_empty() {
        return Ok(());
    }
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(BootError::NotDurable(problems.join("; ")))
}

/// Refuses keys that do not open what is stored. A database without tenants is opened by any.
pub(crate) async fn require_right_keys(store: &SqliteStore) -> Result<(), BootError> {
    let unreadable = store.unreadable_key_ids().await?;
    if unreadable.is_empty() { Ok(()) } else { Err(BootError::WrongKeys(unreadable.join(", "))) }
}

/// Starts everything but listening.
pub(crate) async fn start(store: SqliteStore, plan: Plan) -> Result<Node, BootError> {
    let store: Arc<dyn Store> = Arc::new(store);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let providers = providers(&store, &clock, &plan)?;
    let scheduler = Scheduler::start(SchedulerParts {
        store: Arc::clone(&store),
        cache: Arc::new(MemoryFactCache::default()),
        providers: providers.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        settings: SchedulerSettings { hold_limits: plan.holds, ..SchedulerSettings::default() },
    })
    .await?;
    let readiness = Readiness::new();
    let web = WebParts {
        store: Arc::clone(&store),
        scheduler: scheduler.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        signing: Arc::clone(&plan.signing),
        public_url: plan.public_url.clone(),
        settings: WebSettings::default(),
    };
    let api = ApiParts {
        store,
        scheduler: scheduler.clone(),
        providers,
        clock,
        entropy,
        signing: plan.signing,
        settings: ApiSettings { public_url: plan.public_url, dev: plan.dev, ..ApiSettings::default() },
        metrics: Some(plan.metrics),
        readiness: readiness.clone(),
    };
    Ok(Node { scheduler, api, web, readiness })
}

fn providers(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, plan: &Plan) -> Result<Providers, BootError> {
    let sandbox = SandboxProvider::new(Arc::clone(store) as _, Arc::clone(clock), plan.sandbox);
    let CaldavConfig { policy, dns_server, poll_min, poll_max } = plan.caldav.clone();
    let caldav = CaldavProvider::new(CaldavOptions { egress: policy, poll_min, poll_max, dns: dns_server })?;
    Ok(Providers::new().with(Arc::new(sandbox)).with(Arc::new(caldav)))
}
