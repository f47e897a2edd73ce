//! The api under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use agentcal_actors::{Providers, Scheduler, SchedulerParts, SchedulerSettings, Webhooks};
use agentcal_api::{ApiParts, ApiSettings, MailSettings, OauthSettings, Readiness, key, router};
use agentcal_engine::ids::{KeyId, OrganizationId};
use agentcal_engine::model::{ApiKey, KeyKind, Mode, Organization};
use agentcal_engine::oauth::RedirectUrl;
use agentcal_engine::ports::{Clock, Entropy, Store, TenantStore};
use agentcal_engine::signed::SigningKeys;
use agentcal_engine::time::Timestamp;
use agentcal_provider_sandbox::{SandboxProvider, SandboxSettings};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use super::conforms::assert_conforms;
use super::{Reply, ScriptedIssuer, ScriptedPress, ScriptedProvider, ScriptedSender};

/// Where the clock stands: Monday, 2026-11-23, 08:00 in Berlin.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_795_417_200);

/// Where browsers of every organization may come back to.
pub(crate) const LISTED: &str = "https://app.example.com/done";

/// A clock that moves when told.
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("a short time"), Ordering::SeqCst);
    }
}

/// Chance from a counter (splitmix64).
struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ mixed >> 31).to_be_bytes()[..chunk.len()]);
        }
    }
}

/// An api of its own.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) scheduler: Scheduler,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) provider: Arc<ScriptedProvider>,
    pub(crate) sender: Arc<ScriptedSender>,
    pub(crate) issuer: Arc<ScriptedIssuer>,
    pub(crate) readiness: Readiness,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) signing: Arc<SigningKeys>,
    /// A test key of the organization everything belongs to.
    pub(crate) key: String,
    pub(crate) organization_id: OrganizationId,
    _folder: TempDir,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub(crate) async fn start_with(settings: ApiSettings) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let clock = Arc::new(TestClock(AtomicI64::new(START.as_micros())));
        let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy(AtomicU64::new(1)));
        let store = Arc::new(open(&folder, &clock, &entropy).await);
        let provider = Arc::new(ScriptedProvider::default());
        let sandbox =
            SandboxProvider::new(Arc::clone(&store) as _, Arc::clone(&clock) as _, SandboxSettings::default());
        let sender = Arc::new(ScriptedSender::default());
        let issuer = Arc::new(ScriptedIssuer::default());
        let webhooks = Webhooks { store: Arc::clone(&store) as _, sender: Arc::clone(&sender) as _, relay: None };
        let parts = SchedulerParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            cache: Arc::new(MemoryFactCache::default()),
            quotas: Arc::new(MemoryQuotas::new(Arc::clone(&clock) as _)),
            providers: Providers::new().with(Arc::clone(&provider) as _).with(Arc::new(sandbox)),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy),
            doorbells: None,
            peers: None,
            webhooks: Some(webhooks),
            jobs: None,
            oauth: None,
            settings: SchedulerSettings::default(),
        };
        let scheduler = Scheduler::start(parts.clone()).await.expect("a scheduler");
        let readiness = Readiness::new();
        let signing = Arc::new(KeyRing::generate("tokens", entropy.as_ref()).signing_keys());
        let router = router(ApiParts {
            store: parts.store,
            scheduler: scheduler.clone(),
            quotas: parts.quotas,
            providers: parts.providers,
            clock: parts.clock,
            entropy: Arc::clone(&entropy),
            signing: Arc::clone(&signing),
            webhooks: parts.webhooks,
            jobs: Some(Arc::clone(&store) as _),
            oauth: Some(OauthSettings {
                store: Arc::clone(&store) as _,
                issuer: Arc::clone(&issuer) as _,
                redirect_urls: vec![RedirectUrl::parse(LISTED).expect("an address")],
            }),
            mail: Some(MailSettings { store: Arc::clone(&store) as _, press: Arc::new(ScriptedPress) }),
            settings,
            metrics: None,
            readiness: readiness.clone(),
        });
        let organization_id = organization(&store, entropy.as_ref()).await;
        let mut app = Self {
            router,
            scheduler,
            store,
            clock,
            provider,
            sender,
            issuer,
            readiness,
            entropy,
            signing,
            key: String::new(),
            organization_id,
            _folder: folder,
        };
        app.key = app.new_key(organization_id, KeyKind::Secret, Mode::Test, &[]).await.0;
        app
    }

    /// Another organization, and a test key of it.
    pub(crate) async fn stranger(&self) -> String {
        let organization_id = organization(&self.store, self.entropy.as_ref()).await;
        self.new_key(organization_id, KeyKind::Secret, Mode::Test, &[]).await.0
    }

    pub(crate) async fn new_key(
        &self,
        organization_id: OrganizationId,
        kind: KeyKind,
        mode: Mode,
        allowed_origins: &[&str],
    ) -> (String, KeyId) {
        let minted = key::mint(kind, mode, self.entropy.as_ref());
        let id = KeyId::mint(START, self.entropy.as_ref());
        let row = ApiKey {
            id,
            organization_id,
            kind,
            mode,
            hash: minted.hash,
            hint: minted.hint,
            allowed_origins: allowed_origins.iter().map(|&origin| origin.to_owned()).collect(),
            created_at: START,
            revoked_at: None,
        };
        self.store.create_key(&row).await.expect("a key can be written");
        (minted.text, id)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_as(&self.key, method, path, body).await
    }

    pub(crate) async fn ask_as(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.ask_with(&[("authorization", &format!("Bearer {key}"))], method, path, body).await
    }

    /// With exactly these headers, and the body's type where there is a body.
    pub(crate) async fn ask_with(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).expect("a request")).await
    }

    /// Repeats a request under an idempotency key.
    pub(crate) async fn ask_keyed(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        let bearer = format!("Bearer {}", self.key);
        self.ask_with(&[("authorization", &bearer), ("idempotency-key", key)], method, path, body).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, text };
        assert!(reply.headers.contains_key("x-request-id"), "{}", reply.shown());
        assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", reply.shown());
        if reply.status >= 400 {
            reply.assert_is_problem();
        }
        assert_conforms(&method, &path, reply.status, &reply.headers, &reply.text);
        reply
    }
}

fn settings() -> ApiSettings {
    ApiSettings {
        // What comes is waited for, however busy the machine is; a question that shall wait for less says so.
        facts_deadline: Duration::from_secs(20),
        discover_deadline: Duration::from_secs(4),
        ..ApiSettings::default()
    }
}

async fn open(folder: &TempDir, clock: &Arc<TestClock>, entropy: &Arc<dyn Entropy>) -> SqliteStore {
    let options = OpenOptions {
        path: folder.path().join("agentcal.db"),
        keyring: Arc::new(KeyRing::generate("test", entropy.as_ref())),
        entropy: Arc::clone(entropy),
        clock: Arc::clone(clock) as _,
    };
    let store = SqliteStore::open(options).await.expect("a store");
    store.migrate().await.expect("migrations");
    store
}

async fn organization(store: &SqliteStore, entropy: &dyn Entropy) -> OrganizationId {
    let id = OrganizationId::mint(START, entropy);
    let organization = Organization { id, name: "Org".to_owned(), created_at: START };
    store.create_organization(&organization).await.expect("an organization");
    id
}
