//! Who there is: accounts with people, each with a mailbox at one of two providers, and what can be booked.

use std::io;
use std::sync::Arc;

use agentcal_actors::Providers;
use agentcal_api::key;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use agentcal_engine::model::{
    Account, ApiKey, AttendeePolicy, AvailabilityRules, BufferMode, Calendar, CivilTime, CivilWindow, Connection,
    ConnectionStatus, EventType, FollowUp, KeyKind, Mode, OnStale, Organization, ProviderKind, SchedulingMode, Tenant,
    User, Watch, WatchState, WeeklyRule,
};
use agentcal_engine::ports::{Clock, ConfigStore, ConnectionStore, Credentials, StoreError, TenantStore, Write};
use agentcal_engine::time::Timestamp;
use agentcal_provider_oauth::OauthServers;
use agentcal_sim_store::{Dice, SimStore};

use crate::brake::Brake;
use crate::cloud::{Cloud, Place, ZONE};
use crate::consent::Browser;

/// People of one account at each provider.
const PEOPLE_PER_ACCOUNT: u32 = 10;
/// How long a booking is.
const MEETING_MINUTES: u32 = 30;

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) account_id: AccountId,
    pub(crate) event_type_id: EventTypeId,
    pub(crate) user_id: UserId,
    pub(crate) calendar_id: CalendarId,
    pub(crate) place: Place,
}

/// Everything there is when the soak begins.
pub(crate) struct World {
    pub(crate) key: String,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) people: Vec<Person>,
}

/// What founding takes.
pub(crate) struct Founder<'a> {
    pub(crate) store: &'a SimStore,
    pub(crate) cloud: &'a Cloud,
    pub(crate) providers: &'a Providers,
    pub(crate) servers: &'a OauthServers,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) brake: &'a Brake,
    pub(crate) dice: &'a Dice,
}

impl Founder<'_> {
    /// Has so many people consent at each provider, and connects them.
    pub(crate) async fn found(&self, calendars: u32) -> io::Result<World> {
        let browser = Browser::new(self.brake.clone()).map_err(io::Error::other)?;
        let organization_id = OrganizationId::mint(self.now(), self.dice);
        let key = self.organization(organization_id).await.map_err(io::Error::other)?;
        let mut world = World { key, accounts: Vec::new(), people: Vec::new() };
        let mut left = calendars;
        while left > 0 {
            let count = left.min(PEOPLE_PER_ACCOUNT);
            left -= count;
            self.account(&mut world, organization_id, &browser, count).await?;
        }
        Ok(world)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn organization(&self, id: OrganizationId) -> Result<String, StoreError> {
        let now = self.now();
        self.store.create_organization(&Organization { id, name: "Soak".into(), created_at: now }).await?;
        let minted = key::mint(KeyKind::Secret, Mode::Test, self.dice);
        let api_key = ApiKey {
            id: KeyId::mint(now, self.dice),
            organization_id: id,
            kind: KeyKind::Secret,
            mode: Mode::Test,
            hash: minted.hash,
            hint: minted.hint,
            allowed_origins: Vec::new(),
            created_at: now,
            revoked_at: None,
        };
        self.store.create_key(&api_key).await?;
        Ok(minted.text)
    }

    async fn account(
        &self,
        world: &mut World,
        organization_id: OrganizationId,
        browser: &Browser,
        count: u32,
    ) -> io::Result<()> {
        let now = self.now();
        let account = Account {
            id: AccountId::mint(now, self.dice),
            organization_id,
            mode: Mode::Test,
            name: format!("Practice {}", world.accounts.len()),
            timezone: Some(ZONE),
            metadata: serde_json::Map::new(),
            created_at: now,
        };
        done(self.store.create_account(&account, None).await)?;
        let tenant = Tenant { organization_id, mode: Mode::Test, account_id: account.id };
        let event_type_id = EventTypeId::mint(now, self.dice);
        let first = world.people.len();
        for number in 0..count * 2 {
            let provider = if number % 2 == 0 { ProviderKind::Google } else { ProviderKind::Microsoft };
            let address = format!("person{}@example.com", world.people.len());
            let calendar = self.connect(&tenant, browser, provider, &address).await?;
            let user_id = self.employ(&tenant, &address, calendar.id).await?;
            let place = Place { provider, address, remote_id: calendar.provider_calendar_id };
            let account_id = account.id;
            world.people.push(Person { account_id, event_type_id, user_id, calendar_id: calendar.id, place });
        }
        let user_ids = world.people[first..].iter().map(|person| person.user_id).collect();
        let offered = event_type(account.id, event_type_id, user_ids, now);
        done(self.store.create_event_type(&tenant, &offered, None).await)?;
        world.accounts.push(account.id);
        Ok(())
    }

    async fn connect(
        &self,
        tenant: &Tenant,
        browser: &Browser,
        provider: ProviderKind,
        address: &str,
    ) -> io::Result<Calendar> {
        self.cloud.add(provider, address);
        let grant = browser.consent(self.servers, provider, address).await.map_err(io::Error::other)?;
        let credentials = Credentials::Oauth(grant);
        let asked = self.providers.get(provider).ok_or_else(|| io::Error::other("no such provider"))?;
        let discovery = asked.discover(&credentials).await.map_err(io::Error::other)?;
        let now = self.now();
        let connection = Connection {
            id: ConnectionId::mint(now, self.dice),
            account_id: tenant.account_id,
            provider,
            display_name: discovery.display_name,
            owner_addresses: discovery.owner_addresses,
            status: ConnectionStatus::Syncing,
            status_reason: None,
            created_at: now,
        };
        let remote = discovery.calendars.into_iter().next().ok_or_else(|| io::Error::other("no calendar"))?;
        let calendar = Calendar {
            id: CalendarId::mint(now, self.dice),
            account_id: tenant.account_id,
            connection_id: Some(connection.id),
            provider,
            provider_calendar_id: remote.provider_calendar_id,
            name: remote.name,
            timezone: remote.timezone.unwrap_or(ZONE),
            writable: remote.writable,
            watch: Watch { state: WatchState::None, expires_at: None },
            last_synced_at: None,
            created_at: now,
        };
        let calendars = std::slice::from_ref(&calendar);
        done(self.store.create_connection(tenant, &connection, &credentials, calendars, None).await)?;
        Ok(calendar)
    }

    async fn employ(&self, tenant: &Tenant, address: &str, calendar_id: CalendarId) -> io::Result<UserId> {
        let now = self.now();
        let user = User {
            id: UserId::mint(now, self.dice),
            account_id: tenant.account_id,
            name: address.to_owned(),
            email: address.to_owned(),
            timezone: ZONE,
            calendar_id: Some(calendar_id),
            home_calendar_id: calendar_id,
            busy_calendar_ids: vec![calendar_id],
            created_at: now,
        };
        done(self.store.create_user(tenant, &user, &long_hours(), None).await)?;
        Ok(user.id)
    }
}

/// Every day from six to ten in the evening.
fn long_hours() -> AvailabilityRules {
    let time = |minutes| CivilTime::from_minutes(minutes).expect("a literal time of day");
    let window = CivilWindow { civil_start: time(6 * 60), civil_end: time(22 * 60) };
    let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
    AvailabilityRules { timezone: ZONE, weekly, overrides: std::collections::BTreeMap::new() }
}

fn event_type(account_id: AccountId, id: EventTypeId, user_ids: Vec<UserId>, now: Timestamp) -> EventType {
    EventType {
        id,
        account_id,
        name: "Meeting".to_owned(),
        slug: "meeting".to_owned(),
        duration_minutes: MEETING_MINUTES,
        slot_interval_minutes: MEETING_MINUTES,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 1,
        booking_window_days: 21,
        max_bookings_per_day: None,
        user_ids,
        scheduling_mode: SchedulingMode::Individual,
        public: true,
        location: None,
        require_slot_id: false,
        conference: None,
        on_stale: OnStale::Verify,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: now,
    }
}

fn done(write: Result<Write, StoreError>) -> io::Result<()> {
    match write.map_err(io::Error::other)? {
        Write::Done => Ok(()),
        other => Err(io::Error::other(format!("the beginning of the world was answered with {other:?}"))),
    }
}
