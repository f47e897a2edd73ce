//! Rows of tenants, calendars and connections, and what they are to the engine.

use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, KeyId, OrganizationId};
use agentcal_engine::model::{Account, ApiKey, Calendar, Connection, Organization, Watch};
use agentcal_engine::ports::{ListPage, PageRequest};
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::error::{Result, corrupt};
use crate::text::{Named, from_json, zone};

#[derive(sqlx::FromRow)]
pub(crate) struct OrganizationRow {
    organization_id: Uuid,
    name: String,
    created_at: i64,
}

impl OrganizationRow {
    pub(crate) fn into_engine(self) -> Organization {
        Organization {
            id: OrganizationId::from_uuid(self.organization_id),
            name: self.name,
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct KeyRow {
    key_id: Uuid,
    organization_id: Uuid,
    kind: String,
    mode: String,
    hash: Vec<u8>,
    hint: String,
    allowed_origins: String,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl KeyRow {
    pub(crate) fn into_engine(self) -> Result<ApiKey> {
        Ok(ApiKey {
            id: KeyId::from_uuid(self.key_id),
            organization_id: OrganizationId::from_uuid(self.organization_id),
            kind: Named::named(&self.kind)?,
            mode: Named::named(&self.mode)?,
            hash: self.hash.as_slice().try_into().map_err(|error| corrupt("key hash", error))?,
            hint: self.hint,
            allowed_origins: from_json("allowed origins", &self.allowed_origins)?,
            created_at: Timestamp::from_micros(self.created_at),
            revoked_at: self.revoked_at.map(Timestamp::from_micros),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct AccountRow {
    account_id: Uuid,
    organization_id: Uuid,
    mode: String,
    name: String,
    timezone: Option<String>,
    metadata: String,
    created_at: i64,
}

impl AccountRow {
    pub(crate) fn into_engine(self) -> Result<Account> {
        Ok(Account {
            id: AccountId::from_uuid(self.account_id),
            organization_id: OrganizationId::from_uuid(self.organization_id),
            mode: Named::named(&self.mode)?,
            name: self.name,
            timezone: self.timezone.as_deref().map(zone).transpose()?,
            metadata: from_json("account metadata", &self.metadata)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct ConnectionRow {
    account_id: Uuid,
    connection_id: Uuid,
    provider: String,
    display_name: String,
    owner_addresses: String,
    status: String,
    status_reason: Option<String>,
    created_at: i64,
}

impl ConnectionRow {
    pub(crate) fn into_engine(self) -> Result<Connection> {
        Ok(Connection {
            id: ConnectionId::from_uuid(self.connection_id),
            account_id: AccountId::from_uuid(self.account_id),
            provider: Named::named(&self.provider)?,
            display_name: self.display_name,
            owner_addresses: from_json("owner addresses", &self.owner_addresses)?,
            status: Named::named(&self.status)?,
            status_reason: self.status_reason,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// A calendar with `synced_at` of its sync state beside it.
#[derive(sqlx::FromRow)]
pub(crate) struct CalendarRow {
    account_id: Uuid,
    calendar_id: Uuid,
    connection_id: Option<Uuid>,
    provider: String,
    provider_calendar_id: String,
    name: String,
    timezone: String,
    writable: bool,
    watch_state: String,
    watch_expires_at: Option<i64>,
    created_at: i64,
    synced_at: Option<i64>,
}

impl CalendarRow {
    pub(crate) fn into_engine(self) -> Result<Calendar> {
        Ok(Calendar {
            id: CalendarId::from_uuid(self.calendar_id),
            account_id: AccountId::from_uuid(self.account_id),
            connection_id: self.connection_id.map(ConnectionId::from_uuid),
            provider: Named::named(&self.provider)?,
            provider_calendar_id: self.provider_calendar_id,
            name: self.name,
            timezone: zone(&self.timezone)?,
            writable: self.writable,
            watch: Watch {
                state: Named::named(&self.watch_state)?,
                expires_at: self.watch_expires_at.map(Timestamp::from_micros),
            },
            last_synced_at: self.synced_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// A page's place as two binds for `(key, id) < ($, $)`: the largest there can be when the list begins.
pub(crate) fn before(page: &PageRequest) -> (i64, Uuid) {
    page.after.unwrap_or((i64::MAX, Uuid::max()))
}

/// One row more than asked, to know whether more follow.
pub(crate) fn probe(page: &PageRequest) -> i64 {
    i64::from(page.limit) + 1
}

/// Cuts the probing row off and says where the page ends.
pub(crate) fn into_page<T>(mut rows: Vec<T>, page: &PageRequest, place: impl Fn(&T) -> (i64, Uuid)) -> ListPage<T> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(place) } else { None };
    ListPage { rows, next }
}

/// Most rows that one statement is about.
const ROWS_MAX: usize = 1_024;

/// A list in parts whose lengths are powers of two, the longest first: statements are kept by their words, and so there are
/// few of them, however long lists are.
pub(crate) fn in_powers_of_two<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let exponent = rest.len().checked_ilog2()?;
        let (part, left) = rest.split_at(ROWS_MAX.min(1 << exponent));
        rest = left;
        Some(part)
    })
}
