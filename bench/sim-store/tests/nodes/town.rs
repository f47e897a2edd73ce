//! Several nodes on one store and one cache, and some accounts to book in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_actors::{Freshness, Oauth, Providers, Scheduler, SchedulerParts, SchedulerSettings};
use agentcal_engine::calendar::request::{
    BookRequest, ChangedBy, Choice, CommitAnswer, CommitKind, CommitRequest, HoldRequest, Intent, Made, Meeting,
};
use agentcal_engine::commit::IdempotencyKey;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, HoldId, OrganizationId, UserId, mint_uuid};
use agentcal_engine::model::{
    Account, AdHocMeeting, Attendee, AvailabilityRules, Booking, CivilTime, CivilWindow, Mode, Organization, Tenant,
    User, WeeklyRule,
};
use agentcal_engine::ports::{Beat, CacheError, CacheRead, Clock, ConfigStore, FactCache, TenantStore, Write};
use agentcal_engine::shard::{Epoch, NodeId, Shard};
use agentcal_engine::time::{HOUR_US, Timestamp};
use agentcal_sim_store::{Disk, Seeded, SimStore};
use agentcal_store_memory::{MemoryFactCache, MemoryQuotas};
use async_trait::async_trait;
use chrono_tz::Tz;
use tokio::time::Instant;

use crate::links::Links;

/// 2026-12-01T00:00:00Z.
const MIDNIGHT: Timestamp = Timestamp::from_seconds(1_796_083_200);
/// Longest wait of a caller.
const PATIENCE: Duration = Duration::from_secs(10);
const ACCOUNTS: usize = 12;

pub(crate) struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        MIDNIGHT + self.0.elapsed()
    }
}

/// A cache that can be lost for a while, with what it held.
#[derive(Default)]
pub(crate) struct FickleCache {
    kept: MemoryFactCache,
    is_down: AtomicBool,
    refuses_facts: AtomicBool,
    is_read_only: AtomicBool,
    refused: AtomicU32,
    lag: Mutex<Duration>,
    beats_lag: Mutex<Duration>,
    beats_under_way: Arc<Mutex<BTreeSet<Shard>>>,
}

impl FickleCache {
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Takes no facts, and everything else.
    pub(crate) fn set_refusing(&self, refuses_facts: bool) {
        self.refuses_facts.store(refuses_facts, Ordering::SeqCst);
    }

    /// Takes nothing at all, and still tells what it has, as where its owner is cut off from it and others are not.
    pub(crate) fn set_read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::SeqCst);
    }

    /// How many writes of facts it has refused.
    pub(crate) fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Forgets a calendar, and the beat of its shard.
    pub(crate) async fn lose(&self, shard: Shard, calendar_id: CalendarId) {
        self.kept.withdraw(shard, calendar_id).await.unwrap();
        self.kept.end_beat(shard, Epoch(u64::MAX)).await.unwrap();
    }

    /// Facts that are published from now on arrive only after this time, whether or not somebody waits for it.
    pub(crate) fn set_lag(&self, lag: Duration) {
        *self.lag.lock().unwrap() = lag;
    }

    /// Beats that are said from now on arrive only after this time, whatever becomes of the cache meanwhile.
    pub(crate) fn set_beats_lag(&self, lag: Duration) {
        *self.beats_lag.lock().unwrap() = lag;
    }

    pub(crate) fn is_beat_under_way(&self, shard: Shard) -> bool {
        self.beats_under_way.lock().unwrap().contains(&shard)
    }

    fn writable(&self) -> Result<&MemoryFactCache, CacheError> {
        match self.refuses_facts.load(Ordering::SeqCst) {
            true => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                Err(CacheError::Unavailable("full".into()))
            }
            false => self.takes(),
        }
    }

    fn takes(&self) -> Result<&MemoryFactCache, CacheError> {
        match self.is_read_only.load(Ordering::SeqCst) {
            true => Err(CacheError::Unavailable("out of reach".into())),
            false => self.reached(),
        }
    }

    fn reached(&self) -> Result<&MemoryFactCache, CacheError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(CacheError::Unavailable("down".into())),
            false => Ok(&self.kept),
        }
    }
}

#[async_trait]
impl FactCache for FickleCache {
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError> {
        let (kept, lag) = (self.writable()?.clone(), *self.lag.lock().unwrap());
        let arriving = tokio::spawn(async move {
            tokio::time::sleep(lag).await;
            kept.publish(shard, facts).await
        });
        arriving.await.unwrap()
    }

    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError> {
        self.reached()?.read(shard, calendar_ids).await
    }

    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.writable()?.withdraw(shard, calendar_id).await
    }

    async fn beat(&self, beats: &[(Shard, Beat)]) -> Result<(), CacheError> {
        let (kept, lag, beats) = (self.takes()?.clone(), *self.beats_lag.lock().unwrap(), beats.to_vec());
        if lag.is_zero() {
            return kept.beat(&beats).await;
        }
        let under_way = Arc::clone(&self.beats_under_way);
        under_way.lock().unwrap().extend(beats.iter().map(|(shard, _)| *shard));
        let arriving = tokio::spawn(async move {
            tokio::time::sleep(lag).await;
            let arrived = kept.beat(&beats).await;
            under_way.lock().unwrap().retain(|shard| beats.iter().all(|(of, _)| of != shard));
            arrived
        });
        arriving.await.unwrap()
    }

    async fn end_beat(&self, shard: Shard, epoch: Epoch) -> Result<(), CacheError> {
        self.takes()?.end_beat(shard, epoch).await
    }

    async fn mark_dirty(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.reached()?.mark_dirty(shard, calendar_id).await
    }

    async fn take_dirty(&self, shard: Shard) -> Result<Vec<CalendarId>, CacheError> {
        self.reached()?.take_dirty(shard).await
    }
}

/// What nodes reach outside: nothing, unless a story needs it.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    pub(crate) providers: Providers,
    pub(crate) oauth: Option<Oauth>,
}

/// A node and its connection to the store.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) scheduler: Scheduler,
    pub(crate) store: SimStore,
}

/// Somebody who can be booked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) tenant: Tenant,
    pub(crate) user_id: UserId,
    pub(crate) calendar_id: CalendarId,
}

impl Person {
    pub(crate) fn shard(&self) -> Shard {
        Shard::of(self.tenant.account_id)
    }

    /// Where the person's shard stands in a map.
    pub(crate) fn index(&self) -> usize {
        usize::from(self.shard().number())
    }
}

pub(crate) struct Town {
    pub(crate) disk: Disk,
    pub(crate) cache: Arc<FickleCache>,
    pub(crate) links: Links,
    pub(crate) people: Vec<Person>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) ids: Arc<Seeded>,
}

impl Town {
    pub(crate) async fn found() -> Self {
        agentcal_engine::plant!(std::env::var("AGENTCAL_PLANTED").ok());
        let clock = Arc::new(VirtualClock(Instant::now()));
        let ids = Arc::new(Seeded::new(7));
        let disk = Disk::new(Arc::clone(&clock) as _, Arc::new(Seeded::new(8)));
        let mut town = Self { disk, cache: Arc::default(), links: Links::default(), people: Vec::new(), clock, ids };
        for _ in 0..ACCOUNTS {
            let person = town.settle().await;
            town.people.push(person);
        }
        town
    }

    /// Starts a node and waits until the shards are where they should be.
    pub(crate) async fn join(&self, address: &str) -> Node {
        self.join_reaching(address, &Outside::default()).await
    }

    async fn join_reaching(&self, address: &str, outside: &Outside) -> Node {
        let store = self.disk.connect();
        let settings = SchedulerSettings { address: address.to_owned(), ..SchedulerSettings::default() };
        let parts = SchedulerParts {
            store: Arc::new(store.clone()),
            cache: Arc::clone(&self.cache) as _,
            quotas: Arc::new(MemoryQuotas::new(Arc::clone(&self.clock) as _)),
            providers: outside.providers.clone(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.ids) as _,
            doorbells: None,
            peers: Some(Arc::new(self.links.clone())),
            webhooks: None,
            jobs: None,
            oauth: outside.oauth.clone(),
            settings,
        };
        let scheduler = Scheduler::start(parts).await.unwrap();
        self.links.add(&scheduler);
        Node { scheduler, store }
    }

    /// Two nodes that share the shards, and know it.
    pub(crate) async fn two_nodes(&self) -> (Node, Node) {
        self.two_nodes_reaching(&Outside::default()).await
    }

    /// The same for nodes that reach calendars.
    pub(crate) async fn two_nodes_reaching(&self, outside: &Outside) -> (Node, Node) {
        let (one, other) = (self.join_reaching("one", outside).await, self.join_reaching("other", outside).await);
        until("shards are shared", || {
            let maps = [one.scheduler.shard_map(), other.scheduler.shard_map()];
            let own = maps[0].shards.iter().filter(|row| row.owner == Some(other.id())).count();
            maps[0] == maps[1] && own > 1_800
        })
        .await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(one.scheduler.shard_map(), other.scheduler.shard_map(), "nothing moves any more");
        (one, other)
    }

    /// One more, when two share the shards; it has its own when this returns.
    pub(crate) async fn third(&self, address: &str) -> Node {
        let third = self.join(address).await;
        until("the third one has its share", || third.shard_count() > 1_200).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        third
    }

    /// Somebody whose shard this node owns.
    pub(crate) fn person_of(&self, node: &Node) -> Person {
        let map = node.scheduler.shard_map();
        let is_own = |person: &&Person| map.shards[person.index()].owner == Some(node.id());
        *self.people.iter().find(is_own).unwrap()
    }

    pub(crate) fn booking(&self, person: &Person, hour: i64) -> CommitRequest {
        self.request(
            person,
            CommitKind::Book(BookRequest {
                booking_id: BookingId::mint(self.clock.now(), &*self.ids),
                meeting: Meeting::AdHoc(AdHocMeeting { user_id: person.user_id, duration_minutes: 60 }),
                choice: Choice::Named(person.user_id),
                start: at(hour),
                attendee: Attendee { name: "Ada".into(), email: None, phone: None, timezone: None },
                metadata: serde_json::Map::new(),
            }),
        )
    }

    pub(crate) fn cancellation(&self, person: &Person, booking: &Booking) -> CommitRequest {
        self.request(person, CommitKind::Cancel { booking_id: booking.id, reason: None, by: ChangedBy::Key })
    }

    pub(crate) fn hold(&self, person: &Person, hour: i64, ttl_seconds: u32) -> CommitRequest {
        self.request(
            person,
            CommitKind::Hold(HoldRequest {
                hold_id: HoldId::mint(self.clock.now(), &*self.ids),
                meeting: Meeting::AdHoc(AdHocMeeting { user_id: person.user_id, duration_minutes: 60 }),
                choice: Choice::Named(person.user_id),
                start: at(hour),
                ttl_seconds,
                session_id: None,
            }),
        )
    }

    /// Keeps a hold for longer, under a key.
    pub(crate) fn extension(&self, person: &Person, hold_id: HoldId, ttl_seconds: u32) -> CommitRequest {
        let idempotency = Some(IdempotencyKey { scope: [7; 32], fingerprint: [7; 32] });
        CommitRequest { idempotency, ..self.request(person, CommitKind::Extend { hold_id, ttl_seconds }) }
    }

    fn request(&self, person: &Person, kind: CommitKind) -> CommitRequest {
        let now = self.clock.now();
        CommitRequest {
            commit_id: mint_uuid(now, &*self.ids),
            tenant: person.tenant,
            kind,
            intent: Intent::Commit,
            idempotency: None,
            deadline: now + PATIENCE,
        }
    }

    /// Gives somebody another internal calendar; claims move along.
    pub(crate) async fn rehome(&self, person: &Person) -> Person {
        let calendar_id = CalendarId::mint(self.clock.now(), &*self.ids);
        self.live_in(person, calendar_id, |user| User { home_calendar_id: calendar_id, ..user }).await
    }

    /// Has somebody's bookings written to a calendar that is there.
    pub(crate) async fn move_to(&self, person: &Person, calendar_id: CalendarId) -> Person {
        let home = |user| User { calendar_id: Some(calendar_id), home_calendar_id: calendar_id, ..user };
        self.live_in(person, calendar_id, home).await
    }

    async fn live_in(&self, person: &Person, calendar_id: CalendarId, moved: impl FnOnce(User) -> User) -> Person {
        let store = self.disk.connect();
        let config = store.account_config(person.tenant.account_id).await.unwrap().unwrap();
        let user = moved(User::clone(&config.users[0].0));
        let write = store.update_user(&person.tenant, &user, config.config_revision, None).await;
        assert_eq!(write.unwrap(), Write::Done);
        Person { calendar_id, ..*person }
    }

    async fn settle(&self) -> Person {
        let (store, now, ids) = (self.disk.connect(), self.clock.now(), &*self.ids);
        let organization_id = OrganizationId::mint(now, ids);
        let organization = Organization { id: organization_id, name: "Org".into(), created_at: now };
        store.create_organization(&organization).await.unwrap();
        let account = Account {
            id: AccountId::mint(now, ids),
            organization_id,
            mode: Mode::Test,
            name: "Account".into(),
            timezone: None,
            metadata: serde_json::Map::new(),
            created_at: now,
        };
        assert_eq!(store.create_account(&account, None).await.unwrap(), Write::Done);
        let tenant = Tenant { organization_id, mode: Mode::Test, account_id: account.id };
        let user = User {
            id: UserId::mint(now, ids),
            account_id: account.id,
            name: "Host".into(),
            email: "host@example.com".into(),
            timezone: Tz::UTC,
            calendar_id: None,
            home_calendar_id: CalendarId::mint(now, ids),
            busy_calendar_ids: Vec::new(),
            created_at: now,
        };
        assert_eq!(store.create_user(&tenant, &user, &always(), None).await.unwrap(), Write::Done);
        Person { tenant, user_id: user.id, calendar_id: user.home_calendar_id }
    }
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.scheduler.node().id
    }

    pub(crate) async fn commit(&self, request: CommitRequest) -> CommitAnswer {
        self.scheduler.commit(request).await
    }

    pub(crate) async fn booked(&self, request: CommitRequest) -> Booking {
        match self.commit(request).await {
            CommitAnswer::Committed(Made::Booking(booking)) => *booking,
            other => panic!("not booked: {other:?}"),
        }
    }

    pub(crate) async fn facts(&self, person: &Person) -> Arc<CalendarFacts> {
        let need = Freshness { max_age: None, deadline: Duration::from_secs(1) };
        self.scheduler.facts(person.tenant.account_id, &[person.calendar_id], need).await.remove(0)
    }

    /// Whether an hour reads as taken here.
    pub(crate) async fn sees_taken(&self, person: &Person, hour: i64) -> bool {
        self.facts(person).await.claims.iter().any(|claim| claim.range.start == at(hour))
    }

    /// Whether it owns somebody's shard, as it knows.
    pub(crate) fn owns(&self, person: &Person) -> bool {
        self.scheduler.shard_map().shards[person.index()].owner == Some(self.id())
    }

    /// Whether it takes another node for the owner of somebody's shard.
    pub(crate) fn believes_owned_by(&self, person: &Person, owner: &Node) -> bool {
        self.scheduler.shard_map().shards[person.index()].owner == Some(owner.id())
    }

    /// How many shards it owns, as it knows.
    pub(crate) fn shard_count(&self) -> usize {
        self.scheduler.shard_map().shards.iter().filter(|row| row.owner == Some(self.id())).count()
    }
}

pub(crate) fn at(hour: i64) -> Timestamp {
    MIDNIGHT.plus_micros(hour * HOUR_US)
}

/// Waits, on virtual time, until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the last word of somebody's owner still counts.
pub(crate) async fn has_beat(town: &Town, person: &Person) -> bool {
    town.cache.read(person.shard(), &[]).await.unwrap().beat.is_some()
}

/// A reader finds an hour free in the cache, on the owner's word, which still counts when this returns. Commits take a while
/// from then on.
pub(crate) async fn reads_free_in_cache(town: &Town, owner: &Node, reader: &Node, person: &Person) {
    assert!(!owner.sees_taken(person, 9).await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(has_beat(town, person).await && !reader.sees_taken(person, 9).await);
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(40, 40));
}

/// The bookings that stand, by when they begin; none may be there twice.
pub(crate) fn standing(town: &Town, person: &Person) -> BTreeSet<Timestamp> {
    let view = town.disk.view();
    let claims = view.claims(person.tenant.account_id);
    let starts: BTreeSet<Timestamp> = claims.iter().map(|claim| claim.range.start).collect();
    assert_eq!(starts.len(), claims.len(), "no time is sold twice");
    starts
}

fn always() -> AvailabilityRules {
    let time = |minutes| CivilTime::from_minutes(minutes).unwrap();
    let window = CivilWindow { civil_start: time(0), civil_end: time(1_440) };
    let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
    AvailabilityRules { timezone: Tz::UTC, weekly, overrides: std::collections::BTreeMap::new() }
}
