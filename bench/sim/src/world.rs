//! Who there is: an organization with an account, people with calendars at two providers, and what can be booked.

use agentcal_api::key;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use agentcal_engine::model::{
    Account, ApiKey, AttendeePolicy, AvailabilityRules, BufferMode, Calendar, CivilTime, CivilWindow, Connection,
    ConnectionStatus, EventType, FollowUp, KeyKind, Mode, OnStale, Organization, ProviderKind, SchedulingMode, Tenant,
    User, Watch, WatchState, WeeklyRule,
};
use agentcal_engine::ports::{ConfigStore, ConnectionStore, Credentials, StoreError, TenantStore, Write};
use agentcal_engine::time::{HOUR_US, Timestamp};
use agentcal_sim_store::{Dice, SimStore};
use chrono_tz::Tz;

use crate::provider::Cloud;

/// Changes of clocks, in zones that do it in different ways: by an hour and by half of one, at night and at midnight.
const CLOCK_CHANGES: [(Tz, i64); 10] = [
    (Tz::Europe__Berlin, 1_806_195_600),       // 2027-03-28T01:00Z, forward
    (Tz::Europe__Berlin, 1_824_944_400),       // 2027-10-31T01:00Z, back
    (Tz::America__New_York, 1_805_007_600),    // 2027-03-14T07:00Z, forward
    (Tz::America__New_York, 1_825_567_200),    // 2027-11-07T06:00Z, back
    (Tz::Australia__Lord_Howe, 1_806_764_400), // 2027-04-03T15:00Z, back by half an hour
    (Tz::Australia__Lord_Howe, 1_822_491_000), // 2027-10-02T15:30Z, forward by half an hour
    (Tz::America__Santiago, 1_820_116_800),    // 2027-09-05T04:00Z, midnight is skipped
    (Tz::Africa__Cairo, 1_809_036_000),        // 2027-04-29T22:00Z, midnight is skipped
    (Tz::Asia__Beirut, 1_806_184_800),         // 2027-03-27T22:00Z, midnight is skipped
    (Tz::Asia__Kathmandu, 1_800_000_000),      // no change, and an offset of a quarter of an hour
];

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    /// Names of the calendars read for it, its own first.
    pub(crate) calendars: Vec<String>,
}

/// A calendar at a provider.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) calendar_id: CalendarId,
}

/// Something that can be booked.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) id: EventTypeId,
    pub(crate) user_ids: Vec<UserId>,
    pub(crate) mode: SchedulingMode,
    pub(crate) minutes: u32,
    pub(crate) needs_slot_id: bool,
    /// How often clients want it, relative to the others.
    pub(crate) weight: u64,
}

/// Everything there is when the simulation begins.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) key: String,
    pub(crate) tenant: Tenant,
    pub(crate) people: Vec<Person>,
    pub(crate) places: Vec<Place>,
    pub(crate) things: Vec<Thing>,
}

/// When a simulation begins: from a day and a half before to an hour after a change of clocks, on a full minute.
pub(crate) fn start_of(dice: &Dice) -> (Timestamp, Tz) {
    let (zone, change) = *dice.pick(&CLOCK_CHANGES);
    let before = i64::try_from(dice.below(36 * 60)).unwrap_or(0) * 60;
    (Timestamp::from_seconds(change - before + 3_600), zone)
}

impl World {
    /// Writes it all to a store that does not fail.
    pub(crate) async fn found(
        store: &SimStore,
        cloud: &Cloud,
        dice: &Dice,
        now: Timestamp,
        zone: Tz,
    ) -> Result<Self, StoreError> {
        let (key, tenant) = organization(store, dice, now).await?;
        let mut world = Self { key, tenant, people: Vec::new(), places: Vec::new(), things: Vec::new() };
        let google = world.connect(store, cloud, dice, now, (ProviderKind::Google, 5)).await?;
        let caldav = world.connect(store, cloud, dice, now, (ProviderKind::Caldav, 4)).await?;
        let zones = [zone, Tz::UTC, zone, Tz::Europe__Berlin, Tz::America__New_York, zone, Tz::Asia__Kathmandu];
        for (index, zone) in zones.into_iter().enumerate() {
            // The last has no calendar; two read a second one; the rest have one each.
            let own: Vec<usize> = match index {
                6 => Vec::new(),
                1 | 2 => vec![index, 7 + index - 1],
                _ => vec![index],
            };
            let calendars = own.iter().filter_map(|&place| google.iter().chain(&caldav).nth(place)).collect();
            world.employ(store, dice, now, (index, zone), calendars).await?;
        }
        world.offer(store, dice, now).await?;
        Ok(world)
    }

    async fn connect(
        &mut self,
        store: &SimStore,
        cloud: &Cloud,
        dice: &Dice,
        now: Timestamp,
        (provider, count): (ProviderKind, usize),
    ) -> Result<Vec<Calendar>, StoreError> {
        let connection = Connection {
            id: ConnectionId::mint(now, dice),
            account_id: self.tenant.account_id,
            provider,
            display_name: format!("{provider:?}"),
            owner_addresses: Vec::new(),
            status: ConnectionStatus::Syncing,
            status_reason: None,
            created_at: now,
        };
        let calendars: Vec<Calendar> = (0..count).map(|number| calendar(&connection, number, dice, now)).collect();
        let credentials = Credentials::Sandbox { seed: 0 };
        done(store.create_connection(&self.tenant, &connection, &credentials, &calendars, None).await?)?;
        for calendar in &calendars {
            cloud.open(&calendar.provider_calendar_id);
            let name = calendar.provider_calendar_id.clone();
            self.places.push(Place { name, calendar_id: calendar.id });
        }
        Ok(calendars)
    }

    async fn employ(
        &mut self,
        store: &SimStore,
        dice: &Dice,
        now: Timestamp,
        (index, timezone): (usize, Tz),
        calendars: Vec<&Calendar>,
    ) -> Result<(), StoreError> {
        let id = UserId::mint(now, dice);
        let own = calendars.first().map(|calendar| calendar.id);
        let user = User {
            id,
            account_id: self.tenant.account_id,
            name: format!("Person {index}"),
            email: format!("person{index}@example.com"),
            timezone,
            calendar_id: own,
            home_calendar_id: own.unwrap_or_else(|| CalendarId::mint(now, dice)),
            busy_calendar_ids: calendars.iter().map(|calendar| calendar.id).collect(),
            created_at: now,
        };
        done(store.create_user(&self.tenant, &user, &rules(index, timezone), None).await?)?;
        let calendars = calendars.iter().map(|calendar| calendar.provider_calendar_id.clone()).collect();
        self.people.push(Person { user_id: id, calendars });
        Ok(())
    }

    async fn offer(&mut self, store: &SimStore, dice: &Dice, now: Timestamp) -> Result<(), StoreError> {
        use SchedulingMode::{Collective, Individual, RoundRobin};
        let all: Vec<UserId> = self.people.iter().map(|person| person.user_id).collect();
        let types = [
            ("hot", Individual, &all[..1], 30, 8),
            ("team", RoundRobin, &all[1..4], 30, 4),
            ("panel", Collective, &all[3..5], 60, 3),
            ("long", Individual, &all[2..6], 45, 3),
            ("strict", Individual, &all[5..6], 30, 2),
            ("bare", Individual, &all[6..], 20, 2),
        ];
        for (name, mode, user_ids, minutes, weight) in types {
            let id = EventTypeId::mint(now, dice);
            let mut event_type = event_type(self.tenant.account_id, id, name, mode, minutes, now);
            event_type.user_ids = user_ids.to_vec();
            adjust(&mut event_type);
            done(store.create_event_type(&self.tenant, &event_type, None).await?)?;
            let needs_slot_id = event_type.require_slot_id;
            self.things.push(Thing { id, user_ids: user_ids.to_vec(), mode, minutes, needs_slot_id, weight });
        }
        Ok(())
    }

    /// Whose time an event in a calendar takes.
    pub(crate) fn readers_of<'w>(&'w self, name: &'w str) -> impl Iterator<Item = UserId> + 'w {
        let reads = move |person: &&Person| person.calendars.iter().any(|calendar| calendar == name);
        self.people.iter().filter(reads).map(|person| person.user_id)
    }

    pub(crate) fn account_id(&self) -> AccountId {
        self.tenant.account_id
    }
}

async fn organization(store: &SimStore, dice: &Dice, now: Timestamp) -> Result<(String, Tenant), StoreError> {
    let organization = Organization { id: OrganizationId::mint(now, dice), name: "Org".into(), created_at: now };
    store.create_organization(&organization).await?;
    let minted = key::mint(KeyKind::Secret, Mode::Test, dice);
    let api_key = ApiKey {
        id: KeyId::mint(now, dice),
        organization_id: organization.id,
        kind: KeyKind::Secret,
        mode: Mode::Test,
        hash: minted.hash,
        hint: minted.hint,
        allowed_origins: Vec::new(),
        created_at: now,
        revoked_at: None,
    };
    store.create_key(&api_key).await?;
    let account = Account {
        id: AccountId::mint(now, dice),
        organization_id: organization.id,
        mode: Mode::Test,
        name: "Account".into(),
        timezone: None,
        metadata: serde_json::Map::new(),
        created_at: now,
    };
    done(store.create_account(&account, None).await?)?;
    let tenant = Tenant { organization_id: organization.id, mode: Mode::Test, account_id: account.id };
    Ok((minted.text, tenant))
}

fn done(write: Write) -> Result<(), StoreError> {
    match write {
        Write::Done => Ok(()),
        other => Err(StoreError::Corrupt(format!("the beginning of the world was answered with {other:?}"))),
    }
}

fn calendar(connection: &Connection, number: usize, dice: &Dice, now: Timestamp) -> Calendar {
    let name = format!("{}-{number}", connection.display_name.to_lowercase());
    Calendar {
        id: CalendarId::mint(now, dice),
        account_id: connection.account_id,
        connection_id: Some(connection.id),
        provider: connection.provider,
        provider_calendar_id: name.clone(),
        name,
        timezone: Tz::UTC,
        writable: true,
        watch: Watch { state: WatchState::None, expires_at: None },
        last_synced_at: None,
        created_at: now,
    }
}

/// Some can be had day and night, some in office hours, one across midnight.
fn rules(index: usize, timezone: Tz) -> AvailabilityRules {
    let time = |minutes| CivilTime::from_minutes(minutes).expect("a literal time of day");
    let every_day = |from, to| {
        let window = CivilWindow { civil_start: time(from), civil_end: time(to) };
        let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
        AvailabilityRules { timezone, weekly, overrides: std::collections::BTreeMap::new() }
    };
    match index {
        0 | 3 | 4 | 6 => every_day(0, 1_440),
        2 => every_day(20 * 60, 6 * 60),
        5 => every_day(7 * 60, 22 * 60),
        _ => AvailabilityRules::office_hours(timezone),
    }
}

fn event_type(
    account_id: AccountId,
    id: EventTypeId,
    name: &str,
    scheduling_mode: SchedulingMode,
    minutes: u32,
    now: Timestamp,
) -> EventType {
    EventType {
        id,
        account_id,
        name: name.to_owned(),
        slug: name.to_owned(),
        duration_minutes: minutes,
        slot_interval_minutes: minutes,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: 14,
        max_bookings_per_day: None,
        user_ids: Vec::new(),
        scheduling_mode,
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

/// What sets one event type apart from the others.
fn adjust(event_type: &mut EventType) {
    match event_type.name.as_str() {
        "team" | "panel" => (event_type.buffer_before_minutes, event_type.buffer_after_minutes) = (5, 10),
        "long" => {
            event_type.slot_interval_minutes = 15;
            event_type.max_bookings_per_day = Some(6);
            event_type.buffer_mode = BufferMode::Sum;
            event_type.buffer_after_minutes = 15;
            event_type.on_stale = OnStale::Accept;
        }
        "strict" => event_type.require_slot_id = true,
        "bare" => event_type.on_stale = OnStale::Refuse,
        _ => {}
    }
}

/// Microseconds of the times around now that hot clients fight for.
pub(crate) const HOT_US: i64 = 30 * HOUR_US;
