//! The durable store. Transactions stay inside: each method is one, done whole or not at all.
//!
//! Every method that touches an account's rows takes the account, and every query carries it (law 9). `lookup`-like
//! methods return `Option`: not there and another's look the same. A method with an `idempotency` argument keeps the
//! answer under the key in the same transaction, or, when the key was used before, does nothing and says so.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::calendar::FAILURES_UNTIL_ERROR;
use crate::commit::{CommitPlan, IdempotencyKey, IdempotentAnswer, Outcome};
use crate::facts::{ExternalInstance, FactSource, Knowledge, UnknownReason};
use crate::ids::{AccountId, BookingId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use crate::model::{
    Account, ApiKey, AvailabilityRules, Booking, BookingStatus, Calendar, Connection, ConnectionStatus, EventType,
    ExternalState, Mode, Organization, ProviderKind, Tenant, User, Watch, WritebackState,
};
use crate::shard::Epoch;
use crate::time::{TimeRange, Timestamp};

use super::{Credentials, ResourceChange, SyncCursor, WrittenEvent};

/// Facts leave out instances and claims that ended longer ago than this by the store's clock: no decision about the future
/// rests on them (a day in any zone and the longest buffers together are shorter), and history must cost nothing.
pub const FACTS_PAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, is locked, full or too slow; trying again may help.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row cannot be read as what it should be.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
}

/// What became of a write to configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Durable.
    Done,
    /// The idempotency key was used before with the same body; this is the kept answer. Nothing was done.
    Replayed(Vec<u8>),
    /// The idempotency key was used before with another body. Nothing was done.
    IdempotencyMismatch,
    /// The configuration changed since it was read: read again. Nothing was done.
    Stale,
    /// The row is not there. Nothing was done.
    Missing,
    /// A unique value (`slug`) is taken, or the row is still needed (`future_bookings`, `in_use`). Nothing was done.
    Refused(&'static str),
}

/// Which page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Most rows.
    pub limit: u32,
    /// Where the page before ended, as given out in [`ListPage::next`]. The api has checked that it decodes.
    pub after: Option<(i64, uuid::Uuid)>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Sort key and id of the last row, when more rows follow.
    pub next: Option<(i64, uuid::Uuid)>,
}

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: ApiKey,
    /// Its organization.
    pub organization: Organization,
}

/// Counters that tell another process's writes, polled each second (SQLite) or brought by the lease renewal (PostgreSQL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChangeCounters {
    /// Raised by every change of organizations and keys.
    pub keys: u64,
    /// Raised by every change of accounts, users, rules, event types and calendars.
    pub config: u64,
}

/// Everything configured in one account, read in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountConfig {
    /// The account.
    pub account: Account,
    /// The revision all of this stands at.
    pub config_revision: u64,
    /// Users with their rules, ascending by id.
    pub users: Vec<(User, AvailabilityRules)>,
    /// Event types with their rules where they have any, ascending by id.
    pub event_types: Vec<(EventType, Option<AvailabilityRules>)>,
    /// Calendars, internal ones included, ascending by id.
    pub calendars: Vec<Calendar>,
}

/// Organizations, keys and accounts.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Writes an organization.
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError>;
    /// An organization.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError>;
    /// All organizations, oldest first.
    async fn list_organizations(&self) -> Result<Vec<Organization>, StoreError>;
    /// Writes a key.
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;
    /// Revokes a key; false when there is no such key or it was revoked before.
    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<bool, StoreError>;
    /// An organization's keys, revoked ones included, newest first.
    async fn list_keys(&self, organization_id: OrganizationId) -> Result<Vec<ApiKey>, StoreError>;
    /// The key with this hash, unless revoked.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, StoreError>;
    /// The counters as they are.
    async fn change_counters(&self) -> Result<ChangeCounters, StoreError>;

    /// Writes an account and makes its encryption key.
    async fn create_account(
        &self,
        account: &Account,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// An account of this organization and mode.
    async fn account(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError>;
    /// Accounts of this organization and mode, newest first.
    async fn list_accounts(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        page: &PageRequest,
    ) -> Result<ListPage<Account>, StoreError>;
    /// Changes name, zone and metadata of an account whose configuration is still at this revision.
    async fn update_account(
        &self,
        account: &Account,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Deletes an account with everything in it; its encryption key is gone with it.
    async fn delete_account(
        &self,
        tenant: &Tenant,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// The answer kept under an idempotency key: [`Write::Replayed`], [`Write::IdempotencyMismatch`], or
    /// [`Write::Missing`] when the key is new or older than a day. `tenant` is `None` for routes above accounts.
    async fn kept_answer(
        &self,
        organization_id: OrganizationId,
        account_id: Option<AccountId>,
        key: &IdempotencyKey,
    ) -> Result<Write, StoreError>;
    /// Deletes kept answers older than 24 h, at most `limit`; returns how many.
    async fn forget_old_answers(&self, limit: u32) -> Result<u64, StoreError>;
}

/// Users, rules and event types. Every write raises the account's config revision, and fails with [`Write::Stale`]
/// unless the configuration is still at the given one.
#[async_trait]
pub trait ConfigStore: Send + Sync {
    /// All of an account's configuration; `None` when there is no such account.
    async fn account_config(&self, account_id: AccountId) -> Result<Option<AccountConfig>, StoreError>;

    /// Writes a user with its rules, and its internal calendar where `user.calendar_id` is `None`. Calendar ids in it that
    /// are not of this account: [`Write::Missing`].
    async fn create_user(
        &self,
        tenant: &Tenant,
        user: &User,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Replaces a user. When its home calendar changes, its claims move along and both calendars' revisions are raised.
    /// The store makes an internal calendar with the id `user.home_calendar_id` when there is none of that id.
    async fn update_user(
        &self,
        tenant: &Tenant,
        user: &User,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Deletes a user. With bookings that end after `now`: [`Write::Refused`] `future_bookings`. Event types keep their
    /// other hosts; if it is the only host of one: [`Write::Refused`] `in_use`.
    async fn delete_user(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Users, newest first.
    async fn list_users(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<User>, StoreError>;
    /// Replaces a user's rules.
    async fn put_user_rules(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;

    /// Writes an event type. A user id that is not of this account: [`Write::Missing`]; its slug taken:
    /// [`Write::Refused`] `slug`.
    async fn create_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Replaces an event type.
    async fn update_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Deletes an event type; its bookings stay.
    async fn delete_event_type(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// Event types, newest first.
    async fn list_event_types(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<EventType>, StoreError>;
    /// Replaces an event type's rules.
    async fn put_event_type_rules(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
}

/// Connections, their credentials and calendars.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    /// Writes a connection with its encrypted credentials and its calendars, each due for a full sync at once.
    async fn create_connection(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        credentials: &Credentials,
        calendars: &[Calendar],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
    /// A connection and its calendars.
    async fn connection(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<(Connection, Vec<Calendar>)>, StoreError>;
    /// Connections with their calendars, newest first.
    async fn list_connections(
        &self,
        tenant: &Tenant,
        page: &PageRequest,
    ) -> Result<ListPage<(Connection, Vec<Calendar>)>, StoreError>;
    /// A connection's credentials, decrypted.
    async fn credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<Credentials>, StoreError>;
    /// Changes how a connection is; the same status again changes nothing.
    async fn set_connection_status(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        status: ConnectionStatus,
        reason: Option<&str>,
    ) -> Result<(), StoreError>;
    /// Deletes a connection: its credentials are destroyed, its calendars and their facts go, and users lose them from
    /// `calendar_id` (then an internal home calendar of the given id takes their claims) and `busy_calendar_ids`.
    /// `internal_homes` offers fresh calendar ids, one per user of the account that may need one.
    async fn delete_connection(
        &self,
        tenant: &Tenant,
        connection_id: ConnectionId,
        internal_homes: &[(UserId, CalendarId)],
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError>;
}

/// Where a calendar's sync stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SyncState {
    /// Where the next incremental sync continues; `None` before the first full sync and after a gone cursor.
    pub cursor: Option<SyncCursor>,
    /// What was synced, together with the cursor.
    pub window: Option<TimeRange>,
    /// As of when the facts are true.
    pub synced_at: Option<Timestamp>,
    /// The generation of rows that counts; a full sync collects the next one in its shadow.
    pub generation: u64,
    /// Failures in a row.
    pub failures: u32,
    /// When the next sync is due.
    pub due_at: Timestamp,
    /// Syncs in a row that brought no change; polling adapts to it.
    pub quiet_syncs: u32,
    /// The last failure, in words that name nobody.
    pub last_error: Option<String>,
}

impl SyncState {
    /// How much is known of a calendar of this provider and connection whose sync stands like this.
    pub fn knowledge(&self, provider: ProviderKind, connection: Option<&Connection>) -> Knowledge {
        if provider == ProviderKind::Internal {
            return Knowledge::Internal;
        }
        match connection.map(|connection| connection.status) {
            None => Knowledge::Unknown(UnknownReason::CalendarGone),
            Some(ConnectionStatus::ReauthorizationRequired) => {
                Knowledge::Unknown(UnknownReason::ReauthorizationRequired)
            }
            Some(_) if self.failures >= FAILURES_UNTIL_ERROR => Knowledge::Unknown(UnknownReason::ProviderError),
            Some(_) => match (self.synced_at, self.window) {
                (Some(as_of), Some(window)) => Knowledge::Synced { as_of, window },
                _ => Knowledge::Unknown(UnknownReason::NotSynced),
            },
        }
    }
}

/// Everything a calendar's actor starts from, read in one transaction.
#[derive(Clone, Debug)]
pub struct CalendarRecord {
    /// The calendar.
    pub calendar: Calendar,
    /// Whose data it is.
    pub tenant: Tenant,
    /// Its connection; `None` for internal calendars.
    pub connection: Option<Connection>,
    /// Where its sync stands.
    pub sync: SyncState,
    /// Its facts; `knowledge` follows from `connection` and `sync` (see `SyncState::knowledge`).
    pub facts: FactSource,
    /// The e-mail addresses of users whose `calendar_id` this is.
    pub user_emails: Vec<String>,
}

/// One page's worth of sync, saved in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveSync {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The ownership this is done under.
    pub epoch: Epoch,
    /// Rows go to this generation: the current one for an incremental sync, the next one for a full sync.
    pub generation: u64,
    /// Whether this page begins a full sync, so that left-overs of an earlier attempt at this generation go first.
    pub begins_shadow: bool,
    /// Each replaces all rows of its resource in the generation. For a full sync also over a page that came before.
    pub changes: Vec<ResourceChange>,
    /// With the last page: the state to keep. Its generation becomes the one that counts and every other's rows go.
    pub finish: Option<SyncState>,
    /// With the last page: how changes are noticed from now on.
    pub watch: Option<Watch>,
}

/// A sync that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFailure {
    /// The calendar's account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The state to keep: failures, due time, last error; the cursor dropped when it is gone.
    pub state: SyncState,
}

/// A calendar whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueCalendar {
    /// Its account.
    pub account_id: AccountId,
    /// The calendar.
    pub calendar_id: CalendarId,
}

/// What sync saw of a booking's event; see [`ExternalState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalObservation {
    /// The booking.
    pub booking_id: BookingId,
    /// How its event compares.
    pub state: ExternalState,
}

/// Facts and sync, for calendar actors.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Raises and returns the store's epoch; called once at boot by the only node. Writers under an older one are fenced.
    async fn raise_epoch(&self) -> Result<Epoch, StoreError>;
    /// The store's clock, by which holds expire.
    async fn store_now(&self) -> Result<Timestamp, StoreError>;
    /// Everything about a calendar; `None` when it is gone.
    async fn load_calendar(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<CalendarRecord>, StoreError>;
    /// The facts of a calendar as they now are in the store, without what ended before [`FACTS_PAST`]; `None` when it is
    /// gone.
    async fn load_facts(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Option<FactSource>, StoreError>;
    /// Which account a calendar belongs to.
    async fn account_of_calendar(&self, calendar_id: CalendarId) -> Result<Option<AccountId>, StoreError>;
    /// Saves a page of sync. Returns the calendar's revision, raised if the page finished a sync that changed rows of the
    /// generation that counts, its window or its knowledge; `None` when the epoch is superseded or the calendar is gone.
    async fn save_sync(&self, save: &SaveSync) -> Result<Option<u64>, StoreError>;
    /// Saves a failure; raises the revision only if the calendar's knowledge changes by it. Returns the revision, `None`
    /// when the calendar is gone.
    async fn save_sync_failure(&self, failure: &SyncFailure) -> Result<Option<u64>, StoreError>;
    /// Calendars (never internal ones) whose sync is due, most overdue first.
    async fn due_calendars(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCalendar>, StoreError>;
    /// The instances of events of ours in a calendar, by booking; for comparing with what was written.
    async fn own_instances(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
    ) -> Result<Vec<ExternalInstance>, StoreError>;
    /// Keeps what sync saw of bookings' events. Observations of bookings whose writeback is pending are left out by the
    /// store, in the same transaction.
    async fn observe_external(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        observations: &[ExternalObservation],
    ) -> Result<(), StoreError>;
}

/// The commit.
#[async_trait]
pub trait CommitStore: Send + Sync {
    /// Performs a plan whole, or not at all.
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError>;
}

/// Which bookings to list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BookingFilter {
    /// Status at `now`.
    pub status: Option<BookingStatus>,
    /// One of the hosts.
    pub user_id: Option<UserId>,
    /// Start at or after.
    pub starts_after: Option<Timestamp>,
    /// Start before.
    pub starts_before: Option<Timestamp>,
    /// The attendee's address, compared without case.
    pub attendee_email: Option<String>,
    /// The attendee's number, compared by its digits and a leading plus.
    pub attendee_phone: Option<String>,
}

/// A booking with what is needed to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookingStoreItem {
    /// The booking.
    pub booking: Booking,
    /// Live claims of it.
    pub claim_count: u32,
}

/// Bookings, for reading.
#[async_trait]
pub trait BookingStore: Send + Sync {
    /// A booking.
    async fn booking(
        &self,
        account_id: AccountId,
        booking_id: BookingId,
    ) -> Result<Option<BookingStoreItem>, StoreError>;
    /// Bookings ascending by start, then id.
    async fn list_bookings(
        &self,
        tenant: &Tenant,
        filter: &BookingFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<ListPage<Booking>, StoreError>;
    /// For each user, how many bookings it has that start after `now`; for round robin. Users without any are left out.
    async fn future_booking_counts(
        &self,
        account_id: AccountId,
        user_ids: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<(UserId, u64)>, StoreError>;
}

/// A booking that a calendar does not yet show as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritebackJob {
    /// The booking as it now is; its status says whether to write or to delete.
    pub booking: Booking,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// Raised by every change of the booking; a result for an older one does not end the job.
    pub version: u64,
    /// Tries since the booking last changed.
    pub attempts: u32,
    /// When it is due.
    pub due_at: Timestamp,
    /// The event as last written.
    pub written: Option<WrittenEvent>,
    /// Where it was last written.
    pub written_range: Option<TimeRange>,
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritebackResult {
    /// The account.
    pub account_id: AccountId,
    /// The booking.
    pub booking_id: BookingId,
    /// The calendar.
    pub calendar_id: CalendarId,
    /// The version tried.
    pub version: u64,
    /// The state to keep. `Written` of an older version leaves the row pending, yet keeps `written`.
    pub state: WritebackState,
    /// Tries so far.
    pub attempts: u32,
    /// When the next try is due, while pending.
    pub due_at: Timestamp,
    /// What went wrong, in words that name nobody.
    pub last_error: Option<String>,
    /// The event, and where it now stands; `None` when it was deleted or never written.
    pub written: Option<(WrittenEvent, TimeRange)>,
    /// What this means for the booking's state in the calendar, where it says something.
    pub external_state: Option<ExternalState>,
}

/// The outbox of writebacks.
#[async_trait]
pub trait WritebackStore: Send + Sync {
    /// Pending jobs of a calendar, oldest due first, whether due or not.
    async fn pending_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        limit: u32,
    ) -> Result<Vec<WritebackJob>, StoreError>;
    /// Written jobs of a calendar whose booking has not ended before `ended_before`: what sync compares with.
    async fn written_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        ended_before: Timestamp,
    ) -> Result<Vec<WritebackJob>, StoreError>;
    /// Calendars with a pending job that is due, most overdue first.
    async fn calendars_with_due_writebacks(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCalendar>, StoreError>;
    /// Keeps the result of a try. Raises the calendar's revision, because what counts as an echo may have changed, and
    /// returns it.
    async fn record_writeback(&self, result: &WritebackResult) -> Result<Option<u64>, StoreError>;
}

/// Everything a store does.
pub trait Store:
    TenantStore
    + ConfigStore
    + ConnectionStore
    + FactStore
    + CommitStore
    + BookingStore
    + WritebackStore
    + super::SandboxState
{
}

impl<T> Store for T where
    T: TenantStore
        + ConfigStore
        + ConnectionStore
        + FactStore
        + CommitStore
        + BookingStore
        + WritebackStore
        + super::SandboxState
{
}
