//! Putting a node together: the one place that names stores, caches and providers.

pub(crate) mod neighbours;
pub(crate) mod skew;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::{
    Doorbells, Jobs, Oauth, Providers, Relay, Scheduler, SchedulerParts, SchedulerSettings, StartError, Webhooks,
};
use agentcal_api::{ApiParts, ApiSettings, MailSettings, OauthSettings, Readiness};
use agentcal_delivery_mail::Outbox;
use agentcal_delivery_webhooks::{HttpWebhookSender, Svix, SvixOptions, WebhookSenderOptions};
use agentcal_engine::commit::HoldLimits;
use agentcal_engine::ports::{
    Clock, Entropy, FactCache, MailShelf, Mailer, OauthStore, Peers, Quotas, Store, StoreError,
};
use agentcal_engine::signed::SigningKeys;
use agentcal_peers::{Guard, HttpPeers, PeersError, PeersParts, PeersSettings, RouterParts, Unreachable};
use agentcal_provider_caldav::{CaldavOptions, CaldavProvider};
use agentcal_provider_egress::EgressError;
use agentcal_provider_google::{GoogleOptions, GoogleProvider};
use agentcal_provider_microsoft::{MicrosoftError, MicrosoftOptions, MicrosoftProvider};
use agentcal_provider_oauth::{OauthError, OauthServers};
use agentcal_provider_sandbox::{SandboxProvider, SandboxSettings};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use agentcal_store_redis::{ConfigError as RedisConfigError, RedisConfig, RedisFactCache};
use agentcal_web::{WebParts, WebSettings};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::{OsEntropy, SystemClock};
use crate::config::{
    CaldavConfig, DatabaseConfig, LimitsConfig, MailConfig, PeersConfig, SecretText, SvixConfig, VendorsConfig,
    WebhooksConfig,
};
use crate::durable::Durable;
use crate::looks::Looks;
use crate::mail::{Links, Postman};
use crate::shelf::Shelf;
use skew::{Skew, Weight};

/// Name of the database in a data folder.
pub(crate) const DATABASE_FILE: &str = "agentcal.db";
/// Name of the folder of mails that are not sent, in a data folder.
pub(crate) const OUTBOX_FOLDER: &str = "outbox";
/// Name of the key ring in a data folder.
pub(crate) const KEYRING_FILE: &str = "keyring";

/// Most requests of other nodes at work at once.
const PEER_REQUESTS_MAX: usize = 4_096;

/// Longest wait for Redis to be asked for its settings.
const REDIS_READY_MAX: Duration = Duration::from_secs(60);

/// Why a node was not put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    /// There is no database file.
    #[error("there is no database {}; run `agentcal migrate` to make it", .0.display())]
    NoDatabase(PathBuf),
    /// The schema is older than this program.
    #[error("the database lacks {0} migrations of this version; run `agentcal migrate`, then start again")]
    SchemaBehind(usize),
    /// The schema is older than this program, and cannot be brought up to date yet.
    #[error(
        "the database lacks {0} migrations of this version, and they need the extension {1}, which is missing: install it \
         on the server, or have an administrator create it; then run `agentcal migrate`"
    )]
    MissingExtension(usize, &'static str),
    /// The schema is newer than this program.
    #[error("the database was migrated by a newer version of agentcal; start that version instead")]
    SchemaAhead,
    /// The database would lose acknowledged bookings, or has no room for any.
    #[error("the database would not keep bookings: {0}")]
    NotDurable(String),
    /// This machine's clock, or the database's, is wrong.
    #[error("this machine's clock is {0} the database's, too much to serve: have a time service set both")]
    Clock(Skew),
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
    /// The Redis client could not be made.
    #[error("failed to make the Redis client")]
    Redis(#[from] RedisConfigError),
    /// The client for other nodes could not be made.
    #[error("failed to make the client for other nodes")]
    Peers(#[from] PeersError),
    /// The folder of mails that are not sent could not be made.
    #[error("failed to make the outbox folder")]
    Outbox(#[source] std::io::Error),
    /// A client for calendars or webhooks could not be made.
    #[error("failed to make the clients for calendar providers and webhooks")]
    Egress(#[from] EgressError),
    /// Microsoft 365 cannot be spoken to.
    #[error("failed to make the client for Microsoft 365")]
    Microsoft(#[from] MicrosoftError),
    /// Identity servers cannot be spoken to.
    #[error("failed to make the clients for identity servers")]
    Oauth(#[from] OauthError),
}

/// What a node is made of, besides its store.
pub(crate) struct Plan {
    /// How it speaks to CalDAV servers.
    pub(crate) caldav: CaldavConfig,
    /// Where Google and Microsoft 365 are, and who it is to them.
    pub(crate) vendors: VendorsConfig,
    /// How it tells webhook endpoints.
    pub(crate) webhooks: WebhooksConfig,
    /// How mails leave; `None`: not at all.
    pub(crate) mail: Option<MailConfig>,
    /// The Redis server facts are cached on; `None`: in the process.
    pub(crate) redis_url: Option<SecretText>,
    /// How it and other nodes reach and know each other; `None`: it is alone.
    pub(crate) cluster: Option<Cluster>,
    /// Most live holds.
    pub(crate) holds: HoldLimits,
    /// How often keys may ask.
    pub(crate) limits: LimitsConfig,
    /// How sandbox calendars behave.
    pub(crate) sandbox: SandboxSettings,
    /// What callers reach the api at.
    pub(crate) public_url: String,
    /// The folder of mails that are not sent, if its pages are served.
    pub(crate) outbox: Option<PathBuf>,
    /// Whether this is `agentcal dev`.
    pub(crate) dev: bool,
    /// Renders the metrics.
    pub(crate) metrics: PrometheusHandle,
    /// What offers and attendees' links are signed with.
    pub(crate) signing: Arc<SigningKeys>,
}

/// A node among others.
pub(crate) struct Cluster {
    /// Base URL at which the others reach its internal listener.
    pub(crate) address: String,
    /// How they know each other.
    pub(crate) peers: PeersConfig,
}

impl Cluster {
    /// Who may ask this node as a node.
    fn guard(&self) -> Guard {
        if self.peers.tls.is_some() { Guard::MutualTls } else { Guard::Secrets(self.peers.secrets.clone()) }
    }

    /// The same, to be shared.
    fn client(&self, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<Arc<HttpPeers>, PeersError> {
        Self::peers(&self.peers, Arc::clone(clock), Arc::clone(entropy)).map(Arc::new)
    }

    /// How other nodes are asked.
    pub(crate) fn peers(
        config: &PeersConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<HttpPeers, PeersError> {
        let (secret, tls) = (config.secrets.first().cloned(), config.tls.clone());
        HttpPeers::new(PeersParts { clock, entropy, secret, tls, settings: PeersSettings::default() })
    }
}

/// A node that works, and answers as soon as it is listened to.
pub(crate) struct Node {
    /// Everything that moves.
    pub(crate) scheduler: Scheduler,
    /// What the api is made of.
    pub(crate) api: ApiParts,
    /// What attendees' pages are made of.
    pub(crate) web: WebParts,
    /// The mails that are not sent, if their pages are served.
    shelf: Option<Arc<dyn MailShelf>>,
    /// Who may ask it as a node.
    guard: Option<Guard>,
    /// How it asks other nodes; `None`: it is alone.
    peers: Option<Arc<HttpPeers>>,
    /// Whether it should be sent requests; not at first.
    pub(crate) readiness: Readiness,
}

impl Node {
    /// What the public listener answers with: the api, the pages attendees' links lead to, and the outbox where it is shown.
    pub(crate) fn public_router(&self) -> Router {
        let router = agentcal_api::router(self.api.clone()).merge(agentcal_web::router(self.web.clone()));
        match &self.shelf {
            Some(shelf) => router.merge(agentcal_web::outbox_router(Arc::clone(shelf))),
            None => router,
        }
    }

    /// Begins to ask the nodes, once, and says which of them cannot be asked.
    pub(crate) fn look_around(&self) {
        let Some(peers) = self.peers.clone() else { return };
        let (me, nodes) = (self.scheduler.node().id, self.scheduler.nodes());
        tokio::spawn(async move {
            for (node, why) in neighbours::unreachable(&peers, &nodes).await {
                // Whether a node reaches itself is nobody's concern; who answers in its place is.
                if node.id != me || why == Unreachable::Another {
                    tracing::warn!(address = node.address, %why, "a node lives, by its lease, and cannot be asked");
                }
            }
        });
    }

    /// Whether other nodes live that requests can be sent to instead, as far as this one knows.
    pub(crate) fn has_others(&self) -> bool {
        let me = self.scheduler.node().id;
        self.scheduler.nodes().iter().any(|node| node.id != me && !node.is_draining)
    }

    /// What the internal listener answers with: metrics and probes, and what other nodes ask.
    pub(crate) fn internal_router(&self) -> Router {
        let router = agentcal_api::internal_router(self.api.clone());
        let Some(guard) = self.guard.clone() else { return router };
        router.merge(agentcal_peers::router(RouterParts {
            owner: Arc::new(self.scheduler.clone()),
            guard,
            clock: Arc::clone(&self.api.clock),
            entropy: Arc::clone(&self.api.entropy),
            in_flight_max: PEER_REQUESTS_MAX,
        }))
    }
}

/// Refuses a file that is not there; opening it would make it.
pub(crate) fn require_database(database: &DatabaseConfig) -> Result<(), BootError> {
    match database {
        DatabaseConfig::Sqlite { path } if !path.is_file() => Err(BootError::NoDatabase(path.clone())),
        _ => Ok(()),
    }
}

/// Refuses a database whose schema is not this program's.
pub(crate) async fn require_current_schema(store: &Durable) -> Result<(), BootError> {
    let schema = store.schema().await?;
    if schema.is_ahead {
        return Err(BootError::SchemaAhead);
    }
    match (schema.pending.len(), schema.missing_extension) {
        (0, _) => Ok(()),
        (behind, None) => Err(BootError::SchemaBehind(behind)),
        (behind, Some(extension)) => Err(BootError::MissingExtension(behind, extension)),
    }
}

/// Refuses a database that would not keep what it acknowledges; what is merely unwise is said.
pub(crate) async fn require_durability(store: &Durable) -> Result<(), BootError> {
    let durability = store.durability().await?;
    for remark in &durability.remarks {
        tracing::warn!(remark, "the database should be set up otherwise");
    }
    if durability.fatal.is_empty() { Ok(()) } else { Err(BootError::NotDurable(durability.fatal.join("; "))) }
}

/// Refuses a clock too far from the database's, by which leases and holds end; one that is merely wrong is said.
pub(crate) async fn require_clock(store: &Durable) -> Result<(), BootError> {
    let Some(skew) = store.skew().await.transpose()? else { return Ok(()) };
    match skew.weight() {
        Weight::Little => Ok(()),
        Weight::Much => {
            tracing::warn!("this machine's clock is {skew} the database's: have a time service set both");
            Ok(())
        }
        Weight::TooMuch => Err(BootError::Clock(skew)),
    }
}

/// Refuses keys that do not open what is stored. A database without tenants is opened by any.
pub(crate) async fn require_right_keys(store: &Durable) -> Result<(), BootError> {
    let unreadable = store.unreadable_key_ids().await?;
    if unreadable.is_empty() { Ok(()) } else { Err(BootError::WrongKeys(unreadable.join(", "))) }
}

/// Starts everything but listening.
pub(crate) async fn start(store: &Durable, plan: Plan) -> Result<Node, BootError> {
    let webhooks = webhooks(store, &plan.webhooks)?;
    let (job_store, mail_settings) = (store.jobs(), store.mail_settings());
    let (oauth_store, store) = (store.oauth(), store.port());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let providers = providers(&store, &clock, &entropy, &plan)?;
    let peers = plan.cluster.as_ref().map(|cluster| cluster.client(&clock, &entropy)).transpose()?;
    let address = plan.cluster.as_ref().map(|cluster| cluster.address.clone()).unwrap_or_default();
    let oauth = oauth(oauth_store, &plan.vendors, &clock)?;
    let looks = Arc::new(Looks::new(Arc::clone(&mail_settings)));
    let mailer = mailer(&plan, &looks, &entropy)?;
    let (cache, quotas) = shared(plan.redis_url.as_ref(), &clock)?;
    let scheduler = Scheduler::start(SchedulerParts {
        store: Arc::clone(&store),
        cache,
        quotas: Arc::clone(&quotas),
        peers: peers.clone().map(|peers| peers as Arc<dyn Peers>),
        providers: providers.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        webhooks: Some(webhooks.clone()),
        jobs: Some(Jobs { store: Arc::clone(&job_store), mailer }),
        doorbells: doorbells(&plan),
        oauth: Some(oauth.clone()),
        settings: SchedulerSettings {
            hold_limits: plan.holds,
            address,
            webhook_retry_waits: plan.webhooks.retry_waits,
            ..SchedulerSettings::default()
        },
    })
    .await?;
    let readiness = Readiness::new();
    let api_settings = ApiSettings {
        public_url: plan.public_url.clone(),
        dev: plan.dev,
        key_rate: plan.limits.key,
        ..ApiSettings::default()
    };
    let web = WebParts {
        store: Arc::clone(&store),
        scheduler: scheduler.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        signing: Arc::clone(&plan.signing),
        public_url: plan.public_url,
        settings: WebSettings::default(),
    };
    let api = ApiParts {
        store,
        scheduler: scheduler.clone(),
        quotas,
        providers,
        clock,
        entropy,
        signing: plan.signing,
        webhooks: Some(webhooks),
        jobs: Some(job_store),
        mail: Some(MailSettings { store: mail_settings, press: looks }),
        oauth: Some(oauth_settings(oauth, plan.vendors)),
        settings: api_settings,
        metrics: Some(plan.metrics),
        readiness: readiness.clone(),
    };
    let guard = plan.cluster.as_ref().map(Cluster::guard);
    let shelf = plan.outbox.as_deref().map(shelf).transpose()?;
    Ok(Node { scheduler, api, web, shelf, guard, peers, readiness })
}

fn shelf(folder: &Path) -> Result<Arc<dyn MailShelf>, BootError> {
    Ok(Arc::new(Shelf(Outbox::open(folder).map_err(BootError::Outbox)?)))
}

/// What endpoints are told by: ourselves, or Svix.
fn webhooks(store: &Durable, config: &WebhooksConfig) -> Result<Webhooks, EgressError> {
    let sender = Arc::new(webhook_sender(config)?);
    let service = config.svix.as_ref().map(svix).transpose()?;
    let relay = service.map(|service| Relay { store: store.relays(), service: Arc::new(service) });
    Ok(Webhooks { store: store.webhooks(), sender, relay })
}

fn webhook_sender(config: &WebhooksConfig) -> Result<HttpWebhookSender, EgressError> {
    HttpWebhookSender::new(WebhookSenderOptions { policy: config.policy.clone(), dns: config.dns_server })
}

/// The service that delivers webhooks in our place.
pub(crate) fn svix(config: &SvixConfig) -> Result<Svix, EgressError> {
    let token = config.token.said().unwrap_or_default().to_owned();
    Svix::new(SvixOptions { url: config.url.clone(), token })
}

/// The way out for mails.
fn mailer(plan: &Plan, looks: &Arc<Looks>, entropy: &Arc<dyn Entropy>) -> Result<Option<Arc<dyn Mailer>>, BootError> {
    let Some(config) = plan.mail.clone() else { return Ok(None) };
    let links = Links { signing: Arc::clone(&plan.signing), public_url: plan.public_url.clone() };
    let postman = Postman::new(config, links, Arc::clone(looks), Arc::clone(entropy)).map_err(BootError::Outbox)?;
    Ok(Some(Arc::new(postman)))
}

/// What nodes share besides the store.
type Shared = (Arc<dyn FactCache>, Arc<dyn Quotas>);

/// Where facts are published, and what limits requests. A Redis server that is away is no reason not to start: it is
/// losable at any time.
fn shared(redis_url: Option<&SecretText>, clock: &Arc<dyn Clock>) -> Result<Shared, BootError> {
    let alone: Arc<dyn Quotas> = Arc::new(MemoryQuotas::new(Arc::clone(clock)));
    let Some(url) = redis_url.and_then(SecretText::said) else {
        return Ok((Arc::new(MemoryFactCache::default()), alone));
    };
    let cache = RedisFactCache::connect(&RedisConfig::at(url))?;
    tokio::spawn(say_what_hurts(cache.clone()));
    let quotas = Arc::new(cache.quotas(alone));
    Ok((Arc::new(cache), quotas))
}

/// Says what in the settings of Redis hurts. One that is away says so itself, by not answering.
async fn say_what_hurts(cache: RedisFactCache) {
    if cache.ready(REDIS_READY_MAX).await.is_err() {
        return;
    }
    for remark in cache.health().await.map(|health| health.remarks).unwrap_or_default() {
        tracing::warn!(remark, "Redis should be set up otherwise");
    }
    match Skew::measure(|| cache.server_now()).await {
        Ok(skew) if skew.weight() != Weight::Little => {
            tracing::warn!("this machine's clock is {skew} that of Redis: have a time service set both");
        }
        Ok(_) | Err(_) => {}
    }
}

fn providers(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    plan: &Plan,
) -> Result<Providers, BootError> {
    let sandbox = SandboxProvider::new(Arc::clone(store) as _, Arc::clone(clock), plan.sandbox);
    let CaldavConfig { policy, dns_server, poll_min, poll_max } = plan.caldav.clone();
    let caldav = CaldavProvider::new(CaldavOptions { egress: policy, poll_min, poll_max, dns: dns_server })?;
    let google = GoogleProvider::new(google_options(&plan.vendors, entropy))?;
    let microsoft = MicrosoftProvider::new(microsoft_options(&plan.vendors), Arc::clone(clock))?;
    let providers = Providers::new().with(Arc::new(sandbox)).with(Arc::new(caldav));
    Ok(providers.with(Arc::new(google)).with(Arc::new(microsoft)))
}

/// Identity servers, and what is kept of them.
fn oauth(store: Arc<dyn OauthStore>, vendors: &VendorsConfig, clock: &Arc<dyn Clock>) -> Result<Oauth, OauthError> {
    let issuer = Arc::new(OauthServers::new(vendors.oauth.clone(), Arc::clone(clock))?);
    Ok(Oauth { store, issuer })
}

fn oauth_settings(oauth: Oauth, vendors: VendorsConfig) -> OauthSettings {
    OauthSettings { store: oauth.store, issuer: oauth.issuer, redirect_urls: vendors.redirect_urls }
}

/// Google itself, or what stands in for it on this machine.
/// Where providers ring. Stand-ins on this machine, which are spoken to over http, ring there over http, too.
fn doorbells(plan: &Plan) -> Option<Doorbells> {
    let vendors = [&plan.vendors.google_api_url, &plan.vendors.microsoft_graph_url];
    let to_loopback = vendors.iter().any(|url| url.scheme() == "http");
    Doorbells::at(&plan.public_url, to_loopback, Arc::clone(&plan.signing))
}

fn google_options(vendors: &VendorsConfig, entropy: &Arc<dyn Entropy>) -> GoogleOptions {
    let url = vendors.google_api_url.clone();
    match url.scheme() {
        "http" => GoogleOptions::development(url, Arc::clone(entropy)),
        _ => GoogleOptions { api_url: url, ..GoogleOptions::production(Arc::clone(entropy)) },
    }
}

/// Microsoft Graph itself, or what stands in for it on this machine.
fn microsoft_options(vendors: &VendorsConfig) -> MicrosoftOptions {
    let url = vendors.microsoft_graph_url.clone();
    match url.scheme() {
        "http" => MicrosoftOptions::development(url),
        _ => MicrosoftOptions { graph_url: url, ..MicrosoftOptions::production() },
    }
}
