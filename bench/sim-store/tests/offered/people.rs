//! An account with people, calendars, bookings and holds, written through the store's ports.

use std::collections::BTreeMap;

use agentcal_engine::calendar::sync::window_at;
use agentcal_engine::commit::{
    Access, BookingChange, ClaimChange, CommitPlan, Effect, ExpectedRevision, HoldChange, HoldLimits, RevisionKey,
};
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{
    AccountId, BookingId, CalendarId, ClaimId, ConnectionId, EventTypeId, HoldId, OrganizationId, UserId, mint_uuid,
};
use agentcal_engine::model::{
    Account, Attendee, Booking, BookingHost, BookingStatus, Calendar, Claim, ClaimOwner, Connection, ConnectionStatus,
    EventType, ExternalState, Hold, HoldState, Mode, Organization, ProviderKind, Tenant, User, Watch, WatchState,
    Writeback, WritebackState,
};
use agentcal_engine::ports::{
    CommitStore, ConfigStore, ConnectionStore, Credentials, FactStore, ResourceChange, SaveSync, SyncState,
    TenantStore, Write,
};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::{MINUTE_US, SECOND_US, TimeRange, Timestamp};
use agentcal_sim_store::{Seeded, SimStore};
use chrono_tz::Tz;

use crate::dice::Dice;
use crate::draw::{self, minutes};
use crate::moments::ZONES;
use crate::provider::cursor;

/// Whoever writes an account, and with what.
pub(crate) struct Writer<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) store: &'a SimStore,
    pub(crate) ids: &'a Seeded,
    pub(crate) now: Timestamp,
}

impl Writer<'_> {
    pub(crate) async fn tenant(&mut self) -> Tenant {
        let organization_id = OrganizationId::mint(self.now, self.ids);
        let organization = Organization { id: organization_id, name: "Org".into(), created_at: self.now };
        self.store.create_organization(&organization).await.unwrap();
        let account = Account {
            id: AccountId::mint(self.now, self.ids),
            organization_id,
            mode: Mode::Test,
            name: "Account".into(),
            timezone: None,
            metadata: serde_json::Map::new(),
            created_at: self.now,
        };
        assert_eq!(self.store.create_account(&account, None).await.unwrap(), Write::Done);
        Tenant { organization_id, mode: Mode::Test, account_id: account.id }
    }

    /// Up to three calendars of one connection.
    pub(crate) async fn calendars(&mut self, tenant: &Tenant) -> Vec<Calendar> {
        let connection = Connection {
            id: ConnectionId::mint(self.now, self.ids),
            account_id: tenant.account_id,
            provider: ProviderKind::Caldav,
            display_name: "somebody".into(),
            owner_addresses: Vec::new(),
            status: ConnectionStatus::Active,
            status_reason: None,
            created_at: self.now,
        };
        let calendar = |number: usize| Calendar {
            id: CalendarId::mint(self.now, self.ids),
            account_id: tenant.account_id,
            connection_id: Some(connection.id),
            provider: ProviderKind::Caldav,
            provider_calendar_id: format!("calendar {number}"),
            name: String::new(),
            timezone: Tz::UTC,
            writable: number != 2,
            watch: Watch { state: WatchState::Polling, expires_at: None },
            last_synced_at: None,
            created_at: self.now,
        };
        let calendars: Vec<_> = (0..self.dice.below(4)).map(calendar).collect();
        let credentials = Credentials::Sandbox { seed: 1 };
        let write = self.store.create_connection(tenant, &connection, &credentials, &calendars, None).await;
        assert_eq!(write.unwrap(), Write::Done);
        calendars
    }

    /// One to four people, each with a calendar, with more of them, or with none.
    pub(crate) async fn users(&mut self, tenant: &Tenant, calendars: &[Calendar]) -> Vec<User> {
        let calendars: Vec<CalendarId> = calendars.iter().map(|calendar| calendar.id).collect();
        let mut users = Vec::new();
        for _ in 0..=self.dice.below(4) {
            let own = (!calendars.is_empty() && self.dice.percent(60)).then(|| self.dice.pick(&calendars));
            let id = UserId::mint(self.now, self.ids);
            let user = User {
                id,
                account_id: tenant.account_id,
                name: "Host".into(),
                email: format!("{id}@example.com"),
                timezone: self.dice.pick(&ZONES),
                calendar_id: own,
                home_calendar_id: own.unwrap_or_else(|| CalendarId::mint(self.now, self.ids)),
                busy_calendar_ids: self.dice.some(&calendars, 30),
                created_at: self.now,
            };
            let rules = draw::rules(self.dice, self.now);
            let write = self.store.create_user(tenant, &user, &rules, None).await;
            assert_eq!(write.unwrap(), Write::Done);
            users.push(user);
        }
        users
    }

    /// An event type of some of the people, in any order, with rules of its own or without.
    pub(crate) async fn event_type(&mut self, tenant: &Tenant, users: &[User]) -> EventType {
        let mut hosts: Vec<UserId> = users.iter().map(|user| user.id).collect();
        hosts = self.dice.some(&hosts, 80);
        if hosts.is_empty() || self.dice.percent(50) {
            hosts = users.iter().map(|user| user.id).collect();
        }
        let first = self.dice.below(hosts.len());
        hosts.rotate_left(first);
        let id = EventTypeId::mint(self.now, self.ids);
        let event_type = draw::event_type(self.dice, id, tenant.account_id, hosts);
        assert_eq!(self.store.create_event_type(tenant, &event_type, None).await.unwrap(), Write::Done);
        if self.dice.percent(30) {
            let rules = draw::rules(self.dice, self.now);
            assert_eq!(self.store.put_event_type_rules(tenant, id, &rules, None).await.unwrap(), Write::Done);
        }
        event_type
    }

    /// What stands in the calendars: busy time, and events of bookings, where they are or where somebody moved them. What
    /// was synced of it was synced a while ago.
    pub(crate) async fn sync(&mut self, calendars: &[Calendar], bookings: &[Booking]) -> Events {
        let epoch = self.store.raise_epoch().await.unwrap();
        let mut events = Events::new();
        for calendar in calendars {
            let changes = self.events(bookings);
            let ago = if self.dice.percent(10) { self.dice.between(600, 9_000) } else { self.dice.between(0, 200) };
            let whole = window_at(self.now);
            let is_narrow = self.dice.percent(5);
            let window = if is_narrow { minutes(self.now, -3_000, self.dice.between(3_100, 9_000)) } else { whole };
            let state = SyncState {
                cursor: Some(cursor()),
                window: Some(window),
                synced_at: Some(self.now.plus_micros(-ago * SECOND_US)),
                generation: 1,
                due_at: self.now.plus_micros(self.dice.between(-10, 300) * SECOND_US),
                ..SyncState::default()
            };
            let save = SaveSync {
                account_id: calendar.account_id,
                calendar_id: calendar.id,
                epoch,
                generation: 1,
                begins_shadow: true,
                changes: changes.clone(),
                finish: (!self.dice.percent(3)).then_some(state),
            };
            assert!(self.store.save_sync(&save).await.unwrap().is_some());
            events.insert(calendar.provider_calendar_id.clone(), changes);
        }
        events
    }

    fn events(&mut self, bookings: &[Booking]) -> Vec<ResourceChange> {
        let resource = |number: usize, instance| ResourceChange {
            provider_event_id: format!("event {number}"),
            instances: vec![instance],
        };
        let mut instances = Vec::new();
        for range in draw::blocks(self.dice, self.now) {
            instances.push(ExternalInstance { range, booking_id: None, blocks: !self.dice.percent(5) });
        }
        for booking in self.dice.some(bookings, 20) {
            let is_moved = self.dice.percent(50);
            let moved = minutes(booking.range.start, self.dice.between(-300, 300), self.dice.between(5, 90));
            let range = if is_moved { moved } else { booking.range };
            instances.push(ExternalInstance { range, booking_id: Some(booking.id), blocks: true });
        }
        instances.into_iter().enumerate().map(|(number, instance)| resource(number, instance)).collect()
    }

    /// What was booked and held before. What overlaps is refused by the store, and that is all right.
    pub(crate) async fn past(&mut self, tenant: &Tenant, users: &[User], event_type: &EventType) -> Vec<Booking> {
        let mut bookings = Vec::new();
        for _ in 0..self.dice.below(10) {
            let mut hosts = vec![self.dice.pick(users)];
            if self.dice.percent(15) {
                hosts = users.to_vec();
            }
            let past = Past { tenant, hosts: &hosts, event_type, range: self.taken_range() };
            if self.dice.percent(60) {
                bookings.extend(self.book(&past).await);
            } else {
                self.hold(&past).await;
            }
        }
        bookings
    }

    fn taken_range(&mut self) -> TimeRange {
        let is_even = self.dice.percent(75);
        let start = if is_even { self.dice.between(-40, 300) * 30 } else { self.dice.between(-1_200, 9_000) };
        let length = if self.dice.percent(80) { self.dice.pick(&[15, 30, 60]) } else { self.dice.between(1, 1_440) };
        let even = Timestamp::from_micros(self.now.as_micros().div_euclid(MINUTE_US) * MINUTE_US);
        minutes(if is_even { even } else { self.now }, start, length)
    }

    async fn book(&mut self, past: &Past<'_>) -> Option<Booking> {
        let pending = Writeback { state: WritebackState::Pending, attempts: 0, last_error: None };
        let host = |user: &User| BookingHost {
            user_id: user.id,
            calendar_id: user.calendar_id,
            provider_event_id: None,
            writeback: user.calendar_id.map(|_| pending.clone()),
            external_state: user.calendar_id.map(|_| ExternalState::InSync),
        };
        let booking = Booking {
            id: BookingId::mint(self.now, self.ids),
            account_id: past.tenant.account_id,
            event_type_id: self.dice.percent(60).then_some(past.event_type.id),
            title: "Checkup".into(),
            location: None,
            range: past.range,
            status: BookingStatus::Confirmed,
            timezone: Tz::UTC,
            attendee: Attendee { name: "Max".into(), email: None, phone: None, timezone: None },
            metadata: serde_json::Map::new(),
            hosts: past.hosts.iter().map(host).collect(),
            sequence: 0,
            attendee_reschedules: 0,
            cancel_reason: None,
            conference: None,
            created_at: self.now,
        };
        let owner = ClaimOwner::Booking(booking.id);
        let written = past.hosts.iter().filter_map(|user| user.calendar_id);
        let mut effects: Vec<Effect> =
            written.map(|calendar_id| Effect::Writeback { booking_id: booking.id, calendar_id }).collect();
        effects.sort();
        effects.dedup();
        let plan = CommitPlan {
            claims: self.claims(past, owner, booking.event_type_id, None),
            booking: Some(BookingChange::Insert(Box::new(booking.clone()))),
            effects,
            ..self.plan(past)
        };
        let outcome = self.store.commit(&plan).await.unwrap();
        matches!(outcome, agentcal_engine::commit::Outcome::Committed { .. }).then_some(booking)
    }

    /// A hold that expired, or one that lives on for a while.
    async fn hold(&mut self, past: &Past<'_>) {
        let is_over = self.dice.percent(50);
        let seconds = if is_over { self.dice.between(-9_000, 0) } else { self.dice.between(1, 900) };
        let expires_at = self.now.plus_micros(seconds * SECOND_US);
        let hold = Hold {
            id: HoldId::mint(self.now, self.ids),
            account_id: past.tenant.account_id,
            event_type_id: Some(past.event_type.id),
            range: past.range,
            user_ids: past.hosts.iter().map(|user| user.id).collect(),
            session_id: None,
            state: HoldState::Active,
            expires_at,
            created_at: self.now,
        };
        let owner = ClaimOwner::Hold(hold.id);
        let plan = CommitPlan {
            claims: self.claims(past, owner, hold.event_type_id, Some(expires_at)),
            holds: vec![HoldChange::Insert { hold: Box::new(hold), limits: HoldLimits::default() }],
            ..self.plan(past)
        };
        self.store.commit(&plan).await.unwrap();
    }

    fn claims(
        &mut self,
        past: &Past<'_>,
        owner: ClaimOwner,
        event_type_id: Option<EventTypeId>,
        expires_at: Option<Timestamp>,
    ) -> Vec<ClaimChange> {
        let buffers = [0, 0, 0, 5, 5, 15, 15, 30, 60, 1_440];
        let (buffer_before_minutes, buffer_after_minutes) = (self.dice.pick(&buffers), self.dice.pick(&buffers));
        let claim = |user: &User| Claim {
            id: ClaimId::mint(self.now, self.ids),
            account_id: user.account_id,
            user_id: user.id,
            home_calendar_id: user.home_calendar_id,
            range: past.range,
            owner,
            event_type_id,
            buffer_before_minutes,
            buffer_after_minutes,
            expires_at,
            session_id: None,
        };
        past.hosts.iter().map(claim).map(ClaimChange::Insert).collect()
    }

    /// A plan that raises what concerns the hosts, and does nothing else yet.
    fn plan(&self, past: &Past<'_>) -> CommitPlan {
        let raise = |key| ExpectedRevision { key, revision: None, access: Access::Write };
        let homes = past.hosts.iter().map(|user| RevisionKey::Calendar(user.home_calendar_id));
        let users = past.hosts.iter().map(|user| RevisionKey::User(user.id));
        let mut expected_revisions: Vec<_> = homes.chain(users).map(raise).collect();
        expected_revisions.sort();
        expected_revisions.dedup();
        CommitPlan {
            commit_id: mint_uuid(self.now, self.ids),
            tenant: *past.tenant,
            shard: Shard::of(past.tenant.account_id),
            epoch: None,
            is_shared: false,
            expired_until: None,
            expected_revisions,
            claims: Vec::new(),
            booking: None,
            holds: Vec::new(),
            decision: None,
            effects: Vec::new(),
            event: None,
            idempotency: None,
        }
    }
}

/// Events by their calendar's name at the provider.
pub(crate) type Events = BTreeMap<String, Vec<ResourceChange>>;

/// Something booked or held before.
struct Past<'a> {
    tenant: &'a Tenant,
    hosts: &'a [User],
    event_type: &'a EventType,
    range: TimeRange,
}
