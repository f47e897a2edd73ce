//! Whom the questions are about: people with a sandbox calendar that has a known number of busy intervals. And people who
//! have no other calendar than the one AgentCal keeps for them.

use agentcal_api::key;
use agentcal_engine::busy::BusySet;
use agentcal_engine::civil;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use agentcal_engine::model::{
    Account, ApiKey, AttendeePolicy, AvailabilityRules, BufferMode, Calendar, Connection, ConnectionStatus, EventType,
    FollowUp, KeyKind, Mode, OnStale, Organization, ProviderKind, SchedulingMode, Tenant, User, Watch, WatchState,
};
use agentcal_engine::ports::{Credentials, SandboxEvent, Store};
use agentcal_engine::time::{DAY_US, TimeRange, Timestamp};
use agentcal_provider_sandbox::{WORK, seeded_events};
use chrono_tz::Tz;

use super::{Dice, done, in_words};

pub(super) const ACCOUNTS: usize = 20;
pub(super) const PEOPLE_PER_ACCOUNT: usize = 5;
/// Busy intervals of each calendar in the days that are asked about.
const BUSY_INTERVALS: usize = 200;
/// Length of what can be booked.
const DURATION_MINUTES: u32 = 30;
/// Distance of two slots.
const SLOT_INTERVAL_MINUTES: u32 = 15;
/// Where the accounts live.
const ZONES: [Tz; 5] =
    [Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Europe__London, Tz::America__Los_Angeles];

/// Somebody to ask about, and what to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) account_id: String,
    pub(crate) event_type_id: String,
    pub(crate) user_id: String,
}

/// Whom to ask about, and the key to do it with.
pub(super) struct Written {
    pub(super) secret_key: String,
    /// Those with a calendar in the sandbox.
    pub(super) people: Vec<Person>,
    /// Those without.
    pub(super) at_home: Vec<Person>,
}

/// Which calendar somebody's bookings stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    InSandbox,
    AtHome,
}

/// Writes everybody.
pub(super) async fn write(store: &dyn Store, dice: &Dice, now: Timestamp, days: TimeRange) -> Result<Written, String> {
    let organization_id = OrganizationId::mint(now, dice);
    let organization = Organization { id: organization_id, name: "Measured".to_owned(), created_at: now };
    store.create_organization(&organization).await.map_err(in_words)?;
    let secret_key = secret_key(store, organization_id, now, dice).await?;
    let (mut people, mut at_home) = (Vec::new(), Vec::new());
    for (kept, written) in [(Kept::InSandbox, &mut people), (Kept::AtHome, &mut at_home)] {
        for number in 0..ACCOUNTS {
            let tenant = Tenant { organization_id, mode: Mode::Live, account_id: AccountId::mint(now, dice) };
            let home = Home { store, dice, now, days, tenant, zone: ZONES[number % ZONES.len()], kept };
            written.extend(home.write(number).await?);
        }
    }
    Ok(Written { secret_key, people, at_home })
}

/// Makes an organization a secret key.
pub(super) async fn secret_key(
    store: &dyn Store,
    organization_id: OrganizationId,
    now: Timestamp,
    dice: &Dice,
) -> Result<String, String> {
    let minted = key::mint(KeyKind::Secret, Mode::Live, dice);
    let key = ApiKey {
        id: KeyId::mint(now, dice),
        organization_id,
        kind: KeyKind::Secret,
        mode: Mode::Live,
        hash: minted.hash,
        hint: minted.hint,
        allowed_origins: Vec::new(),
        created_at: now,
        revoked_at: None,
    };
    store.create_key(&key).await.map_err(in_words)?;
    Ok(minted.text)
}

/// One account being written.
struct Home<'a> {
    store: &'a dyn Store,
    dice: &'a Dice,
    now: Timestamp,
    days: TimeRange,
    tenant: Tenant,
    zone: Tz,
    kept: Kept,
}

impl Home<'_> {
    async fn write(&self, number: usize) -> Result<Vec<Person>, String> {
        let account = account(&self.tenant, format!("Account {number}"), self.zone, self.now);
        done("accounts", self.store.create_account(&account, None).await.map_err(in_words)?)?;
        let mut user_ids = Vec::new();
        for place in 0..PEOPLE_PER_ACCOUNT {
            user_ids.push(self.write_person((number * PEOPLE_PER_ACCOUNT + place) as u64).await?);
        }
        let event_type = self.event_type(user_ids.clone());
        let answer = self.store.create_event_type(&self.tenant, &event_type, None).await.map_err(in_words)?;
        done("event types", answer)?;
        let person = |user_id: UserId| Person {
            account_id: self.tenant.account_id.to_string(),
            event_type_id: event_type.id.to_string(),
            user_id: user_id.to_string(),
        };
        Ok(user_ids.into_iter().map(person).collect())
    }

    async fn write_person(&self, seed: u64) -> Result<UserId, String> {
        let calendar_id = match self.kept {
            Kept::InSandbox => Some(self.write_calendar(seed).await?),
            Kept::AtHome => None,
        };
        let home_calendar_id = calendar_id.unwrap_or_else(|| CalendarId::mint(self.now, self.dice));
        let user = user(&self.tenant, UserId::mint(self.now, self.dice), home_calendar_id, self.zone, self.now);
        let user = User { calendar_id, ..user };
        let rules = AvailabilityRules::office_hours(self.zone);
        done("users", self.store.create_user(&self.tenant, &user, &rules, None).await.map_err(in_words)?)?;
        Ok(user.id)
    }

    async fn write_calendar(&self, seed: u64) -> Result<CalendarId, String> {
        let connection = connection(&self.tenant, ConnectionId::mint(self.now, self.dice), self.now);
        let calendar_id = CalendarId::mint(self.now, self.dice);
        let calendar = calendar(&connection, calendar_id, WORK, self.zone);
        let credentials = Credentials::Sandbox { seed };
        let written = self.store.create_connection(
            &self.tenant,
            &connection,
            &credentials,
            std::slice::from_ref(&calendar),
            None,
        );
        done("connections", written.await.map_err(in_words)?)?;
        for event in self.edits(seed) {
            let put = self.store.put_sandbox_event(self.tenant.account_id, calendar_id, &event, None);
            put.await.map_err(in_words)?.ok_or("the store did not take a sandbox event")?;
        }
        Ok(calendar_id)
    }

    /// What must be added to the lifelike part of a calendar, or taken out of it, to leave so many busy intervals.
    fn edits(&self, seed: u64) -> Vec<SandboxEvent> {
        let inside = |range: &TimeRange| range.overlaps(&self.days);
        let mut lifelike = seeded_events(seed, WORK, self.zone, self.days);
        let mut busy = BusySet::from_ranges(lifelike.iter().map(|event| event.range).filter(inside));
        let mut edits = Vec::new();
        while busy.len() > BUSY_INTERVALS {
            let event = lifelike.swap_remove(self.dice.below(lifelike.len()));
            edits.push(SandboxEvent { event_id: event.event_id, range: None, blocks: true, change: 0 });
            busy = BusySet::from_ranges(lifelike.iter().map(|event| event.range));
        }
        while busy.len() < BUSY_INTERVALS {
            let range = self.some_meeting();
            let added = busy.union(&BusySet::from_ranges([range]));
            if added.len() > busy.len() {
                busy = added;
                let event_id = format!("meeting-{}", edits.len());
                edits.push(SandboxEvent { event_id, range: Some(range), blocks: true, change: 0 });
            }
        }
        edits
    }

    /// A quarter to three quarters of an hour on one of the days, between eight and eight.
    fn some_meeting(&self) -> TimeRange {
        let day = self.dice.below(super::DAYS as usize - 1) as i64;
        let date = civil::date_of(self.days.start.plus_micros(day * DAY_US + DAY_US / 2), self.zone);
        let start = 8 * 60 + 15 * self.dice.below(44) as u32;
        let minutes = self.dice.pick(&[15, 30, 45]);
        let at = |minute| civil::instant_of(date, minute, self.zone);
        TimeRange { start: at(start), end: at(start + minutes) }
    }

    fn event_type(&self, user_ids: Vec<UserId>) -> EventType {
        EventType {
            id: EventTypeId::mint(self.now, self.dice),
            account_id: self.tenant.account_id,
            name: "Consultation".to_owned(),
            slug: "consultation".to_owned(),
            duration_minutes: DURATION_MINUTES,
            slot_interval_minutes: SLOT_INTERVAL_MINUTES,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            buffer_mode: BufferMode::Larger,
            min_notice_hours: 0,
            booking_window_days: super::DAYS as u32 + 2,
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
            created_at: self.now,
        }
    }
}

pub(super) fn account(tenant: &Tenant, name: String, zone: Tz, now: Timestamp) -> Account {
    Account {
        id: tenant.account_id,
        organization_id: tenant.organization_id,
        mode: tenant.mode,
        name,
        timezone: Some(zone),
        metadata: serde_json::Map::new(),
        created_at: now,
    }
}

pub(super) fn connection(tenant: &Tenant, id: ConnectionId, now: Timestamp) -> Connection {
    Connection {
        id,
        account_id: tenant.account_id,
        provider: ProviderKind::Sandbox,
        display_name: "Sandbox".to_owned(),
        owner_addresses: Vec::new(),
        status: ConnectionStatus::Syncing,
        status_reason: None,
        created_at: now,
    }
}

pub(super) fn calendar(connection: &Connection, id: CalendarId, provider_calendar_id: &str, zone: Tz) -> Calendar {
    Calendar {
        id,
        account_id: connection.account_id,
        connection_id: Some(connection.id),
        provider: ProviderKind::Sandbox,
        provider_calendar_id: provider_calendar_id.to_owned(),
        name: "Work".to_owned(),
        timezone: zone,
        writable: true,
        watch: Watch { state: WatchState::Polling, expires_at: None },
        last_synced_at: None,
        created_at: connection.created_at,
    }
}

pub(super) fn user(tenant: &Tenant, id: UserId, calendar_id: CalendarId, zone: Tz, now: Timestamp) -> User {
    User {
        id,
        account_id: tenant.account_id,
        name: "Robin Example".to_owned(),
        email: "robin@example.com".to_owned(),
        timezone: zone,
        calendar_id: Some(calendar_id),
        home_calendar_id: calendar_id,
        busy_calendar_ids: Vec::new(),
        created_at: now,
    }
}
