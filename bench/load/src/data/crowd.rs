//! Everybody else: calendars that nobody asks about while a few others are measured. Made once and copied.

use std::fs;
use std::path::{Path, PathBuf};

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, OrganizationId, UserId};
use agentcal_engine::model::{AvailabilityRules, Mode, Organization, Tenant};
use agentcal_engine::ports::{
    Clock, Credentials, FactStore, ResourceChange, SaveSync, Store, SyncCursor, SyncState, TenantStore,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{DAY_US, HOUR_US, TimeRange, Timestamp};
use chrono_tz::Tz;

use super::people::{account, calendar, connection, secret_key, user};
use super::{DATABASE_FILE, Dice, KEYRING_FILE, SystemClock, done, in_words, keyring, open};

const SEED: u64 = 0x5eed_0002;
/// Raised whenever something else is written for the same seed.
const FOLDER: &str = "crowd-1";
const CALENDARS_PER_ACCOUNT: usize = 100;
const USERS_PER_ACCOUNT: usize = 10;
/// Calendars that one of them reads.
pub(crate) const CALENDARS_PER_PERSON: usize = CALENDARS_PER_ACCOUNT / USERS_PER_ACCOUNT;
/// The crowd's organization.
const CROWD: &str = "Everybody else";
/// Busy intervals of each calendar.
const BUSY_INTERVALS: i64 = 5;
const CALLERS_SEED: u64 = 0x5eed_0003;
/// Busy intervals of each calendar that is woken, over a year and a month.
const CALLERS_BUSY_INTERVALS: i64 = 200;
/// When the crowd's calendars are due: later than any measurement, so that none of them syncs meanwhile.
const DUE_AT: Timestamp = Timestamp::LATEST;
/// Fixed, so that a copy made years later is the same.
const MADE_AT: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// A data folder with nothing but a crowd.
pub(crate) struct Crowd {
    folder: PathBuf,
}

impl Crowd {
    /// The crowd kept below `kept`; made where it is not there, or is of another schema. `progress` hears how many of its
    /// calendars are written.
    pub(crate) async fn of(kept: &Path, calendars: usize, progress: impl Fn(usize)) -> Result<Self, String> {
        let folder = kept.join(format!("{FOLDER}-{calendars}"));
        let crowd = Self { folder };
        if crowd.folder.join(DATABASE_FILE).is_file() && crowd.is_current().await {
            return Ok(crowd);
        }
        let failed = |error| format!("{}: {error}", crowd.folder.display());
        fs::create_dir_all(kept).map_err(failed)?;
        let half_made = tempfile::tempdir_in(quick_place(kept)).map_err(failed)?;
        write(half_made.path(), calendars, progress).await?;
        if crowd.folder.exists() {
            fs::remove_dir_all(&crowd.folder).map_err(failed)?;
        }
        copy(half_made.path(), &crowd.folder)?;
        Ok(crowd)
    }

    /// Puts a copy of it into a folder.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<(), String> {
        copy(&self.folder, folder)
    }

    /// Adds people to the crowd in a folder, and gives it a secret key to ask about them with. Each reads
    /// [`CALENDARS_PER_PERSON`] calendars that nobody else reads, which were synced just now.
    pub(crate) async fn callers(folder: &Path, count: usize) -> Result<Callers, String> {
        let store = open(folder, &keyring(folder)?).await?;
        let found = callers(&store, count).await;
        store.close().await;
        found
    }

    async fn is_current(&self) -> bool {
        let Ok(keyring) = keyring(&self.folder) else { return false };
        match open(&self.folder, &keyring).await {
            Ok(store) => {
                store.close().await;
                true
            }
            Err(_) => false,
        }
    }
}

/// Some of the crowd, to ask about.
pub(crate) struct Callers {
    /// The organization's key.
    pub(crate) secret_key: String,
    /// Accounts, and a user of each.
    pub(crate) people: Vec<(AccountId, UserId)>,
}

async fn callers(store: &dyn Store, count: usize) -> Result<Callers, String> {
    let organizations = store.list_organizations().await.map_err(in_words)?;
    let crowd = organizations.iter().find(|organization| organization.name == CROWD).ok_or("there is no crowd")?;
    let dice = Dice::new(CALLERS_SEED);
    let secret_key = secret_key(store, crowd.id, MADE_AT, &dice).await?;
    let epoch = store.raise_epoch().await.map_err(in_words)?;
    let life = Life { synced_at: SystemClock.now(), busy_intervals: CALLERS_BUSY_INTERVALS, apart: 2 * DAY_US };
    let mut people = Vec::new();
    while people.len() < count {
        let tenant =
            Tenant { organization_id: crowd.id, mode: Mode::Live, account_id: AccountId::mint(MADE_AT, &dice) };
        let users = write_account(store, &dice, epoch, &tenant, (CALENDARS_PER_ACCOUNT, life)).await?;
        people.extend(users.into_iter().map(|user_id| (tenant.account_id, user_id)));
    }
    people.truncate(count);
    Ok(Callers { secret_key, people })
}

/// Memory, where the system has a file system in it: a hundred thousand transactions wait for no disk there.
pub(crate) fn quick_place(otherwise: &Path) -> &Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { otherwise }
}

/// The database was closed, so its journal is folded into it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    for name in [KEYRING_FILE, DATABASE_FILE] {
        fs::copy(from.join(name), to.join(name)).map_err(|error| format!("{}: {error}", to.join(name).display()))?;
    }
    Ok(())
}

async fn write(folder: &Path, calendars: usize, progress: impl Fn(usize)) -> Result<(), String> {
    let store = open(folder, &keyring(folder)?).await?;
    let dice = Dice::new(SEED);
    let organization_id = OrganizationId::mint(MADE_AT, &dice);
    let organization = Organization { id: organization_id, name: CROWD.to_owned(), created_at: MADE_AT };
    store.create_organization(&organization).await.map_err(in_words)?;
    let epoch = store.raise_epoch().await.map_err(in_words)?;
    for first in (0..calendars).step_by(CALENDARS_PER_ACCOUNT) {
        let tenant = Tenant { organization_id, mode: Mode::Live, account_id: AccountId::mint(MADE_AT, &dice) };
        let life = Life { synced_at: MADE_AT, busy_intervals: BUSY_INTERVALS, apart: 7 * DAY_US };
        write_account(&store, &dice, epoch, &tenant, (CALENDARS_PER_ACCOUNT.min(calendars - first), life)).await?;
        progress(first);
    }
    store.close().await;
    Ok(())
}

async fn write_account(
    store: &dyn Store,
    dice: &Dice,
    epoch: Epoch,
    tenant: &Tenant,
    (calendars, life): (usize, Life),
) -> Result<Vec<UserId>, String> {
    let account = account(tenant, "One of many".to_owned(), Tz::Europe__Berlin, MADE_AT);
    done("accounts", store.create_account(&account, None).await.map_err(in_words)?)?;
    let connection = connection(tenant, ConnectionId::mint(MADE_AT, dice), MADE_AT);
    let ids: Vec<CalendarId> = (0..calendars).map(|_| CalendarId::mint(MADE_AT, dice)).collect();
    let named = |(number, &id): (usize, &CalendarId)| {
        calendar(&connection, id, &format!("calendar-{number}"), Tz::Europe__Berlin)
    };
    let rows: Vec<_> = ids.iter().enumerate().map(named).collect();
    let credentials = Credentials::Sandbox { seed: 0 };
    let answer = store.create_connection(tenant, &connection, &credentials, &rows, None).await.map_err(in_words)?;
    done("connections", answer)?;
    for &calendar_id in &ids {
        let saved =
            store.save_sync(&synced(tenant.account_id, calendar_id, epoch, (dice, life))).await.map_err(in_words)?;
        saved.ok_or("the store did not take a sync")?;
    }
    let rules = AvailabilityRules::office_hours(Tz::Europe__Berlin);
    let mut user_ids = Vec::new();
    for own in ids.chunks(calendars.div_ceil(USERS_PER_ACCOUNT)) {
        let mut user = user(tenant, UserId::mint(MADE_AT, dice), own[0], Tz::Europe__Berlin, MADE_AT);
        user.busy_calendar_ids = own[1..].to_vec();
        done("users", store.create_user(tenant, &user, &rules, None).await.map_err(in_words)?)?;
        user_ids.push(user.id);
    }
    Ok(user_ids)
}

/// What a calendar's first sync brought.
#[derive(Clone, Copy)]
struct Life {
    synced_at: Timestamp,
    busy_intervals: i64,
    /// Distance of two of them, in microseconds, up to ten hours more.
    apart: i64,
}

fn synced(account_id: AccountId, calendar_id: CalendarId, epoch: Epoch, (dice, life): (&Dice, Life)) -> SaveSync {
    let window = TimeRange { start: life.synced_at, end: life.synced_at.plus_micros(430 * DAY_US) };
    let meeting = |number: i64| {
        let start = life.synced_at.plus_micros(number * life.apart + dice.below(40) as i64 * HOUR_US / 4);
        let range = TimeRange { start, end: start.plus_micros(HOUR_US) };
        let instance = ExternalInstance { range, booking_id: None, blocks: true };
        ResourceChange { provider_event_id: format!("meeting-{number}"), instances: vec![instance] }
    };
    let state = SyncState {
        cursor: Some(SyncCursor("0".to_owned())),
        window: Some(window),
        synced_at: Some(life.synced_at),
        generation: 1,
        due_at: DUE_AT,
        ..SyncState::default()
    };
    SaveSync {
        account_id,
        calendar_id,
        epoch,
        generation: 1,
        begins_shadow: true,
        changes: (0..life.busy_intervals).map(meeting).collect(),
        finish: Some(state),
    }
}
