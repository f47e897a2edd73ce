//! The durable store. Transactions stay inside: each method is one, done whole or not at all.
//!
//! Every method that touches an account's rows takes the account, and every query carries it (law 9). `lookup`-like
//! methods return `Option`: not there and another's look the same. A method with an `idempotency` argument keeps the
//! answer under the key in the same transaction, or, when the key was used before, does nothing and says so.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::commit::{CommitPlan, IdempotencyKey, IdempotentAnswer, Outcome};
use crate::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, KeyId, OrganizationId, UserId};
use crate::model::{
    Account, ApiKey, AvailabilityRules, Calendar, Connection, ConnectionStatus, EventType, Mode, Organization, Tenant,
    User,
};
use crate::schedule::Schedule;
use crate::shard::Epoch;
use crate::time::Timestamp;
use uuid::Uuid;

use super::{BookingStore, Credentials, DecisionStore, FactStore, HoldStore, OauthGrant, WritebackStore};

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

/// Credentials as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// Raised each time they are replaced.
    pub version: u64,
}

/// What consenting brought: a mailbox, with all it takes to keep it as a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The connection, if the mailbox has none yet.
    pub connection: Connection,
    /// Who owns it, by a name the provider never changes.
    pub subject: String,
    /// What it is reached with.
    pub grant: OauthGrant,
    /// The calendars found in it, each with an id for the case that it is new.
    pub calendars: Vec<Calendar>,
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
    pub users: Vec<(Arc<User>, Arc<Schedule>)>,
    /// Event types with their rules where they have any, ascending by id.
    pub event_types: Vec<(EventType, Option<Arc<Schedule>>)>,
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
    /// Deletes kept answers and used-up commit ids older than 24 h, at most `limit` of each; returns how many at most.
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
    /// other hosts; if it is the only host of one: [`Write::Refused`] `in_use`. Holds on it that are live by the store's
    /// clock are released, with the time of their other hosts, whose calendars' and users' revisions rise.
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
    /// Deletes an event type; its bookings and holds stay.
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
    /// Keeps what the owner of a mailbox consented to: for the connection of the same mailbox, if the account has one, else
    /// for a new one. One that is there already keeps its id and its calendars with theirs, is active again, has its
    /// calendars synced at once, and gets those that are new. Returns what is there afterwards; `None`: there is no such
    /// account. A mailbox is the same where the provider says so of its owner, else where it is called by the same address.
    async fn connect_mailbox(
        &self,
        tenant: &Tenant,
        mailbox: &Mailbox,
    ) -> Result<Option<(Connection, Vec<Calendar>)>, StoreError>;
    /// A connection's credentials, decrypted.
    async fn credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<KeptCredentials>, StoreError>;
    /// Replaces a connection's credentials if they are still of this version; false, and nothing done, where somebody else
    /// was faster, or the connection is gone.
    async fn replace_credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        version: u64,
        credentials: &Credentials,
    ) -> Result<bool, StoreError>;
    /// Changes how a connection is; the same status again changes nothing, and neither does a superseded epoch. Once it is
    /// active and its credentials were refused before, those of its calendars that failed are due at once.
    async fn set_connection_status(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        epoch: Epoch,
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

/// Performs plans one after the other, up to the first that cannot be; as [`CommitStore::commit_together`], at full cost.
pub async fn commit_in_turn<S: CommitStore + ?Sized>(
    store: &S,
    plans: &[&CommitPlan],
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(plans.len());
    for plan in plans {
        let outcome = store.commit(plan).await?;
        let is_committed = matches!(outcome, Outcome::Committed { .. });
        outcomes.push(outcome);
        if !is_committed {
            break;
        }
    }
    Ok(outcomes)
}

/// The commit.
#[async_trait]
pub trait CommitStore: Send + Sync {
    /// Performs a plan whole, or not at all.
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError>;

    /// Performs plans of one account in their order, each decided on what those before it will have done, as far as they
    /// can be performed. One outcome for each plan that was tried; all but the last are [`Outcome::Committed`], and plans
    /// after one that is not are not tried. On an error it is not known how many from the beginning were performed.
    ///
    /// A store that can make several durable at the cost of one does so.
    async fn commit_together(&self, plans: &[&CommitPlan]) -> Result<Vec<Outcome>, StoreError> {
        commit_in_turn(self, plans).await
    }

    /// Whether a commit's id was used up, and if so, whether by performing it.
    async fn used_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<Option<bool>, StoreError>;

    /// Uses a commit's id up, so that nobody performs it any more; a no may only be said of a commit that nobody else
    /// will say yes to. Returns whether it was performed before, which this does not change. Ids are kept for a day.
    async fn use_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<bool, StoreError>;
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
    + HoldStore
    + DecisionStore
    + super::OwnershipStore
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
        + HoldStore
        + DecisionStore
        + super::OwnershipStore
        + super::SandboxState
{
}
