//! What the api is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentcal_actors::{Providers, Scheduler, Webhooks};
use agentcal_engine::limits::Rate;
use agentcal_engine::oauth::RedirectUrl;
use agentcal_engine::ports::{
    Clock, Entropy, JobStore, MailPress, MailSettingsStore, OauthStore, Quotas, Store, TokenIssuer,
};
use agentcal_engine::signed::SigningKeys;
use metrics_exporter_prometheus::PrometheusHandle;

/// Requests of one key in a minute on end, unless said otherwise: what several nodes answer together with nothing else to
/// do. It stops what runs wild, and hardly anybody else.
pub const KEY_PER_MINUTE: u32 = 1_200_000;
/// Requests of one key at once, unless said otherwise: three seconds' worth.
pub const KEY_BURST: u32 = 60_000;

/// Where the api is reached, and how long it waits.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The URL callers use, without a slash at its end.
    pub public_url: String,
    /// Whether this is the developer's server: metrics are on the public listener, too.
    pub dev: bool,
    /// Longest time from a booking request to its answer.
    pub commit_deadline: Duration,
    /// Longest wait for facts that are missing or too old.
    pub facts_deadline: Duration,
    /// Longest wait for a provider while connecting.
    pub discover_deadline: Duration,
    /// Longest time from the end of a request's head to the beginning of its answer.
    pub request_deadline: Duration,
    /// How often one key may ask; `None`: as often as it likes.
    pub key_rate: Option<Rate>,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            dev: false,
            commit_deadline: Duration::from_secs(8),
            facts_deadline: Duration::from_secs(3),
            discover_deadline: Duration::from_secs(20),
            request_deadline: Duration::from_secs(30),
            key_rate: Some(Rate::per_minute(KEY_PER_MINUTE, KEY_BURST)),
        }
    }
}

/// Whether this process should be sent requests. Clones share one flag; it begins unready.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether `/readyz` answers 200 from now on.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// What was last said.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What it takes to say what mails look like.
#[derive(Clone)]
pub struct MailSettings {
    /// Where templates and branding are kept: the same store everything else is in.
    pub store: Arc<dyn MailSettingsStore>,
    /// Who makes mails of them.
    pub press: Arc<dyn MailPress>,
}

/// What it takes to connect by consent.
#[derive(Clone)]
pub struct OauthSettings {
    /// Where attempts and what organizations set are kept: the same store everything else is in.
    pub store: Arc<dyn OauthStore>,
    /// The way to the providers' identity servers.
    pub issuer: Arc<dyn TokenIssuer>,
    /// Addresses that browsers may come back to, whatever organization sent them.
    pub redirect_urls: Vec<RedirectUrl>,
}

/// All the api needs.
#[derive(Clone)]
pub struct ApiParts {
    /// The durable store.
    pub store: Arc<dyn Store>,
    /// Everything that moves.
    pub scheduler: Scheduler,
    /// The buckets by which keys are limited.
    pub quotas: Arc<dyn Quotas>,
    /// The calendar providers, for connecting.
    pub providers: Providers,
    /// This node's clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// What offers and attendees' links are signed with.
    pub signing: Arc<SigningKeys>,
    /// Where webhooks are kept, and the way out to them; `None`: there is no way out, as in simulations.
    pub webhooks: Option<Webhooks>,
    /// What follows from bookings; `None`: nothing does here, as in simulations.
    pub jobs: Option<Arc<dyn JobStore>>,
    /// What mails look like; `None`: nothing is known of mail here, as in simulations.
    pub mail: Option<MailSettings>,
    /// What it takes to connect by consent; `None`: nobody can, as in simulations.
    pub oauth: Option<OauthSettings>,
    /// Where the api is reached, and how long it waits.
    pub settings: ApiSettings,
    /// Renders the metrics; `None` where no recorder is installed.
    pub metrics: Option<PrometheusHandle>,
    /// Whether to send requests here.
    pub readiness: Readiness,
}
