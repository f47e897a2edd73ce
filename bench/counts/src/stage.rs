//! The api in this process, warm: one person with a synced sandbox calendar, and a clock that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentcal_actors::{Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_api::{ApiParts, ApiSettings, Readiness, key, router};
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use agentcal_engine::model::{
    Account, ApiKey, AttendeePolicy, AvailabilityRules, BufferMode, Calendar, Connection, ConnectionStatus, EventType,
    FollowUp, KeyKind, Mode, OnStale, Organization, ProviderKind, SchedulingMode, Tenant, User, Watch, WatchState,
};
use agentcal_engine::ports::{Clock, Credentials, Entropy, Quotas, SandboxEvent, Store, Write};
use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_provider_sandbox::{HOLIDAYS, SandboxProvider, SandboxSettings};
use agentcal_sim_store::Disk;
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use agentcal_store_vault::KeyRing;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode};
use chrono_tz::Tz;
use tower::ServiceExt;

/// Where the clock stands: a Monday, 2026-11-30, at midnight by UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_996_800);
/// Busy intervals of the person in the sixty days that follow.
const BUSY_INTERVALS: i64 = 200;
const SYNC_WITHIN: Duration = Duration::from_secs(60);
/// Requests after which the tasks beside them have their turn.
const YIELD_EVERY: u64 = 10;
const ZONE: Tz = Tz::Europe__Berlin;

/// A router that can be asked.
pub(crate) struct Stage {
    router: Router,
    key: String,
    path: String,
}

impl Stage {
    /// Builds it over a store in memory, and waits until everything is warm.
    pub(crate) async fn build() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let entropy: Arc<dyn Entropy> = Arc::new(Counter::default());
        let disk = Disk::new(Arc::clone(&clock), Arc::clone(&entropy));
        let store: Arc<dyn Store> = Arc::new(disk.connect());
        let (key, config) = populate(store.as_ref(), entropy.as_ref()).await;
        let sandbox = SandboxProvider::new(Arc::clone(&store) as _, Arc::clone(&clock), SandboxSettings::default());
        let providers = Providers::new().with(Arc::new(sandbox));
        let quotas: Arc<dyn Quotas> = Arc::new(MemoryQuotas::new(Arc::clone(&clock)));
        let scheduler = Scheduler::start(SchedulerParts {
            store: Arc::clone(&store),
            cache: Arc::new(MemoryFactCache::default()),
            quotas: Arc::clone(&quotas),
            providers: providers.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            doorbells: None,
            peers: None,
            webhooks: None,
            jobs: None,
            oauth: None,
            settings: SchedulerSettings::default(),
        });
        let scheduler = scheduler.await.expect("a scheduler starts");
        let synced = scheduler.synced(config.account_id, &[config.calendar_id], SYNC_WITHIN).await;
        assert!(synced, "the calendar syncs");
        let signing = Arc::new(KeyRing::generate("tokens", entropy.as_ref()).signing_keys());
        let router = router(ApiParts {
            store,
            scheduler,
            quotas,
            providers,
            clock,
            entropy,
            signing,
            webhooks: None,
            oauth: None,
            mail: None,
            jobs: None,
            settings: ApiSettings::default(),
            metrics: None,
            readiness: Readiness::new(),
        });
        let Config { account_id, event_type_id, user_id, .. } = config;
        let path = format!("/v1/accounts/{account_id}/availability?event_type_id={event_type_id}&user_id={user_id}");
        let stage = Self { router, key, path };
        stage.ask("2026-12-01", "2026-12-07", "").await;
        stage
    }

    /// Asks about a week, so often.
    pub(crate) async fn ask_about_weeks(&self, requests: u64) {
        for n in 0..requests {
            let (first, last) = [("2026-12-01", "2026-12-07"), ("2026-12-14", "2026-12-20")][(n % 2) as usize];
            self.ask(first, last, "").await;
            self.breathe(n).await;
        }
    }

    /// Asks about two months, so often, for so many slots.
    pub(crate) async fn ask_for_slots(&self, requests: u64, slots: u64) {
        for n in 0..requests {
            let body = self.ask("2026-12-01", "2027-01-28", &format!("&limit={slots}")).await;
            // Once, because counting them takes longer than writing them.
            if n == 0 {
                let found = body.windows(12).filter(|window| window == b"\"start_time\"").count();
                assert_eq!(found as u64, slots, "there are so many");
            }
            self.breathe(n).await;
        }
    }

    async fn ask(&self, first: &str, last: &str, more: &str) -> Bytes {
        let request = Request::get(format!("{}&start_date={first}&end_date={last}{more}", self.path))
            .header("authorization", format!("Bearer {}", self.key))
            .body(Body::empty())
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router does not fail");
        assert_eq!(response.status(), StatusCode::OK);
        to_bytes(response.into_body(), usize::MAX).await.expect("a body in memory")
    }

    async fn breathe(&self, n: u64) {
        if n.is_multiple_of(YIELD_EVERY) {
            tokio::task::yield_now().await;
        }
    }
}

/// What was written.
struct Config {
    account_id: AccountId,
    calendar_id: CalendarId,
    user_id: UserId,
    event_type_id: EventTypeId,
}

/// Writes an organization with a key, and an account with one person; returns the key's text and the ids.
async fn populate(store: &dyn Store, entropy: &dyn Entropy) -> (String, Config) {
    let organization_id = OrganizationId::mint(NOW, entropy);
    let organization = Organization { id: organization_id, name: "Counted".to_owned(), created_at: NOW };
    store.create_organization(&organization).await.expect("an organization is written");
    let minted = key::mint(KeyKind::Secret, Mode::Live, entropy);
    let row = ApiKey {
        id: KeyId::mint(NOW, entropy),
        organization_id,
        kind: KeyKind::Secret,
        mode: Mode::Live,
        hash: minted.hash,
        hint: minted.hint,
        allowed_origins: Vec::new(),
        created_at: NOW,
        revoked_at: None,
    };
    store.create_key(&row).await.expect("a key is written");
    let config = Config {
        account_id: AccountId::mint(NOW, entropy),
        calendar_id: CalendarId::mint(NOW, entropy),
        user_id: UserId::mint(NOW, entropy),
        event_type_id: EventTypeId::mint(NOW, entropy),
    };
    let tenant = Tenant { organization_id, mode: Mode::Live, account_id: config.account_id };
    let account = account(&tenant);
    written(store.create_account(&account, None).await);
    let connection = connection(&tenant, ConnectionId::mint(NOW, entropy));
    let calendars = [calendar(&connection, config.calendar_id)];
    written(store.create_connection(&tenant, &connection, &Credentials::Sandbox { seed: 1 }, &calendars, None).await);
    for number in 0..BUSY_INTERVALS {
        let put = store.put_sandbox_event(config.account_id, config.calendar_id, &meeting(number), None).await;
        put.expect("an event is written").expect("it has no condition");
    }
    let user = user(&config);
    written(store.create_user(&tenant, &user, &AvailabilityRules::office_hours(ZONE), None).await);
    written(store.create_event_type(&tenant, &event_type(&config), None).await);
    (minted.text, config)
}

fn written(answer: Result<Write, agentcal_engine::ports::StoreError>) {
    assert_eq!(answer.expect("the store serves"), Write::Done);
}

/// Meetings between nine and five, ten every three days.
fn meeting(number: i64) -> SandboxEvent {
    let start = NOW.plus_micros(number * 60 / BUSY_INTERVALS * DAY_US + 9 * HOUR_US + number % 10 * 45 * MINUTE_US);
    let range = TimeRange { start, end: start.plus_micros(20 * MINUTE_US) };
    SandboxEvent { event_id: format!("meeting-{number}"), range: Some(range), blocks: true, change: 0 }
}

fn account(tenant: &Tenant) -> Account {
    Account {
        id: tenant.account_id,
        organization_id: tenant.organization_id,
        mode: tenant.mode,
        name: "Counted".to_owned(),
        timezone: Some(ZONE),
        metadata: serde_json::Map::new(),
        created_at: NOW,
    }
}

fn connection(tenant: &Tenant, id: ConnectionId) -> Connection {
    Connection {
        id,
        account_id: tenant.account_id,
        provider: ProviderKind::Sandbox,
        display_name: "Sandbox".to_owned(),
        owner_addresses: Vec::new(),
        status: ConnectionStatus::Syncing,
        status_reason: None,
        created_at: NOW,
    }
}

fn calendar(connection: &Connection, id: CalendarId) -> Calendar {
    Calendar {
        id,
        account_id: connection.account_id,
        connection_id: Some(connection.id),
        provider: ProviderKind::Sandbox,
        provider_calendar_id: HOLIDAYS.to_owned(),
        name: "Work".to_owned(),
        timezone: ZONE,
        writable: true,
        watch: Watch { state: WatchState::Polling, expires_at: None },
        last_synced_at: None,
        created_at: NOW,
    }
}

fn user(config: &Config) -> User {
    User {
        id: config.user_id,
        account_id: config.account_id,
        name: "Robin Example".to_owned(),
        email: "robin@example.com".to_owned(),
        timezone: ZONE,
        calendar_id: Some(config.calendar_id),
        home_calendar_id: config.calendar_id,
        busy_calendar_ids: Vec::new(),
        created_at: NOW,
    }
}

fn event_type(config: &Config) -> EventType {
    EventType {
        id: config.event_type_id,
        account_id: config.account_id,
        name: "Consultation".to_owned(),
        slug: "consultation".to_owned(),
        duration_minutes: 30,
        slot_interval_minutes: 15,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: 90,
        max_bookings_per_day: None,
        user_ids: vec![config.user_id],
        scheduling_mode: SchedulingMode::Individual,
        public: true,
        location: None,
        require_slot_id: false,
        conference: None,
        on_stale: OnStale::Verify,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: NOW,
    }
}

/// A clock that stands.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// No chance at all: numbers that count up, so that every run is the same.
#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&number.to_be_bytes()[..chunk.len()]);
        }
    }
}
