//! One account with some users, each with a calendar, on a store in a temporary folder.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agentcal_actors::{Doorbells, Freshness, Jobs, Providers, Scheduler, SchedulerParts, SchedulerSettings, Webhooks};
use agentcal_engine::calendar::request::{
    BookRequest, Choice, CommitAnswer, CommitKind, CommitRequest, Intent, Made, Meeting,
};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ConnectionId, EventTypeId, OrganizationId, UserId, mint_uuid,
};
use agentcal_engine::model::{
    Account, Attendee, AttendeePolicy, AvailabilityRules, Booking, BufferMode, Calendar, CivilTime, CivilWindow,
    Connection, ConnectionStatus, EventType, FollowUp, Mode, OnStale, Organization, ProviderKind, SchedulingMode,
    Tenant, User, Watch, WatchState, WeeklyRule,
};
use agentcal_engine::ports::{BookingStore, Clock, ConfigStore, ConnectionStore, Credentials, Entropy, TenantStore};
use agentcal_engine::time::{HOUR_US, TimeRange, Timestamp};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;
use chrono_tz::Tz;
use tokio::time::Instant;

use super::provider::signing_keys;
use super::{CountedStore, ScriptedMailer, ScriptedProvider, ScriptedSender};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-12-01T00:00:00Z, a full hour.
const MIDNIGHT: Timestamp = Timestamp::from_seconds(1_796_083_200);

/// Hours `from..to` after the midnight every test begins at.
pub(crate) fn hours(from: i64, to: i64) -> TimeRange {
    TimeRange { start: MIDNIGHT.plus_micros(from * HOUR_US), end: MIDNIGHT.plus_micros(to * HOUR_US) }
}

/// Waits until something holds.
pub(crate) async fn wait_for<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    wait_long_for(what, PATIENCE, holds).await;
}

/// Waits so long at most until something holds.
pub(crate) async fn wait_long_for<F: Future<Output = bool>>(
    what: &str,
    patience: Duration,
    mut holds: impl FnMut() -> F,
) {
    let until = Instant::now() + patience;
    while !holds().await {
        assert!(Instant::now() < until, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A clock that runs, and jumps and stops when told.
pub(crate) struct JumpingClock {
    began: Instant,
    stopped_after: OnceLock<Duration>,
    jumped_us: AtomicI64,
}

impl JumpingClock {
    pub(crate) fn jump(&self, by: Duration) {
        self.jumped_us.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// From now on nothing becomes due by itself, however slow the machine is.
    pub(crate) fn stop(&self) {
        self.stopped_after.get_or_init(|| self.began.elapsed());
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.stopped_after.get().copied().unwrap_or_else(|| self.began.elapsed());
        MIDNIGHT + elapsed + Duration::from_micros(self.jumped_us.load(Ordering::SeqCst) as u64)
    }
}

/// Chance that counts, and that can be made to bring down whoever draws next.
#[derive(Default)]
pub(crate) struct Chance {
    drawn: AtomicU64,
    bad_luck: AtomicU64,
    cursed: AtomicBool,
}

impl Chance {
    pub(crate) fn strike(&self, times: u64) {
        self.bad_luck.store(times, Ordering::SeqCst);
    }

    pub(crate) fn curse(&self, cursed: bool) {
        self.cursed.store(cursed, Ordering::SeqCst);
    }

    pub(crate) fn has_struck(&self) -> bool {
        self.bad_luck.load(Ordering::SeqCst) == 0
    }
}

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        let strike = self.bad_luck.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(strike.is_err() && !self.cursed.load(Ordering::SeqCst), "struck by chance, as the test wants");
        for chunk in buffer.chunks_mut(8) {
            let mixed = self.drawn.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Terms of the event type of a stage.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) mode: SchedulingMode,
    pub(crate) on_stale: OnStale,
}

impl From<SchedulingMode> for Terms {
    fn from(mode: SchedulingMode) -> Self {
        Self { mode, on_stale: OnStale::Verify }
    }
}

pub(crate) struct Stage {
    pub(crate) scheduler: Scheduler,
    pub(crate) store: SqliteStore,
    pub(crate) provider: Arc<ScriptedProvider>,
    pub(crate) sender: Arc<ScriptedSender>,
    /// Transactions of what delivers to endpoints.
    pub(crate) delivery_writes: Arc<AtomicU64>,
    pub(crate) mailer: Arc<ScriptedMailer>,
    pub(crate) clock: Arc<JumpingClock>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) tenant: Tenant,
    pub(crate) users: Vec<User>,
    pub(crate) event_type: EventType,
    settings: SchedulerSettings,
    terms: Terms,
    /// What the ids of what a stage begins with are drawn from.
    entropy: Arc<dyn Entropy>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// An account with so many users, each with a calendar of one connection, all synced, and an event type of all.
    pub(crate) async fn set(user_count: usize, terms: impl Into<Terms>) -> Self {
        let stage = Self::set_unsynced(user_count, terms, |_| {}).await;
        let calendars = stage.calendars();
        assert!(stage.scheduler.synced(stage.account_id(), &calendars, PATIENCE).await, "first syncs end");
        stage
    }

    pub(crate) async fn set_unsynced(
        user_count: usize,
        terms: impl Into<Terms>,
        adjust: impl FnOnce(&mut SchedulerSettings),
    ) -> Self {
        Self::build(user_count, terms.into(), adjust, None).await
    }

    /// The same with a provider that rings, and grants watches for so long.
    pub(crate) async fn set_watched(user_count: usize, lasts: Duration) -> Self {
        let stage = Self::build(user_count, SchedulingMode::Individual.into(), |_| {}, Some(lasts)).await;
        assert!(stage.scheduler.synced(stage.account_id(), &stage.calendars(), PATIENCE).await, "first syncs end");
        stage
    }

    async fn build(
        user_count: usize,
        terms: Terms,
        adjust: impl FnOnce(&mut SchedulerSettings),
        watches_last: Option<Duration>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(JumpingClock {
            began: Instant::now(),
            stopped_after: OnceLock::new(),
            jumped_us: AtomicI64::new(0),
        });
        let entropy: Arc<dyn Entropy> = Arc::new(Chance::default());
        let options = OpenOptions {
            path: folder.path().join("agentcal.db"),
            keyring: Arc::new(KeyRing::generate("k1", &*entropy)),
            entropy: Arc::clone(&entropy),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let store = SqliteStore::open(options).await.unwrap();
        store.migrate().await.unwrap();
        let mut settings = SchedulerSettings {
            sweep_interval: Duration::from_millis(10),
            restart_backoff_first: Duration::from_millis(5),
            restart_backoff_max: Duration::from_millis(20),
            ..SchedulerSettings::default()
        };
        adjust(&mut settings);
        let kind = if watches_last.is_some() { ProviderKind::Google } else { ProviderKind::Sandbox };
        let (tenant, users, event_type) = seed(&store, &*entropy, (kind, user_count), terms).await;
        let provider = Arc::new(ScriptedProvider::new(kind));
        if let Some(lasts) = watches_last {
            provider.grant_watches(lasts, Arc::clone(&clock) as _);
        }
        let chance = Arc::new(Chance::default());
        let sender = Arc::new(ScriptedSender::default());
        let mailer = Arc::new(ScriptedMailer::default());
        let delivery_writes = Arc::new(AtomicU64::new(0));
        let outside =
            Outside { provider: &provider, sender: &sender, mailer: &mailer, delivery_writes: &delivery_writes };
        let scheduler = start(&store, outside, &clock, &chance, &settings).await;
        Self {
            scheduler,
            store,
            provider,
            sender,
            delivery_writes,
            mailer,
            clock,
            chance,
            tenant,
            users,
            event_type,
            settings,
            terms,
            entropy,
            _folder: folder,
        }
    }

    /// From now on what is asked is asked by another organization, which has as much and uses the same scheduler.
    pub(crate) async fn move_to_another_organization(&mut self) {
        let kind = (ProviderKind::Sandbox, self.users.len());
        (self.tenant, self.users, self.event_type) = seed(&self.store, &*self.entropy, kind, self.terms).await;
    }

    pub(crate) fn account_id(&self) -> AccountId {
        self.tenant.account_id
    }

    pub(crate) fn calendars(&self) -> Vec<CalendarId> {
        self.users.iter().map(|user| user.home_calendar_id).collect()
    }

    pub(crate) fn fresh_calendar_id(&self) -> CalendarId {
        CalendarId::mint(self.clock.now(), &*self.chance)
    }

    /// A new scheduler on the same store, as after a restart of the process.
    pub(crate) async fn restart(&mut self) {
        self.scheduler.shutdown().await;
        let outside = Outside {
            provider: &self.provider,
            sender: &self.sender,
            mailer: &self.mailer,
            delivery_writes: &self.delivery_writes,
        };
        self.scheduler = start(&self.store, outside, &self.clock, &self.chance, &self.settings).await;
    }

    pub(crate) fn request(&self, kind: CommitKind) -> CommitRequest {
        let commit_id = mint_uuid(self.clock.now(), &*self.chance);
        let deadline = self.clock.now() + PATIENCE;
        CommitRequest { commit_id, tenant: self.tenant, kind, intent: Intent::Commit, idempotency: None, deadline }
    }

    pub(crate) fn book_request(&self, start: Timestamp, user_id: Option<UserId>) -> CommitRequest {
        self.request(CommitKind::Book(BookRequest {
            booking_id: BookingId::mint(self.clock.now(), &*self.chance),
            meeting: Meeting::EventType(self.event_type.id),
            choice: user_id.map_or(Choice::Any, Choice::Named),
            start,
            attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
            metadata: serde_json::Map::new(),
        }))
    }

    pub(crate) async fn book(&self, start: Timestamp, user_id: Option<UserId>) -> CommitAnswer {
        self.scheduler.commit(self.book_request(start, user_id)).await
    }

    pub(crate) async fn booked(&self, start: Timestamp) -> Booking {
        match self.book(start, None).await {
            CommitAnswer::Committed(Made::Booking(booking)) => *booking,
            other => panic!("not booked: {other:?}"),
        }
    }

    pub(crate) async fn stored(&self, booking_id: BookingId) -> Booking {
        self.store.booking(self.account_id(), booking_id).await.unwrap().unwrap().booking
    }

    pub(crate) async fn facts(&self, calendar_id: CalendarId) -> Arc<CalendarFacts> {
        let need = Freshness { max_age: None, deadline: PATIENCE };
        self.scheduler.facts(self.account_id(), &[calendar_id], need).await.remove(0)
    }

    pub(crate) async fn connection(&self) -> Connection {
        let page = agentcal_engine::ports::PageRequest { limit: 10, after: None };
        self.store.list_connections(&self.tenant, &page).await.unwrap().rows.remove(0).0
    }

    /// Rings and waits until the facts are younger than the ring.
    pub(crate) async fn ring_and_sync(&self, calendar_id: CalendarId) {
        let now = self.clock.now();
        self.scheduler.bell(self.account_id(), calendar_id);
        wait_for("the bell is answered", || async {
            self.facts(calendar_id).await.as_of().is_some_and(|as_of| as_of >= now)
        })
        .await;
        wait_for("the calendar is at rest", || async {
            let picture = self.scheduler.picture(calendar_id).await;
            picture.is_some_and(|picture| !picture.machine.syncing && !picture.machine.writing)
        })
        .await;
    }
}

pub(crate) fn with_key(mut request: CommitRequest, scope: u8, fingerprint: u8) -> CommitRequest {
    request.idempotency = Some(IdempotencyKey { scope: [scope; 32], fingerprint: [fingerprint; 32] });
    request
}

/// What a scheduler reaches outside.
struct Outside<'a> {
    provider: &'a Arc<ScriptedProvider>,
    sender: &'a Arc<ScriptedSender>,
    mailer: &'a Arc<ScriptedMailer>,
    delivery_writes: &'a Arc<AtomicU64>,
}

async fn start(
    store: &SqliteStore,
    outside: Outside<'_>,
    clock: &Arc<JumpingClock>,
    chance: &Arc<Chance>,
    settings: &SchedulerSettings,
) -> Scheduler {
    Scheduler::start(SchedulerParts {
        store: Arc::new(store.clone()),
        cache: Arc::new(MemoryFactCache::default()),
        quotas: Arc::new(MemoryQuotas::new(Arc::clone(clock) as _)),
        providers: Providers::new().with(Arc::clone(outside.provider) as _),
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(chance) as _,
        doorbells: Doorbells::at("https://cal.example.com", false, Arc::new(signing_keys())),
        peers: None,
        webhooks: Some(Webhooks {
            store: Arc::new(CountedStore::new(Arc::new(store.clone()), outside.delivery_writes)),
            sender: Arc::clone(outside.sender) as _,
            relay: None,
        }),
        jobs: Some(Jobs { store: Arc::new(store.clone()), mailer: Some(Arc::clone(outside.mailer) as _) }),
        oauth: None,
        settings: settings.clone(),
    })
    .await
    .unwrap()
}

async fn seed(
    store: &SqliteStore,
    entropy: &dyn Entropy,
    (kind, user_count): (ProviderKind, usize),
    terms: Terms,
) -> (Tenant, Vec<User>, EventType) {
    let now = MIDNIGHT;
    let organization = Organization { id: OrganizationId::mint(now, entropy), name: "Org".into(), created_at: now };
    store.create_organization(&organization).await.unwrap();
    let account = Account {
        id: AccountId::mint(now, entropy),
        organization_id: organization.id,
        mode: Mode::Test,
        name: "Account".into(),
        timezone: None,
        metadata: serde_json::Map::new(),
        created_at: now,
    };
    store.create_account(&account, None).await.unwrap();
    let tenant = Tenant { organization_id: organization.id, mode: Mode::Test, account_id: account.id };
    let connection = Connection {
        id: ConnectionId::mint(now, entropy),
        account_id: account.id,
        provider: kind,
        display_name: "sandbox".into(),
        owner_addresses: Vec::new(),
        status: ConnectionStatus::Syncing,
        status_reason: None,
        created_at: now,
    };
    let calendars: Vec<Calendar> =
        (0..user_count).map(|number| calendar(&connection, number, CalendarId::mint(now, entropy))).collect();
    let credentials = Credentials::Sandbox { seed: 1 };
    store.create_connection(&tenant, &connection, &credentials, &calendars, None).await.unwrap();
    let mut users = Vec::new();
    for calendar in &calendars {
        let user = user(account.id, UserId::mint(now, entropy), calendar.id);
        store.create_user(&tenant, &user, &always(), None).await.unwrap();
        users.push(user);
    }
    let event_type = event_type(account.id, EventTypeId::mint(now, entropy), &users, terms);
    store.create_event_type(&tenant, &event_type, None).await.unwrap();
    (tenant, users, event_type)
}

fn calendar(connection: &Connection, number: usize, id: CalendarId) -> Calendar {
    Calendar {
        id,
        account_id: connection.account_id,
        connection_id: Some(connection.id),
        provider: connection.provider,
        provider_calendar_id: format!("calendar {number}"),
        name: format!("Calendar {number}"),
        timezone: Tz::UTC,
        writable: true,
        watch: Watch { state: WatchState::None, expires_at: None },
        last_synced_at: None,
        created_at: MIDNIGHT,
    }
}

fn user(account_id: AccountId, id: UserId, calendar_id: CalendarId) -> User {
    User {
        id,
        account_id,
        name: "Host".into(),
        email: format!("{id}@example.com"),
        timezone: Tz::UTC,
        calendar_id: Some(calendar_id),
        home_calendar_id: calendar_id,
        busy_calendar_ids: Vec::new(),
        created_at: MIDNIGHT,
    }
}

fn always() -> AvailabilityRules {
    let time = |minutes| CivilTime::from_minutes(minutes).unwrap();
    let window = CivilWindow { civil_start: time(0), civil_end: time(1_440) };
    let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
    AvailabilityRules { timezone: Tz::UTC, weekly, overrides: std::collections::BTreeMap::new() }
}

fn event_type(account_id: AccountId, id: EventTypeId, users: &[User], terms: Terms) -> EventType {
    EventType {
        id,
        account_id,
        name: "Intro call".into(),
        slug: "intro".into(),
        duration_minutes: 60,
        slot_interval_minutes: 60,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: 60,
        max_bookings_per_day: None,
        user_ids: users.iter().map(|user| user.id).collect(),
        scheduling_mode: terms.mode,
        public: true,
        location: None,
        require_slot_id: false,
        conference: None,
        on_stale: terms.on_stale,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp { reminders: vec![60], ..FollowUp::default() },
        created_at: MIDNIGHT,
    }
}
