//! What a scheduler is made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::commit::HoldLimits;
use agentcal_engine::facts::MaxAge;
use agentcal_engine::followups::MailFor;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    Clock, Entropy, FactCache, JobStore, Mailer, OauthStore, Peers, Provider, Quotas, RelayStore, Store, StoreError,
    TokenIssuer, WebhookRelay, WebhookSender, WebhookStore,
};
use agentcal_engine::webhooks::RETRY_WAITS;

use crate::doorbells::Doorbells;

/// The calendar providers of this process.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<ProviderKind, Arc<dyn Provider>>);

impl Providers {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more; a provider of the same kind is replaced.
    #[must_use]
    pub fn with(mut self, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(provider.kind(), provider);
        self
    }

    /// The provider of a kind.
    pub fn get(&self, kind: ProviderKind) -> Option<&Arc<dyn Provider>> {
        self.0.get(&kind)
    }
}

/// What it takes to tell endpoints of what happens.
#[derive(Clone)]
pub struct Webhooks {
    /// Where events, endpoints and deliveries are kept: the same store everything else is in.
    pub store: Arc<dyn WebhookStore>,
    /// The way out.
    pub sender: Arc<dyn WebhookSender>,
    /// The service that delivers in our place; `None`: we do.
    pub relay: Option<Relay>,
}

/// What it takes to have a service deliver in our place.
#[derive(Clone)]
pub struct Relay {
    /// Where what it is to be told is kept: the same store everything else is in.
    pub store: Arc<dyn RelayStore>,
    /// The service.
    pub service: Arc<dyn WebhookRelay>,
}

/// What it takes to do what follows from bookings.
#[derive(Clone)]
pub struct Jobs {
    /// Where jobs are kept: the same store everything else is in.
    pub store: Arc<dyn JobStore>,
    /// The way out for mails; `None`: none are made, and those that were made wait.
    pub mailer: Option<Arc<dyn Mailer>>,
}

/// What it takes to act for people who consented.
#[derive(Clone)]
pub struct Oauth {
    /// Where clients and grants that are to be given back are kept: the same store everything else is in.
    pub store: Arc<dyn OauthStore>,
    /// The way to their servers.
    pub issuer: Arc<dyn TokenIssuer>,
}

/// Limits and rhythms.
#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    /// Most commits that wait in one calendar; one more is refused.
    pub commits_queued_max: usize,
    /// Most messages from callers on their way to one calendar's actor; one more is refused.
    pub mailbox_len_max: usize,
    /// Most calendars awake at once; beyond it the least recently used go to sleep.
    pub awake_calendars_max: usize,
    /// A calendar nobody asks about for this long goes to sleep.
    pub idle_after: Duration,
    /// Time between two sweeps for due calendars and writebacks.
    pub sweep_interval: Duration,
    /// Time between two syncs of a calendar whose provider rings. Bells get lost, so it is looked at all the same: at most
    /// five times a day, which with a token for each, with what rings and with the watch's renewals stays below fifteen requests.
    pub watched_sweep_interval: Duration,
    /// The same while somebody asks about it: facts older than this still answer, and are looked at again meanwhile. A
    /// booking waits for that.
    pub watched_asked_interval: Duration,
    /// Most calendars one sweep wakes.
    pub sweep_batch_max: u32,
    /// Most syncs at once.
    pub syncs_at_once_max: u32,
    /// Time between two cleanings of kept answers.
    pub clean_up_interval: Duration,
    /// First wait before a crashed actor is restarted; doubles with every crash.
    pub restart_backoff_first: Duration,
    /// Longest wait before a crashed actor is restarted.
    pub restart_backoff_max: Duration,
    /// Most accounts whose configuration is kept in memory.
    pub accounts_cached_max: usize,
    /// Most live holds.
    pub hold_limits: HoldLimits,
    /// Base URL at which other nodes reach this one; empty where there are no others.
    pub address: String,
    /// How long a node's lease lasts.
    pub lease_ttl: Duration,
    /// Time between two renewals of it; each is given up after as long.
    pub lease_renewal: Duration,
    /// Waits between the tries of one delivery.
    pub webhook_retry_waits: Vec<Duration>,
    /// Most messages to endpoints under way at once. Others wait in hand behind them, as long as there are fewer in all.
    pub webhooks_at_once_max: u32,
    /// When a delivery in hand counts as lost. Longer than sending one may take.
    pub webhook_lease: Duration,
    /// Most mails on their way at once.
    pub mails_at_once_max: usize,
    /// When a mail in hand counts as lost. It is held anew for as long as it takes to send it.
    pub mail_lease: Duration,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            commits_queued_max: 256,
            mailbox_len_max: 1_024,
            awake_calendars_max: 50_000,
            idle_after: Duration::from_secs(600),
            sweep_interval: Duration::from_secs(1),
            watched_sweep_interval: Duration::from_secs(6 * 60 * 60),
            watched_asked_interval: Duration::from_secs(150 * 60),
            sweep_batch_max: 100,
            syncs_at_once_max: 64,
            clean_up_interval: Duration::from_secs(600),
            restart_backoff_first: Duration::from_millis(100),
            restart_backoff_max: Duration::from_secs(60),
            accounts_cached_max: 10_000,
            hold_limits: HoldLimits::default(),
            address: String::new(),
            lease_ttl: Duration::from_secs(10),
            lease_renewal: Duration::from_millis(2_500),
            webhook_retry_waits: RETRY_WAITS.to_vec(),
            webhooks_at_once_max: 1_024,
            webhook_lease: Duration::from_secs(30),
            mails_at_once_max: 4,
            mail_lease: Duration::from_secs(30),
        }
    }
}

/// All a scheduler needs.
#[derive(Clone)]
pub struct SchedulerParts {
    /// The durable store.
    pub store: Arc<dyn Store>,
    /// Where facts are published besides this process.
    pub cache: Arc<dyn FactCache>,
    /// The buckets by which requests to providers are limited.
    pub quotas: Arc<dyn Quotas>,
    /// The providers.
    pub providers: Providers,
    /// This node's clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The way to other nodes; `None`: this one is alone, and owns everything.
    pub peers: Option<Arc<dyn Peers>>,
    /// What it takes to tell endpoints of what happens; `None`: they are not told.
    pub webhooks: Option<Webhooks>,
    /// What it takes to do what follows from bookings; `None`: it waits.
    pub jobs: Option<Jobs>,
    /// Where providers ring; `None`: nowhere, and calendars are polled.
    pub doorbells: Option<Doorbells>,
    /// What it takes to act for people who consented; `None`: access tokens are used as they are.
    pub oauth: Option<Oauth>,
    /// Limits and rhythms.
    pub settings: SchedulerSettings,
}

impl SchedulerParts {
    /// For accounts of which modes mails are made.
    pub(crate) fn mail_for(&self) -> MailFor {
        let mailer = self.jobs.as_ref().and_then(|jobs| jobs.mailer.as_ref());
        mailer.map_or(MailFor::NOBODY, |mailer| mailer.mails_for())
    }
}

/// Why a scheduler did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store did not serve.
    #[error("the store did not serve")]
    Store(#[from] StoreError),
    /// The supervisor did not start.
    #[error("the supervisor did not start: {0}")]
    Supervisor(String),
}

/// How fresh facts shall be, and how long to wait for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Facts older than this are renewed first; `None`: whatever is known will do.
    pub max_age: Option<MaxAge>,
    /// Longest wait, for waking and for renewing together.
    pub deadline: Duration,
}
