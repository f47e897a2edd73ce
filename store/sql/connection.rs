//! Connections, their sealed credentials and their calendars.

use agentcal_engine::commit::{IdempotentAnswer, RevisionKey};
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, UserId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, EventKind, EventSubject, Tenant};
use agentcal_engine::ports::{
    ConnectionStore, Credentials, KeptCredentials, ListPage, Mailbox, PageRequest, StoreError, Write,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::{Binding, KeyOwner, Purpose};
use async_trait::async_trait;
use uuid::Uuid;

use crate::answers::no_data_key;
use crate::db::{DbConnection, DbStore};
use crate::error::{Result, Violation, corrupt, sealed_error, store_error, violation};
use crate::events::{self, Moment};
use crate::rows::{CalendarRow, ConnectionRow, before, into_page, probe};
use crate::scope::Scope;
use crate::text::{Named, to_i64, to_json, to_u64};
use crate::work::{Begun, Expected};
use crate::{locks, revisions, users};

/// What is said of a writeback whose calendar was disconnected.
const DISCONNECTED: &str = "the calendar was disconnected";

#[async_trait]
impl ConnectionStore for DbStore {
    async fn create_connection(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        credentials: &Credentials,
        calendars: &[Calendar],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let is_own = |calendar: &Calendar| {
            calendar.account_id == tenant.account_id && calendar.connection_id == Some(connection.id)
        };
        if connection.account_id != tenant.account_id || !calendars.iter().all(is_own) {
            return Ok(Write::Missing);
        }
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let sealed = self.seal_credentials(work.connection(), tenant.account_id, connection.id, credentials).await?;
        insert_connection(work.connection(), connection, sealed).await?;
        for calendar in calendars {
            if !insert_calendar(work.connection(), calendar, connection.created_at).await? {
                return work.finish(Write::Missing).await;
            }
        }
        work.finish(Write::Done).await
    }

    async fn connection(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<(Connection, Vec<Calendar>)>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let Some(connection) = lookup(&mut reader, account_id, connection_id).await? else { return Ok(None) };
        let calendars = calendars_of(&mut reader, account_id, connection_id).await?;
        Ok(Some((connection, calendars)))
    }

    async fn list_connections(
        &self,
        tenant: &Tenant,
        page: &PageRequest,
    ) -> Result<ListPage<(Connection, Vec<Calendar>)>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(tenant.account_id)).await?;
        let (created_at, id) = before(page);
        let select = sqlx::query_as::<_, ConnectionRow>(
            "SELECT c.account_id, c.connection_id, c.provider, c.display_name, c.owner_addresses, c.status, \
             c.status_reason, c.created_at FROM connections AS c JOIN accounts AS a ON a.account_id = c.account_id \
             WHERE c.account_id = $1 AND a.organization_id = $2 AND a.mode = $3 \
             AND (c.created_at, c.connection_id) < ($4, $5) ORDER BY c.created_at DESC, c.connection_id DESC LIMIT $6",
        );
        let select = select.bind(tenant.account_id.as_uuid()).bind(tenant.organization_id.as_uuid());
        let select = select.bind(tenant.mode.name()).bind(created_at).bind(id).bind(probe(page));
        let mut connections = Vec::new();
        for row in select.fetch_all(&mut *reader).await.map_err(store_error)? {
            let connection = row.into_engine()?;
            let calendars = calendars_of(&mut reader, tenant.account_id, connection.id).await?;
            connections.push((connection, calendars));
        }
        Ok(into_page(connections, page, |(connection, _)| (connection.created_at.as_micros(), connection.id.as_uuid())))
    }

    async fn connect_mailbox(
        &self,
        tenant: &Tenant,
        mailbox: &Mailbox,
    ) -> Result<Option<(Connection, Vec<Calendar>)>, StoreError> {
        self.connect(tenant, mailbox).await
    }

    async fn credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<KeptCredentials>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let select = sqlx::query_as::<_, (Vec<u8>, i64)>(
            "SELECT credentials, credentials_version FROM connections WHERE account_id = $1 AND connection_id = $2",
        );
        let select = select.bind(account_id.as_uuid()).bind(connection_id.as_uuid());
        let row = select.fetch_optional(&mut *reader).await.map_err(store_error)?;
        let Some((sealed, version)) = row else { return Ok(None) };
        let opened = self.open_credentials(&mut reader, account_id, &connection_id.as_uuid(), &sealed).await?;
        let version = to_u64(version)?;
        Ok(opened.map(|credentials| KeptCredentials { credentials, version }))
    }

    async fn replace_credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        version: u64,
        credentials: &Credentials,
    ) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        let sealed = self.seal_credentials(&mut work, account_id, connection_id, credentials).await?;
        let update = sqlx::query(
            "UPDATE connections SET credentials = $4, credentials_version = credentials_version + 1 \
             WHERE account_id = $1 AND connection_id = $2 AND credentials_version = $3",
        );
        let update = update.bind(account_id.as_uuid()).bind(connection_id.as_uuid()).bind(to_i64(version)).bind(sealed);
        let done = update.execute(&mut *work).await.map_err(store_error)?.rows_affected() == 1;
        work.commit().await.map_err(store_error)?;
        Ok(done)
    }

    async fn set_connection_status(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        epoch: Epoch,
        status: ConnectionStatus,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        if locks::held_epoch(&mut work, account_id).await? != epoch {
            return Ok(());
        }
        let calendars = calendars_of(&mut work, account_id, connection_id).await?;
        for calendar in &calendars {
            locks::calendar(&mut work, account_id, calendar.id).await?;
        }
        let Some(old) = lookup(&mut work, account_id, connection_id).await? else { return Ok(()) };
        if old.status == status && old.status_reason.as_deref() == reason {
            return Ok(());
        }
        let update = sqlx::query(
            "UPDATE connections SET status = $3, status_reason = $4 WHERE account_id = $1 AND connection_id = $2",
        );
        let update = update.bind(account_id.as_uuid()).bind(connection_id.as_uuid()).bind(status.name()).bind(reason);
        update.execute(&mut *work).await.map_err(store_error)?;
        if refuses_credentials(old.status) != refuses_credentials(status) {
            for calendar in &calendars {
                revisions::raise_calendar(&mut work, account_id, calendar.id).await?;
            }
        }
        if refuses_credentials(old.status) && status == ConnectionStatus::Active {
            // Those that sleep wait long for good credentials.
            let now = self.now_on(&mut work).await?;
            for calendar in &calendars {
                let hasten = sqlx::query(
                    "UPDATE sync_states SET due_at = $3 WHERE account_id = $1 AND calendar_id = $2 AND failures > 0 \
                     AND due_at > $3",
                );
                let hasten = hasten.bind(account_id.as_uuid()).bind(calendar.id.as_uuid()).bind(now.as_micros());
                hasten.execute(&mut *work).await.map_err(store_error)?;
            }
        }
        if refuses_credentials(status) && !refuses_credentials(old.status) {
            let moment = Moment { now: self.now_on(&mut work).await?, entropy: self.entropy.as_ref() };
            let connection = Connection { status, status_reason: reason.map(str::to_owned), ..old };
            let subject = EventSubject::Connection { connection: Box::new(connection) };
            let kind = EventKind::ConnectionReauthorizationRequired;
            events::happened(&mut work, account_id, kind, subject, moment).await?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn delete_connection(
        &self,
        tenant: &Tenant,
        connection_id: ConnectionId,
        internal_homes: &[(UserId, CalendarId)],
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let account_id = tenant.account_id;
        if lookup(work.connection(), account_id, connection_id).await?.is_none() {
            return work.finish(Write::Missing).await;
        }
        locks::account(work.connection(), account_id).await?;
        for calendar in calendars_of(work.connection(), account_id, connection_id).await? {
            if !rehome_users(work.connection(), account_id, calendar.id, internal_homes, now).await? {
                return work.finish(Write::Stale).await;
            }
            delete_calendar(work.connection(), account_id, calendar.id).await?;
        }
        self.give_back_one(work.connection(), tenant, connection_id.as_uuid()).await?;
        let delete = sqlx::query("DELETE FROM connections WHERE account_id = $1 AND connection_id = $2");
        let delete = delete.bind(account_id.as_uuid()).bind(connection_id.as_uuid());
        delete.execute(work.connection()).await.map_err(store_error)?;
        let write = work.finish(Write::Done).await?;
        self.after_deletion().await;
        Ok(write)
    }
}

impl DbStore {
    /// Credentials as they are kept.
    pub(crate) async fn seal_credentials(
        &self,
        connection: &mut DbConnection,
        account_id: AccountId,
        connection_id: ConnectionId,
        credentials: &Credentials,
    ) -> Result<Vec<u8>> {
        let key = self.data_key(connection, KeyOwner::Account(account_id)).await?;
        let key = key.ok_or_else(no_data_key)?;
        let id = connection_id.as_uuid();
        let binding = credentials_binding(account_id, &id);
        Ok(key.seal(&binding, to_json(credentials).as_bytes(), self.entropy.as_ref()))
    }

    /// Credentials that were kept; `None`: the account is gone, and its key with it.
    pub(crate) async fn open_credentials(
        &self,
        connection: &mut DbConnection,
        account_id: AccountId,
        connection_id: &Uuid,
        sealed: &[u8],
    ) -> Result<Option<Credentials>> {
        let Some(key) = self.data_key(connection, KeyOwner::Account(account_id)).await? else { return Ok(None) };
        let plain = key.open(&credentials_binding(account_id, connection_id), sealed).map_err(sealed_error)?;
        // The parser's own words could repeat a secret; where it stopped says enough.
        serde_json::from_slice(&plain).map(Some).map_err(|error| corrupt("credentials at column", error.column()))
    }
}

fn credentials_binding(account_id: AccountId, connection_id: &Uuid) -> Binding<'_> {
    let owner = KeyOwner::Account(account_id);
    Binding { owner, purpose: Purpose::Credentials, row: connection_id.as_bytes() }
}

/// The one status that makes a connection's calendars unknown by itself.
pub(crate) fn refuses_credentials(status: ConnectionStatus) -> bool {
    status == ConnectionStatus::ReauthorizationRequired
}

/// A connection.
pub(crate) async fn lookup(
    connection: &mut DbConnection,
    account_id: AccountId,
    connection_id: ConnectionId,
) -> Result<Option<Connection>> {
    let select = sqlx::query_as::<_, ConnectionRow>(
        "SELECT account_id, connection_id, provider, display_name, owner_addresses, status, status_reason, created_at \
         FROM connections WHERE account_id = $1 AND connection_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(connection_id.as_uuid());
    let row = select.fetch_optional(connection).await.map_err(store_error)?;
    row.map(ConnectionRow::into_engine).transpose()
}

/// The calendars of a connection.
pub(crate) async fn calendars_of(
    connection: &mut DbConnection,
    account_id: AccountId,
    connection_id: ConnectionId,
) -> Result<Vec<Calendar>> {
    let select = sqlx::query_as::<_, CalendarRow>(
        "SELECT c.account_id, c.calendar_id, c.connection_id, c.provider, c.provider_calendar_id, c.name, c.timezone, c.writable, \
         c.watch_state, c.watch_expires_at, c.created_at, s.synced_at FROM calendars AS c LEFT JOIN sync_states AS s \
         ON s.account_id = c.account_id AND s.calendar_id = c.calendar_id \
         WHERE c.account_id = $1 AND c.connection_id = $2 ORDER BY c.calendar_id",
    );
    let select = select.bind(account_id.as_uuid()).bind(connection_id.as_uuid());
    let rows = select.fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(CalendarRow::into_engine).collect()
}

/// Writes a connection.
pub(crate) async fn insert_connection(
    connection: &mut DbConnection,
    new: &Connection,
    sealed_credentials: Vec<u8>,
) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO connections (account_id, connection_id, provider, display_name, owner_addresses, status, \
         status_reason, credentials, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let insert = insert.bind(new.account_id.as_uuid()).bind(new.id.as_uuid()).bind(new.provider.name());
    let insert = insert.bind(&new.display_name).bind(to_json(&new.owner_addresses)).bind(new.status.name());
    let insert = insert.bind(&new.status_reason).bind(sealed_credentials).bind(new.created_at.as_micros());
    insert.execute(connection).await.map(drop).map_err(store_error)
}

/// Writes a calendar that is due for a full sync at once; false when its id is another's.
pub(crate) async fn insert_calendar(
    connection: &mut DbConnection,
    calendar: &Calendar,
    due_at: Timestamp,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO calendars (account_id, calendar_id, connection_id, provider, provider_calendar_id, name, timezone, \
         writable, watch_state, watch_expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    );
    let insert = insert.bind(calendar.account_id.as_uuid()).bind(calendar.id.as_uuid());
    let insert = insert.bind(calendar.connection_id.map(|id| id.as_uuid())).bind(calendar.provider.name());
    let insert = insert.bind(&calendar.provider_calendar_id).bind(&calendar.name).bind(calendar.timezone.name());
    let insert = insert.bind(calendar.writable).bind(calendar.watch.state.name());
    let insert = insert.bind(calendar.watch.expires_at.map(Timestamp::as_micros)).bind(calendar.created_at.as_micros());
    match insert.execute(&mut *connection).await {
        Ok(_) => {}
        Err(error) if violation(&error) == Some(Violation::Unique) => return Ok(false),
        Err(error) => return Err(store_error(error)),
    }
    let insert = sqlx::query(
        "INSERT INTO sync_states (account_id, calendar_id, generation, failures, due_at, quiet_syncs, rows_changed) \
         VALUES ($1, $2, 0, 0, $3, 0, FALSE)",
    );
    let insert = insert.bind(calendar.account_id.as_uuid()).bind(calendar.id.as_uuid()).bind(due_at.as_micros());
    insert.execute(&mut *connection).await.map_err(store_error)?;
    revisions::create(connection, calendar.account_id, RevisionKey::Calendar(calendar.id)).await?;
    Ok(true)
}

/// Gives every user that lives in a calendar an internal home; false when none was offered for one of them.
async fn rehome_users(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
    internal_homes: &[(UserId, CalendarId)],
    now: Timestamp,
) -> Result<bool> {
    let select = sqlx::query_as::<_, (Uuid, String)>(
        "SELECT user_id, timezone FROM users WHERE account_id = $1 AND home_calendar_id = $2",
    );
    let select = select.bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
    for (user_id, timezone) in select.fetch_all(&mut *connection).await.map_err(store_error)? {
        let user_id = UserId::from_uuid(user_id);
        let Some(&(_, home)) = internal_homes.iter().find(|(offered, _)| *offered == user_id) else {
            return Ok(false);
        };
        if !users::insert_internal_calendar(connection, account_id, home, &timezone, now).await? {
            return Ok(false);
        }
        let update = sqlx::query(
            "UPDATE users SET calendar_id = NULL, home_calendar_id = $3 WHERE account_id = $1 AND user_id = $2",
        );
        let update = update.bind(account_id.as_uuid()).bind(user_id.as_uuid()).bind(home.as_uuid());
        update.execute(&mut *connection).await.map_err(store_error)?;
        users::move_home(connection, account_id, user_id, home).await?;
    }
    Ok(true)
}

/// Deletes a calendar nobody lives in any more, with its facts; what waits to be written to it never will be.
async fn delete_calendar(connection: &mut DbConnection, account_id: AccountId, calendar_id: CalendarId) -> Result<()> {
    let update = sqlx::query(
        "UPDATE writebacks SET state = 'failed', last_error = $3 \
         WHERE account_id = $1 AND calendar_id = $2 AND state = 'pending'",
    );
    let update = update.bind(account_id.as_uuid()).bind(calendar_id.as_uuid()).bind(DISCONNECTED);
    update.execute(&mut *connection).await.map_err(store_error)?;
    for delete in [
        "DELETE FROM user_busy_calendars WHERE account_id = $1 AND calendar_id = $2",
        "DELETE FROM calendars WHERE account_id = $1 AND calendar_id = $2",
    ] {
        let delete = sqlx::query(delete).bind(account_id.as_uuid()).bind(calendar_id.as_uuid());
        delete.execute(&mut *connection).await.map_err(store_error)?;
    }
    revisions::remove(connection, account_id, RevisionKey::Calendar(calendar_id)).await
}
