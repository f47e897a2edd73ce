//! A store with one tenant in it, and short words for putting things there.

pub(crate) mod changes;
mod holds;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use agentcal_engine::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, IdempotencyKey, IdempotentAnswer,
    Outcome, RevisionKey,
};
use agentcal_engine::facts::{ExternalInstance, FactSource};
use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ClaimId, ConnectionId, EventTypeId, OrganizationId, UserId,
};
use agentcal_engine::model::{
    Account, Attendee, AttendeePolicy, AvailabilityRules, Booking, BookingHost, BookingStatus, BufferMode, Calendar,
    Claim, ClaimOwner, Connection, ConnectionStatus, EventKind, EventType, ExternalState, FollowUp, Mode, OnStale,
    Organization, ProviderKind, SchedulingMode, Tenant, User, Watch, WatchState, Writeback, WritebackState,
};
use agentcal_engine::ports::{
    Clock, Credentials, Entropy, PageRequest, ResourceChange, SaveSync, Store, SyncCursor, SyncState, Write,
};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use chrono_tz::Tz;
use uuid::Uuid;

pub use holds::{CALL, NO_LIMITS};

/// When every world begins: 2026-03-02T08:00:00Z, a Monday.
pub const MORNING: Timestamp = Timestamp::from_seconds(1_772_438_400);

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that shows an instant.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("tests move by less than an age");
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Has the clock show another instant, which may be an earlier one.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Bytes that are the same in every run and do not repeat within one.
#[derive(Debug, Default)]
pub struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut n = self.0.fetch_add(1, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(n ^ (n >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A store with one organization and one account.
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Arc<TestClock>,
    /// The tenant most cases are about.
    pub tenant: Tenant,
    /// The epoch writers hold.
    pub epoch: Epoch,
    ids: AtomicU64,
    /// Below the store, because fields are dropped from the top down.
    _ground: Box<dyn Any + Send>,
}

impl World {
    /// A world on a store of this making. What is made beside the store, such as the folder it lies in, is dropped after
    /// it.
    pub async fn new<S, G, F>(make: impl FnOnce(Arc<TestClock>) -> F) -> Self
    where
        S: Store + 'static,
        G: Send + 'static,
        F: Future<Output = (S, G)>,
    {
        let clock = Arc::new(TestClock::at(MORNING));
        let (store, ground) = make(Arc::clone(&clock)).await;
        let store: Arc<dyn Store> = Arc::new(store);
        let epoch = store.raise_epoch().await.expect("the epoch");
        let nobody = Tenant {
            organization_id: OrganizationId::from_uuid(Uuid::nil()),
            mode: Mode::Test,
            account_id: AccountId::from_uuid(Uuid::nil()),
        };
        let mut world = Self { store, clock, ids: AtomicU64::new(1), _ground: Box::new(ground), tenant: nobody, epoch };
        world.tenant = world.another_organization().await;
        world
    }

    /// The present instant of the store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new UUID, larger than every one before.
    pub fn uuid(&self) -> Uuid {
        let mut number = [0; 10];
        number[2..].copy_from_slice(&self.ids.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let millis = u64::try_from(self.now().as_micros() / 1_000).expect("tests live after 1970");
        uuid::Builder::from_unix_timestamp_millis(millis, &number).into_uuid()
    }

    /// A new organization with an account in it.
    pub async fn another_organization(&self) -> Tenant {
        let organization_id = OrganizationId::from_uuid(self.uuid());
        let organization = Organization { id: organization_id, name: "Acme".into(), created_at: self.now() };
        self.store.create_organization(&organization).await.expect("an organization");
        self.account_in(organization_id, Mode::Test).await
    }

    /// A new account beside the first one.
    pub async fn another_account(&self) -> Tenant {
        self.account_in(self.tenant.organization_id, self.tenant.mode).await
    }

    /// A new account of an organization and mode.
    pub async fn account_in(&self, organization_id: OrganizationId, mode: Mode) -> Tenant {
        let account = self.new_account(organization_id, mode);
        assert_eq!(self.store.create_account(&account, None).await.expect("an account"), Write::Done);
        Tenant { organization_id, mode, account_id: account.id }
    }

    /// An account that is not written yet.
    pub fn new_account(&self, organization_id: OrganizationId, mode: Mode) -> Account {
        Account {
            id: AccountId::from_uuid(self.uuid()),
            organization_id,
            mode,
            name: "Dr. Grün".into(),
            timezone: Some(Tz::Europe__Berlin),
            metadata: serde_json::Map::from_iter([("plan".to_owned(), serde_json::json!({"seats": 3}))]),
            created_at: self.now(),
        }
    }

    /// A connection with this many calendars, in the first account.
    pub async fn connect(&self, calendars: usize) -> (Connection, Vec<Calendar>) {
        self.connect_for(&self.tenant, calendars).await
    }

    /// A connection with this many calendars.
    pub async fn connect_for(&self, tenant: &Tenant, calendars: usize) -> (Connection, Vec<Calendar>) {
        let (connection, calendars) = self.new_connection(tenant, calendars);
        let credentials = Credentials::Sandbox { seed: 7 };
        let write = self.store.create_connection(tenant, &connection, &credentials, &calendars, None).await;
        assert_eq!(write.expect("a connection"), Write::Done);
        (connection, calendars)
    }

    /// A connection and its calendars, not written yet.
    pub fn new_connection(&self, tenant: &Tenant, calendars: usize) -> (Connection, Vec<Calendar>) {
        let connection = Connection {
            id: ConnectionId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            provider: ProviderKind::Sandbox,
            display_name: "sarah".into(),
            owner_addresses: vec!["sarah@example.com".into()],
            status: ConnectionStatus::Syncing,
            status_reason: None,
            created_at: self.now(),
        };
        let calendar = |n: usize| Calendar {
            id: CalendarId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            connection_id: Some(connection.id),
            provider: ProviderKind::Sandbox,
            provider_calendar_id: format!("calendar-{n}"),
            name: format!("Calendar {n}"),
            timezone: Tz::America__New_York,
            writable: true,
            watch: Watch { state: WatchState::Polling, expires_at: None },
            last_synced_at: None,
            created_at: self.now(),
        };
        let calendars = (0..calendars).map(calendar).collect();
        (connection, calendars)
    }

    /// A user without a calendar, in the first account.
    pub async fn user(&self) -> User {
        self.user_for(&self.tenant, None).await
    }

    /// A user whose calendar this is.
    pub async fn user_on(&self, calendar_id: CalendarId) -> User {
        self.user_for(&self.tenant, Some(calendar_id)).await
    }

    /// A user of a tenant.
    pub async fn user_for(&self, tenant: &Tenant, calendar_id: Option<CalendarId>) -> User {
        let user = self.new_user(tenant, calendar_id);
        let rules = AvailabilityRules::office_hours(user.timezone);
        assert_eq!(self.store.create_user(tenant, &user, &rules, None).await.expect("a user"), Write::Done);
        user
    }

    /// A user that is not written yet.
    pub fn new_user(&self, tenant: &Tenant, calendar_id: Option<CalendarId>) -> User {
        User {
            id: UserId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            name: "Sarah".into(),
            email: "sarah@example.com".into(),
            timezone: Tz::Asia__Kolkata,
            calendar_id,
            home_calendar_id: calendar_id.unwrap_or_else(|| CalendarId::from_uuid(self.uuid())),
            busy_calendar_ids: Vec::new(),
            created_at: self.now(),
        }
    }

    /// An event type that is not written yet.
    pub fn new_event_type(&self, tenant: &Tenant, slug: &str, users: &[&User]) -> EventType {
        EventType {
            id: EventTypeId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            name: "Checkup".into(),
            slug: slug.into(),
            duration_minutes: 30,
            slot_interval_minutes: 15,
            buffer_before_minutes: 5,
            buffer_after_minutes: 10,
            buffer_mode: BufferMode::Sum,
            min_notice_hours: 2,
            booking_window_days: 60,
            max_bookings_per_day: Some(4),
            user_ids: users.iter().map(|user| user.id).collect(),
            scheduling_mode: SchedulingMode::RoundRobin,
            public: true,
            location: Some("Room 3".into()),
            require_slot_id: false,
            conference: None,
            on_stale: OnStale::Verify,
            attendee_policy: AttendeePolicy::default(),
            follow_up: FollowUp::default(),
            created_at: self.now(),
        }
    }

    /// The account's config revision.
    pub async fn config_revision(&self, tenant: &Tenant) -> u64 {
        let config = self.store.account_config(tenant.account_id).await.expect("readable");
        config.expect("the account is there").config_revision
    }

    /// The facts of a calendar of the first account.
    pub async fn facts(&self, calendar_id: CalendarId) -> FactSource {
        let facts = self.store.load_facts(self.tenant.account_id, calendar_id).await.expect("readable");
        facts.expect("the calendar is there")
    }

    /// The range of some minutes after [`MORNING`].
    pub fn minutes(&self, start: i64, end: i64) -> TimeRange {
        let at = |minutes: i64| MORNING.plus_micros(minutes * MINUTE_US);
        TimeRange::new(at(start), at(end)).expect("a test's range is not empty")
    }

    /// A plan that books users of the first account, resting on nothing but their rows being there.
    pub fn booking_plan(&self, users: &[&User], range: TimeRange) -> (Booking, CommitPlan) {
        self.booking_plan_for(&self.tenant, users, range)
    }

    /// A plan that books users of a tenant.
    pub fn booking_plan_for(&self, tenant: &Tenant, users: &[&User], range: TimeRange) -> (Booking, CommitPlan) {
        let booking = self.new_booking(tenant, users, range);
        let owner = ClaimOwner::Booking(booking.id);
        let claim = |user: &&User| ClaimChange::Insert(self.new_claim(user, owner, range));
        let effects = booking.hosts.iter().filter_map(|host| host.calendar_id);
        let effects = effects.map(|calendar_id| Effect::Writeback { booking_id: booking.id, calendar_id });
        let mut plan = self.empty_plan(tenant, users);
        plan.effects = effects.collect();
        plan.claims = users.iter().map(claim).collect();
        plan.booking = Some(BookingChange::Insert(Box::new(booking.clone())));
        plan.event = Some(changes::told(&plan, EventKind::BookingCreated, booking.clone(), None));
        (booking, plan)
    }

    /// A plan without changes that raises the homes and users named.
    pub fn empty_plan(&self, tenant: &Tenant, users: &[&User]) -> CommitPlan {
        let raise = |key| ExpectedRevision { key, revision: None, access: Access::Write };
        let homes = users.iter().map(|user| RevisionKey::Calendar(user.home_calendar_id));
        let mut expected: Vec<_> =
            homes.chain(users.iter().map(|user| RevisionKey::User(user.id))).map(raise).collect();
        expected.sort();
        expected.dedup();
        CommitPlan {
            commit_id: self.uuid(),
            tenant: *tenant,
            shard: Shard::of(tenant.account_id),
            epoch: Some(self.epoch),
            is_shared: false,
            expired_until: None,
            expected_revisions: expected,
            claims: Vec::new(),
            booking: None,
            holds: Vec::new(),
            decision: None,
            effects: Vec::new(),
            event: None,
            idempotency: None,
        }
    }

    /// A claim of a user's time.
    pub fn new_claim(&self, user: &User, owner: ClaimOwner, range: TimeRange) -> Claim {
        Claim {
            id: ClaimId::from_uuid(self.uuid()),
            account_id: user.account_id,
            user_id: user.id,
            home_calendar_id: user.home_calendar_id,
            range,
            owner,
            event_type_id: None,
            buffer_before_minutes: 5,
            buffer_after_minutes: 10,
            expires_at: None,
            session_id: None,
        }
    }

    /// A booking that is not written yet.
    pub fn new_booking(&self, tenant: &Tenant, users: &[&User], range: TimeRange) -> Booking {
        let pending = || Writeback { state: WritebackState::Pending, attempts: 0, last_error: None };
        let host = |user: &&User| BookingHost {
            user_id: user.id,
            calendar_id: user.calendar_id,
            provider_event_id: None,
            writeback: user.calendar_id.map(|_| pending()),
            external_state: user.calendar_id.map(|_| ExternalState::InSync),
        };
        Booking {
            id: BookingId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            event_type_id: None,
            title: "Checkup".into(),
            location: None,
            range,
            status: BookingStatus::Confirmed,
            timezone: Tz::Europe__Berlin,
            attendee: Attendee {
                name: "Max".into(),
                email: Some("Max.Mustermann@Example.com".into()),
                phone: Some("+49 (30) 901-820".into()),
                timezone: Some(Tz::Europe__Vienna),
            },
            metadata: serde_json::Map::from_iter([("call_id".to_owned(), serde_json::json!("c-1"))]),
            hosts: users.iter().map(host).collect(),
            sequence: 0,
            attendee_reschedules: 0,
            cancel_reason: None,
            conference: None,
            created_at: self.now(),
        }
    }

    /// Commits a plan.
    pub async fn commit(&self, plan: &CommitPlan) -> Outcome {
        self.store.commit(plan).await.expect("the store answers")
    }

    /// Books users of the first account, which must succeed.
    pub async fn book(&self, users: &[&User], range: TimeRange) -> Booking {
        let (booking, plan) = self.booking_plan(users, range);
        let outcome = self.commit(&plan).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        booking
    }

    /// The booking as the store has it.
    pub async fn booking(&self, id: BookingId) -> Booking {
        let item = self.store.booking(self.tenant.account_id, id).await.expect("readable");
        item.expect("the booking is there").booking
    }

    /// A page of an incremental sync at the present generation, or of a full one at the next.
    pub fn page(&self, calendar_id: CalendarId, generation: u64, changes: Vec<ResourceChange>) -> SaveSync {
        SaveSync {
            account_id: self.tenant.account_id,
            calendar_id,
            epoch: self.epoch,
            generation,
            begins_shadow: false,
            changes,
            finish: None,
        }
    }

    /// The state a sync ends with.
    pub fn synced(&self, generation: u64, cursor: &str) -> SyncState {
        SyncState {
            cursor: Some(SyncCursor(cursor.into())),
            window: Some(self.minutes(-60, 60 * 24 * 30)),
            synced_at: Some(self.now()),
            generation,
            failures: 0,
            due_at: self.now() + Duration::from_secs(60),
            quiet_syncs: 0,
            watched_until: None,
            last_error: None,
        }
    }

    /// A full sync of one page.
    pub async fn sync_full(&self, calendar_id: CalendarId, generation: u64, changes: Vec<ResourceChange>) -> u64 {
        let page = SaveSync {
            begins_shadow: true,
            finish: Some(self.synced(generation, "first")),
            ..self.page(calendar_id, generation, changes)
        };
        self.store.save_sync(&page).await.expect("saved").expect("neither fenced nor gone")
    }
}

/// A resource with busy instances at these ranges.
pub fn busy(provider_event_id: &str, ranges: &[TimeRange]) -> ResourceChange {
    let instance = |&range: &TimeRange| ExternalInstance { range, booking_id: None, blocks: true };
    ResourceChange { provider_event_id: provider_event_id.into(), instances: ranges.iter().map(instance).collect() }
}

/// An idempotency key with an answer, from two small numbers.
pub fn idempotent(scope: u8, fingerprint: u8, answer: &str) -> IdempotentAnswer {
    let key = IdempotencyKey { scope: [scope; 32], fingerprint: [fingerprint; 32] };
    IdempotentAnswer { key, answer: answer.as_bytes().to_vec() }
}

/// The first page of a list.
pub fn first_page(limit: u32) -> PageRequest {
    PageRequest { limit, after: None }
}
