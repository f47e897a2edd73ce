//! People whose calendars are at Google and at Microsoft, connected as if they had consented.

use std::path::Path;

use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, OrganizationId, UserId};
use agentcal_engine::model::{AvailabilityRules, Calendar, Connection, Mode, Organization, ProviderKind, Tenant};
use agentcal_engine::ports::{Clock, Credentials, OauthGrant, Store, SyncFailure, SyncState};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{DAY_US, Timestamp};
use chrono_tz::Tz;

use super::crowd::{copy, quick_place};
use super::people::{account, calendar, connection, secret_key, user};
use super::{DATABASE_FILE, Data, Dice, SEED, SystemClock, done, in_words, keyring, open};

/// Mailboxes of one account.
const MAILBOXES_PER_ACCOUNT: usize = 10;

/// A mailbox, and what opens it.
pub(crate) struct Mailbox {
    pub(crate) provider: ProviderKind,
    pub(crate) grant: OauthGrant,
    /// Its calendars, as the provider names them.
    pub(crate) calendars: Vec<String>,
}

/// A calendar of a mailbox, and who is asked about it.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) provider: ProviderKind,
    /// As the provider names it.
    pub(crate) name: String,
    pub(crate) account_id: AccountId,
    pub(crate) calendar_id: CalendarId,
    pub(crate) user_id: UserId,
}

/// When calendars first sync.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstSync {
    /// By themselves, as soon as there is a program.
    AtOnce,
    /// When somebody rings.
    WhenRung,
}

impl Data {
    /// Connects mailboxes, in an empty folder. Each calendar is read by a user of its own, in office hours by UTC.
    pub(crate) async fn write_connected(
        folder: &Path,
        mailboxes: &[Mailbox],
        first_sync: FirstSync,
    ) -> Result<(Self, Vec<Connected>), String> {
        let quick =
            tempfile::tempdir_in(quick_place(folder)).map_err(|error| format!("no temporary folder: {error}"))?;
        let keyring = keyring(quick.path())?;
        let store = open(quick.path(), &keyring).await?;
        let written = Writer::begin(&store, first_sync).await?.write(mailboxes).await;
        store.close().await;
        let (secret_key, connected) = written?;
        copy(quick.path(), folder)?;
        let now = SystemClock.now();
        let first_day = Timestamp::from_micros((now.as_micros() / DAY_US + 1) * DAY_US);
        let database_url = format!("sqlite://{}", folder.join(DATABASE_FILE).display());
        let data = Self {
            folder: folder.to_owned(),
            database_url,
            keyring,
            secret_key,
            people: Vec::new(),
            at_home: Vec::new(),
            first_day,
        };
        Ok((data, connected))
    }
}

struct Writer<'a> {
    store: &'a dyn Store,
    dice: Dice,
    now: Timestamp,
    epoch: Epoch,
    first_sync: FirstSync,
}

impl<'a> Writer<'a> {
    async fn begin(store: &'a dyn Store, first_sync: FirstSync) -> Result<Self, String> {
        let epoch = store.raise_epoch().await.map_err(in_words)?;
        Ok(Self { store, dice: Dice::new(SEED), now: SystemClock.now(), epoch, first_sync })
    }

    async fn write(&self, mailboxes: &[Mailbox]) -> Result<(String, Vec<Connected>), String> {
        let organization_id = OrganizationId::mint(self.now, &self.dice);
        let organization = Organization { id: organization_id, name: "Connected".to_owned(), created_at: self.now };
        self.store.create_organization(&organization).await.map_err(in_words)?;
        let secret_key = secret_key(self.store, organization_id, self.now, &self.dice).await?;
        let mut connected = Vec::new();
        for mailboxes in mailboxes.chunks(MAILBOXES_PER_ACCOUNT) {
            let account_id = AccountId::mint(self.now, &self.dice);
            let tenant = Tenant { organization_id, mode: Mode::Live, account_id };
            let account = account(&tenant, "Connected".to_owned(), Tz::UTC, self.now);
            done("accounts", self.store.create_account(&account, None).await.map_err(in_words)?)?;
            for mailbox in mailboxes {
                connected.extend(self.connect(&tenant, mailbox).await?);
            }
        }
        Ok((secret_key, connected))
    }

    async fn connect(&self, tenant: &Tenant, mailbox: &Mailbox) -> Result<Vec<Connected>, String> {
        let connection = Connection {
            provider: mailbox.provider,
            ..connection(tenant, ConnectionId::mint(self.now, &self.dice), self.now)
        };
        let named = |name: &String| Calendar {
            provider: mailbox.provider,
            ..calendar(&connection, CalendarId::mint(self.now, &self.dice), name, Tz::UTC)
        };
        let calendars: Vec<Calendar> = mailbox.calendars.iter().map(named).collect();
        let credentials = Credentials::Oauth(mailbox.grant.clone());
        let written = self.store.create_connection(tenant, &connection, &credentials, &calendars, None).await;
        done("connections", written.map_err(in_words)?)?;
        let mut connected = Vec::new();
        for calendar in calendars {
            self.put_off(&calendar).await?;
            let user = user(tenant, UserId::mint(self.now, &self.dice), calendar.id, Tz::UTC, self.now);
            let rules = AvailabilityRules::office_hours(Tz::UTC);
            done("users", self.store.create_user(tenant, &user, &rules, None).await.map_err(in_words)?)?;
            connected.push(Connected {
                provider: mailbox.provider,
                name: calendar.provider_calendar_id,
                account_id: tenant.account_id,
                calendar_id: calendar.id,
                user_id: user.id,
            });
        }
        Ok(connected)
    }

    /// Leaves a calendar that is to be rung for without a time of its own.
    async fn put_off(&self, calendar: &Calendar) -> Result<(), String> {
        if self.first_sync == FirstSync::AtOnce {
            return Ok(());
        }
        let state = SyncState { due_at: Timestamp::LATEST, ..SyncState::default() };
        let (account_id, calendar_id, epoch) = (calendar.account_id, calendar.id, self.epoch);
        let put_off = SyncFailure { account_id, calendar_id, epoch, state };
        let saved = self.store.save_sync_failure(&put_off).await.map_err(in_words)?;
        saved.map(drop).ok_or_else(|| "the store did not take a sync".to_owned())
    }
}
