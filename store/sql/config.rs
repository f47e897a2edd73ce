//! Everything configured in an account, read whole and written piece by piece.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::commit::{IdempotentAnswer, RevisionKey};
use agentcal_engine::ids::{AccountId, CalendarId, EventTypeId, UserId};
use agentcal_engine::model::{Account, AvailabilityRules, Calendar, EventType, Tenant, User};
use agentcal_engine::ports::{AccountConfig, ConfigStore, ListPage, PageRequest, StoreError, Write};
use agentcal_engine::schedule::Schedule;
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::event_types::{self, EventTypeRow};
use crate::revisions;
use crate::rows::{AccountRow, CalendarRow, before, into_page, probe};
use crate::scope::Scope;
use crate::text::{Named, to_json};
use crate::users::{self, UserRow};
use crate::work::{Begun, Expected};

type UserWithRules = (Arc<User>, Arc<Schedule>);
type EventTypeWithRules = (EventType, Option<Arc<Schedule>>);

#[async_trait]
impl ConfigStore for DbStore {
    async fn account_config(&self, account_id: AccountId) -> Result<Option<AccountConfig>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        let Some(account) = account(&mut reader, account_id).await? else { return Ok(None) };
        let Some(config_revision) = revisions::read(&mut reader, account_id, RevisionKey::Config).await? else {
            return Err(StoreError::Corrupt("an account without a config revision".to_owned()));
        };
        Ok(Some(AccountConfig {
            account,
            config_revision,
            users: all_users(&mut reader, account_id).await?,
            event_types: all_event_types(&mut reader, account_id).await?,
            calendars: all_calendars(&mut reader, account_id).await?,
        }))
    }

    async fn create_user(
        &self,
        tenant: &Tenant,
        user: &User,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if user.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let write = users::insert(work.connection(), user, rules).await?;
        work.finish(write).await
    }

    async fn update_user(
        &self,
        tenant: &Tenant,
        user: &User,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if user.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let mut work = match self.begin_config(tenant, idempotency, Expected::At(config_revision)).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let now = work.now;
        let write = users::update(work.connection(), user, now).await?;
        work.finish(write).await
    }

    async fn delete_user(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let moments = users::Moments { now, store_now: work.now };
        let write = users::delete(work.connection(), tenant.account_id, user_id, moments).await?;
        work.finish(write).await
    }

    async fn list_users(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<User>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(tenant.account_id)).await?;
        let (created_at, id) = before(page);
        let select = sqlx::query_as::<_, UserRow>(
            "SELECT u.account_id, u.user_id, u.name, u.email, u.timezone, u.calendar_id, u.home_calendar_id, u.rules, \
             u.created_at FROM users AS u JOIN accounts AS a ON a.account_id = u.account_id \
             WHERE u.account_id = $1 AND a.organization_id = $2 AND a.mode = $3 \
             AND (u.created_at, u.user_id) < ($4, $5) ORDER BY u.created_at DESC, u.user_id DESC LIMIT $6",
        );
        let select = select.bind(tenant.account_id.as_uuid()).bind(tenant.organization_id.as_uuid());
        let select = select.bind(tenant.mode.name()).bind(created_at).bind(id).bind(probe(page));
        let mut users = Vec::new();
        for row in select.fetch_all(&mut *reader).await.map_err(store_error)? {
            let busy = users::busy_calendars(&mut reader, tenant.account_id, row.id()).await?;
            users.push(row.into_engine(busy)?.0);
        }
        Ok(into_page(users, page, |user| (user.created_at.as_micros(), user.id.as_uuid())))
    }

    async fn put_user_rules(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let update = "UPDATE users SET rules = $3 WHERE account_id = $1 AND user_id = $2";
        self.put_rules(tenant, update, user_id.as_uuid(), rules, idempotency).await
    }

    async fn create_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if event_type.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let write = event_types::insert(work.connection(), event_type).await?;
        work.finish(write).await
    }

    async fn update_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if event_type.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let mut work = match self.begin_config(tenant, idempotency, Expected::At(config_revision)).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let write = event_types::update(work.connection(), event_type).await?;
        work.finish(write).await
    }

    async fn delete_event_type(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let write = event_types::delete(work.connection(), tenant.account_id, event_type_id).await?;
        work.finish(write).await
    }

    async fn list_event_types(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<EventType>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(tenant.account_id)).await?;
        let (created_at, id) = before(page);
        let select = sqlx::query_as::<_, EventTypeRow>(event_types::SELECT_PAGE);
        let select = select.bind(tenant.account_id.as_uuid()).bind(tenant.organization_id.as_uuid());
        let select = select.bind(tenant.mode.name()).bind(created_at).bind(id).bind(probe(page));
        let mut event_types = Vec::new();
        for row in select.fetch_all(&mut *reader).await.map_err(store_error)? {
            let hosts = event_types::hosts(&mut reader, tenant.account_id, row.id()).await?;
            event_types.push(row.into_engine(hosts)?.0);
        }
        Ok(into_page(event_types, page, |event_type| (event_type.created_at.as_micros(), event_type.id.as_uuid())))
    }

    async fn put_event_type_rules(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let update = "UPDATE event_types SET rules = $3 WHERE account_id = $1 AND event_type_id = $2";
        self.put_rules(tenant, update, event_type_id.as_uuid(), rules, idempotency).await
    }
}

impl DbStore {
    async fn put_rules(
        &self,
        tenant: &Tenant,
        update: &'static str,
        id: Uuid,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write> {
        let mut work = match self.begin_config(tenant, idempotency, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let update = sqlx::query(update).bind(tenant.account_id.as_uuid()).bind(id).bind(to_json(rules));
        let done = update.execute(work.connection()).await.map_err(store_error)?;
        work.finish(if done.rows_affected() == 1 { Write::Done } else { Write::Missing }).await
    }
}

async fn account(connection: &mut DbConnection, account_id: AccountId) -> Result<Option<Account>> {
    let select = sqlx::query_as::<_, AccountRow>(
        "SELECT account_id, organization_id, mode, name, timezone, metadata, created_at FROM accounts \
         WHERE account_id = $1",
    );
    let row = select.bind(account_id.as_uuid()).fetch_optional(connection).await.map_err(store_error)?;
    row.map(AccountRow::into_engine).transpose()
}

async fn all_users(connection: &mut DbConnection, account_id: AccountId) -> Result<Vec<UserWithRules>> {
    let select =
        "SELECT user_id, calendar_id FROM user_busy_calendars WHERE account_id = $1 ORDER BY user_id, position";
    let mut busy = grouped(connection, account_id, select).await?;
    let select = sqlx::query_as::<_, UserRow>(
        "SELECT account_id, user_id, name, email, timezone, calendar_id, home_calendar_id, rules, created_at FROM users \
         WHERE account_id = $1 ORDER BY user_id",
    );
    let rows = select.bind(account_id.as_uuid()).fetch_all(connection).await.map_err(store_error)?;
    let with_busy = |row: UserRow| {
        let ids = busy.remove(&row.id().as_uuid()).unwrap_or_default();
        let (user, rules) = row.into_engine(ids.into_iter().map(CalendarId::from_uuid).collect())?;
        Ok((Arc::new(user), Arc::new(Schedule::from(rules))))
    };
    rows.into_iter().map(with_busy).collect()
}

async fn all_event_types(connection: &mut DbConnection, account_id: AccountId) -> Result<Vec<EventTypeWithRules>> {
    let select =
        "SELECT event_type_id, user_id FROM event_type_hosts WHERE account_id = $1 ORDER BY event_type_id, position";
    let mut hosts = grouped(connection, account_id, select).await?;
    let select = sqlx::query_as::<_, EventTypeRow>(event_types::SELECT_ALL);
    let rows = select.bind(account_id.as_uuid()).fetch_all(connection).await.map_err(store_error)?;
    let with_hosts = |row: EventTypeRow| {
        let ids = hosts.remove(&row.id().as_uuid()).unwrap_or_default();
        let (event_type, rules) = row.into_engine(ids.into_iter().map(UserId::from_uuid).collect())?;
        Ok((event_type, rules.map(|rules| Arc::new(Schedule::from(rules)))))
    };
    rows.into_iter().map(with_hosts).collect()
}

async fn all_calendars(connection: &mut DbConnection, account_id: AccountId) -> Result<Vec<Calendar>> {
    let select = sqlx::query_as::<_, CalendarRow>(
        "SELECT c.account_id, c.calendar_id, c.connection_id, c.provider, c.provider_calendar_id, c.name, c.timezone, c.writable, \
         c.watch_state, c.watch_expires_at, c.created_at, s.synced_at FROM calendars AS c LEFT JOIN sync_states AS s \
         ON s.account_id = c.account_id AND s.calendar_id = c.calendar_id WHERE c.account_id = $1 ORDER BY c.calendar_id",
    );
    let rows = select.bind(account_id.as_uuid()).fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(CalendarRow::into_engine).collect()
}

/// Pairs of ids, the second ones gathered by the first in the order of the rows.
async fn grouped(
    connection: &mut DbConnection,
    account_id: AccountId,
    select: &'static str,
) -> Result<BTreeMap<Uuid, Vec<Uuid>>> {
    let select = sqlx::query_as::<_, (Uuid, Uuid)>(select).bind(account_id.as_uuid());
    let mut groups = BTreeMap::<Uuid, Vec<Uuid>>::new();
    for (key, value) in select.fetch_all(connection).await.map_err(store_error)? {
        groups.entry(key).or_default().push(value);
    }
    Ok(groups)
}
