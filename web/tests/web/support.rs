//! Pages of their own for each test: a store in a temporary folder, a clock that stands still, one booking.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use agentcal_actors::{Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_engine::calendar::request::{
    BookRequest, ChangedBy, Choice, CommitAnswer, CommitKind, CommitRequest, Intent, Made, Meeting,
};
use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ConnectionId, EventTypeId, OrganizationId, UserId, mint_uuid,
};
use agentcal_engine::model::{
    Account, Attendee, AttendeePolicy, AvailabilityRules, Booking, BufferMode, Calendar, Connection, ConnectionStatus,
    EventType, FollowUp, Mode, OnStale, Organization, ProviderKind, SchedulingMode, Tenant, User, Watch, WatchState,
};
use agentcal_engine::ports::{
    BookingStore, Clock, ConfigStore, ConnectionStore, Credentials, Entropy, Store, TenantStore, Write,
};
use agentcal_engine::signed::{ManageLink, SigningKeys};
use agentcal_engine::time::Timestamp;
use agentcal_provider_sandbox::{Fault, FaultScope, SandboxProvider, SandboxSettings, WORK};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use agentcal_web::{WebParts, WebSettings, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use chrono::DateTime;
use chrono_tz::Tz;
use tempfile::TempDir;
use tower::ServiceExt;
use zeroize::Zeroizing;

/// Where the clock stands: Monday, 2026-11-23, 08:00 in Berlin.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_795_417_200);
/// When the booking is: Tuesday, 09:00 in Berlin.
pub(crate) const BOOKED: &str = "2026-11-24T08:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
}

/// A clock that moves when told.
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    pub(crate) fn advance(&self, hours: u64) {
        let micros = Duration::from_secs(hours * 3_600).as_micros();
        self.0.fetch_add(i64::try_from(micros).unwrap(), Ordering::SeqCst);
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

/// What a test wants to be otherwise.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) title: &'static str,
    pub(crate) location: Option<&'static str>,
    pub(crate) attendee: &'static str,
    pub(crate) zone: Option<Tz>,
    pub(crate) policy: AttendeePolicy,
    pub(crate) public_url: &'static str,
    /// Whether the host also reads a calendar that cannot be reached once the booking is made.
    pub(crate) loses_calendar: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            title: "Check-up",
            location: Some("Room 4"),
            attendee: "Tom",
            zone: None,
            policy: AttendeePolicy::default(),
            public_url: "https://book.example",
            loses_calendar: false,
        }
    }
}

/// The pages, and one booking.
pub(crate) struct World {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) scheduler: Scheduler,
    pub(crate) signing: Arc<SigningKeys>,
    pub(crate) event_type_id: EventTypeId,
    pub(crate) booking_id: BookingId,
    pub(crate) account_id: AccountId,
    /// The page of the booking.
    pub(crate) path: String,
    pub(crate) router: Router,
    tenant: Tenant,
    entropy: Arc<dyn Entropy>,
    user_id: UserId,
    setup: Setup,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(START.as_micros())));
        let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy(AtomicU64::new(1)));
        let store = Arc::new(open(&folder, &clock, &entropy).await);
        let sandbox =
            SandboxProvider::new(Arc::clone(&store) as _, Arc::clone(&clock) as _, SandboxSettings::default());
        let faults = sandbox.faults();
        let parts = SchedulerParts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            cache: Arc::new(MemoryFactCache::default()),
            quotas: Arc::new(MemoryQuotas::new(Arc::clone(&clock) as _)),
            providers: Providers::new().with(Arc::new(sandbox)),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy),
            doorbells: None,
            peers: None,
            webhooks: None,
            jobs: None,
            oauth: None,
            settings: SchedulerSettings::default(),
        };
        let scheduler = Scheduler::start(parts).await.unwrap();
        let signing = Arc::new(SigningKeys::new(Zeroizing::new([7; 32]), []));
        // What is there is waited for, however busy the machine is; what never comes, not for long.
        let facts_deadline = Duration::from_millis(if setup.loses_calendar { 300 } else { 60_000 });
        let router = router(WebParts {
            store: Arc::clone(&store) as _,
            scheduler: scheduler.clone(),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::clone(&entropy),
            signing: Arc::clone(&signing),
            public_url: setup.public_url.to_owned(),
            settings: WebSettings { facts_deadline, ..WebSettings::default() },
        });
        let tenant = tenant(&store, entropy.as_ref()).await;
        let mut world = Self {
            event_type_id: EventTypeId::mint(START, entropy.as_ref()),
            booking_id: BookingId::mint(START, entropy.as_ref()),
            account_id: tenant.account_id,
            path: String::new(),
            store,
            clock,
            scheduler,
            signing,
            router,
            tenant,
            user_id: UserId::mint(START, entropy.as_ref()),
            entropy,
            setup,
            _folder: folder,
        };
        world.host().await;
        world.event_type().await;
        world.book(world.booking_id, BOOKED).await;
        if world.setup.loses_calendar {
            faults.fail(FaultScope::All, Fault::Unavailable);
            world.lose_calendar().await;
        }
        world.path = world.path_of(world.booking_id);
        world
    }

    /// Books another time, as somebody with a key would.
    pub(crate) async fn book_other(&self, start: &str) {
        self.book(BookingId::mint(START, self.entropy.as_ref()), start).await;
    }

    /// Cancels the booking, as somebody with a key would.
    pub(crate) async fn cancel(&self) {
        let kind = CommitKind::Cancel { booking_id: self.booking_id, reason: None, by: ChangedBy::Key };
        let answer = self.commit(kind).await;
        assert!(matches!(answer, CommitAnswer::Committed(_)), "{answer:?}");
    }

    /// Changes how long ahead one must book.
    pub(crate) async fn require_notice(&self, hours: u32) {
        let config = self.scheduler.config(self.account_id).await.unwrap().unwrap();
        let event_type = EventType { min_notice_hours: hours, ..config.event_types[0].0.clone() };
        let write = self.store.update_event_type(&self.tenant, &event_type, config.config_revision, None).await;
        assert_eq!(write.unwrap(), Write::Done);
        self.scheduler.config_changed(self.account_id).await;
    }

    /// The booking as the store has it.
    pub(crate) async fn booking(&self) -> Booking {
        self.store.booking(self.account_id, self.booking_id).await.unwrap().unwrap().booking
    }

    pub(crate) fn path_of(&self, booking_id: BookingId) -> String {
        let link = ManageLink { account_id: self.account_id, booking_id };
        format!("/manage/{}", link.token(&self.signing))
    }

    pub(crate) async fn get(&self, tail: &str) -> Page {
        self.send(Method::GET, &format!("{}{tail}", self.path), None).await
    }

    pub(crate) async fn post(&self, tail: &str, form: &str) -> Page {
        self.send(Method::POST, &format!("{}{tail}", self.path), Some(form)).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, form: Option<&str>) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        if form.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        self.ask(request.body(Body::from(form.unwrap_or_default().to_owned())).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Page {
        let is_head = request.method() == Method::HEAD;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let page = Page {
            status: parts.status.as_u16(),
            headers: parts.headers,
            // Slashes are escaped too; for reading they need not be.
            text: String::from_utf8(bytes.to_vec()).unwrap().replace("&#x2f;", "/"),
        };
        assert_is_guarded(&page.headers);
        if !is_head && !(300..400).contains(&page.status) {
            assert_is_whole(&page.headers, &page.text);
        }
        page
    }

    async fn book(&self, booking_id: BookingId, start: &str) {
        let kind = CommitKind::Book(BookRequest {
            booking_id,
            meeting: Meeting::EventType(self.event_type_id),
            choice: Choice::Offered(vec![self.user_id]),
            start: at(start),
            attendee: Attendee {
                name: self.setup.attendee.to_owned(),
                email: None,
                phone: None,
                timezone: self.setup.zone,
            },
            metadata: serde_json::Map::new(),
        });
        let answer = self.commit(kind).await;
        assert!(matches!(answer, CommitAnswer::Committed(Made::Booking(_))), "{answer:?}");
    }

    async fn commit(&self, kind: CommitKind) -> CommitAnswer {
        let request = CommitRequest {
            commit_id: mint_uuid(START, self.entropy.as_ref()),
            tenant: self.tenant,
            kind,
            intent: Intent::Commit,
            idempotency: None,
            deadline: self.clock.now() + Duration::from_secs(8),
        };
        self.scheduler.commit(request).await
    }

    async fn host(&self) {
        let user = self.user();
        let rules = AvailabilityRules::office_hours(user.timezone);
        assert_eq!(self.store.create_user(&self.tenant, &user, &rules, None).await.unwrap(), Write::Done);
        self.scheduler.config_changed(self.account_id).await;
    }

    fn user(&self) -> User {
        User {
            id: self.user_id,
            account_id: self.account_id,
            name: "Dr. Sarah Ødegård".to_owned(),
            email: "sarah@example.com".to_owned(),
            timezone: chrono_tz::Europe::Berlin,
            calendar_id: None,
            home_calendar_id: CalendarId::mint(START, self.entropy.as_ref()),
            busy_calendar_ids: Vec::new(),
            created_at: START,
        }
    }

    async fn event_type(&self) {
        let event_type = EventType {
            id: self.event_type_id,
            account_id: self.account_id,
            name: self.setup.title.to_owned(),
            slug: "checkup".to_owned(),
            duration_minutes: 30,
            slot_interval_minutes: 30,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            buffer_mode: BufferMode::Larger,
            min_notice_hours: 0,
            booking_window_days: 60,
            max_bookings_per_day: None,
            user_ids: vec![self.user_id],
            scheduling_mode: SchedulingMode::Individual,
            public: true,
            location: self.setup.location.map(str::to_owned),
            require_slot_id: true,
            conference: None,
            on_stale: OnStale::Verify,
            attendee_policy: self.setup.policy,
            follow_up: FollowUp::default(),
            created_at: START,
        };
        let write = self.store.create_event_type(&self.tenant, &event_type, None).await.unwrap();
        assert_eq!(write, Write::Done);
        self.scheduler.config_changed(self.account_id).await;
    }

    /// From now on the host also reads a calendar that nobody can reach.
    async fn lose_calendar(&self) {
        let connection_id = ConnectionId::mint(START, self.entropy.as_ref());
        let connection = Connection {
            id: connection_id,
            account_id: self.account_id,
            provider: ProviderKind::Sandbox,
            display_name: "sandbox".to_owned(),
            owner_addresses: Vec::new(),
            status: ConnectionStatus::Syncing,
            status_reason: None,
            created_at: START,
        };
        let calendar = Calendar {
            id: CalendarId::mint(START, self.entropy.as_ref()),
            account_id: self.account_id,
            connection_id: Some(connection_id),
            provider: ProviderKind::Sandbox,
            provider_calendar_id: WORK.to_owned(),
            name: "Work".to_owned(),
            timezone: chrono_tz::Europe::Berlin,
            writable: true,
            watch: Watch { state: WatchState::None, expires_at: None },
            last_synced_at: None,
            created_at: START,
        };
        let credentials = Credentials::Sandbox { seed: 1 };
        let calendars = [calendar];
        self.store.create_connection(&self.tenant, &connection, &credentials, &calendars, None).await.unwrap();
        self.scheduler.config_changed(self.account_id).await;
        let config = self.scheduler.config(self.account_id).await.unwrap().unwrap();
        let user = User { busy_calendar_ids: vec![calendars[0].id], ..User::clone(&config.users[0].0) };
        let write = self.store.update_user(&self.tenant, &user, config.config_revision, None).await;
        assert_eq!(write.unwrap(), Write::Done);
        self.scheduler.config_changed(self.account_id).await;
    }
}

/// A page, read whole.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.text.contains(word), "no {word:?} in {}", self.text);
        }
        self
    }

    #[track_caller]
    pub(crate) fn hides(self, words: &[&str]) -> Self {
        for word in words {
            assert!(!self.text.contains(word), "{word:?} in {}", self.text);
        }
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The instants that are offered, in order.
    pub(crate) fn offered(&self) -> Vec<String> {
        let parts = self.text.split("name=\"start\" value=\"").skip(1);
        parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
    }
}

/// Panics unless the answer keeps the link to itself.
#[track_caller]
pub(crate) fn assert_is_guarded(headers: &HeaderMap) {
    let is =
        |name: &str, value: &str| assert_eq!(headers.get(name).map(|value| value.as_bytes()), Some(value.as_bytes()));
    is("cache-control", "no-store");
    is("referrer-policy", "no-referrer");
    is("x-content-type-options", "nosniff");
    is("x-robots-tag", "noindex, nofollow");
}

/// Panics unless this is a page that everybody can use.
#[track_caller]
pub(crate) fn assert_is_whole(headers: &HeaderMap, text: &str) {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(header("content-type"), "text/html; charset=utf-8", "{text}");
    assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{text}");
    assert!(!text.contains("<title></title>"), "{text}");
    for (tag, count) in [("<title>", 1), ("<h1>", 1), ("<main>", 1), ("<style>", 1), ("<script", 0), ("<img", 0)] {
        assert_eq!(text.matches(tag).count(), count, "{tag} in {text}");
    }
    assert!(!text.contains(" style=\"") && !text.contains("href=\"javascript:"), "{text}");
    assert_eq!(text.matches("<fieldset>").count(), text.matches("<legend>").count(), "{text}");
}

async fn open(folder: &TempDir, clock: &Arc<TestClock>, entropy: &Arc<dyn Entropy>) -> SqliteStore {
    let options = OpenOptions {
        path: folder.path().join("agentcal.db"),
        keyring: Arc::new(KeyRing::generate("test", entropy.as_ref())),
        entropy: Arc::clone(entropy),
        clock: Arc::clone(clock) as _,
    };
    let store = SqliteStore::open(options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn tenant(store: &SqliteStore, entropy: &dyn Entropy) -> Tenant {
    let organization_id = OrganizationId::mint(START, entropy);
    let organization = Organization { id: organization_id, name: "Org".to_owned(), created_at: START };
    store.create_organization(&organization).await.unwrap();
    let account = Account {
        id: AccountId::mint(START, entropy),
        organization_id,
        mode: Mode::Test,
        name: "Dental".to_owned(),
        timezone: None,
        metadata: serde_json::Map::new(),
        created_at: START,
    };
    store.create_account(&account, None).await.unwrap();
    Tenant { organization_id, mode: Mode::Test, account_id: account.id }
}
