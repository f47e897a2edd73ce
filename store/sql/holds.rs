//! Holds: reading and tidying them, and their rows inside a commit.

use std::time::Duration;

use agentcal_engine::commit::{HoldChange, HoldLimit, HoldLimits};
use agentcal_engine::ids::{AccountId, BookingId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{Hold, HoldState, Tenant};
use agentcal_engine::ports::{HoldStore, HoldStoreItem, StoreError};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbArguments, DbConnection, DbStore};
use crate::error::{Result, Violation, store_error, violation};
use crate::scope::Scope;
use crate::text::{Named, from_json, range, to_json, to_u32};
use crate::{claims, locks, revisions, words};

/// How long a hold's row outlives the hold.
const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 60 * 60);

#[async_trait]
impl HoldStore for DbStore {
    async fn hold(&self, account_id: AccountId, hold_id: HoldId) -> Result<Option<HoldStoreItem>, StoreError> {
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        let now = self.now_on(&mut reader).await?;
        let select = sqlx::query_as::<_, HoldRow>(
            "SELECT h.account_id, h.hold_id, h.event_type_id, h.start_at, h.end_at, h.user_ids, h.session_id, h.state, \
             h.booking_id, h.expires_at, h.created_at, (SELECT count(*) FROM claims AS c WHERE c.account_id = h.account_id \
             AND c.hold_id = h.hold_id AND c.expires_at > $3) AS claim_count \
             FROM holds AS h WHERE h.account_id = $1 AND h.hold_id = $2",
        );
        let select = select.bind(account_id.as_uuid()).bind(hold_id.as_uuid()).bind(now.as_micros());
        let row = select.fetch_optional(&mut *reader).await.map_err(store_error)?;
        row.map(HoldRow::into_engine).transpose()
    }

    async fn live_holds_of_session(
        &self,
        account_id: AccountId,
        session_id: &str,
    ) -> Result<Vec<HoldStoreItem>, StoreError> {
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        let now = self.now_on(&mut reader).await?;
        let select = sqlx::query_as::<_, HoldRow>(
            "SELECT h.account_id, h.hold_id, h.event_type_id, h.start_at, h.end_at, h.user_ids, h.session_id, h.state, \
             h.booking_id, h.expires_at, h.created_at, (SELECT count(*) FROM claims AS c WHERE c.account_id = h.account_id \
             AND c.hold_id = h.hold_id AND c.expires_at > $3) AS claim_count FROM holds AS h \
             WHERE h.account_id = $1 AND h.session_id = $2 AND h.state = 'active' AND h.expires_at > $3 \
             ORDER BY h.hold_id",
        );
        let select = select.bind(account_id.as_uuid()).bind(session_id).bind(now.as_micros());
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.into_iter().map(HoldRow::into_engine).collect()
    }

    async fn tidy_holds(&self, limit: u32) -> Result<u64, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let now = self.now_on(&mut work).await?;
        let mut gone = 0;
        for (delete, until) in [(words::TIDY_CLAIMS, now), (words::TIDY_HOLDS, now - KEPT_AFTER_END)] {
            let done = sqlx::query(delete).bind(until.as_micros()).bind(i64::from(limit)).execute(&mut *work).await;
            gone += done.map_err(store_error)?.rows_affected();
        }
        work.commit().await.map_err(store_error)?;
        Ok(gone)
    }
}

#[derive(sqlx::FromRow)]
struct HoldRow {
    account_id: Uuid,
    hold_id: Uuid,
    event_type_id: Option<Uuid>,
    start_at: i64,
    end_at: i64,
    user_ids: String,
    session_id: Option<String>,
    state: String,
    booking_id: Option<Uuid>,
    expires_at: i64,
    created_at: i64,
    claim_count: i64,
}

impl HoldRow {
    fn into_engine(self) -> Result<HoldStoreItem> {
        let state = match (self.state.as_str(), self.booking_id) {
            ("active", None) => HoldState::Active,
            ("released", None) => HoldState::Released,
            ("confirmed", Some(id)) => HoldState::Confirmed(BookingId::from_uuid(id)),
            _ => return Err(StoreError::Corrupt("a hold in no known state".to_owned())),
        };
        let hold = Hold {
            id: HoldId::from_uuid(self.hold_id),
            account_id: AccountId::from_uuid(self.account_id),
            event_type_id: self.event_type_id.map(EventTypeId::from_uuid),
            range: range(self.start_at, self.end_at)?,
            user_ids: from_json("a hold's users", &self.user_ids)?,
            session_id: self.session_id,
            state,
            expires_at: Timestamp::from_micros(self.expires_at),
            created_at: Timestamp::from_micros(self.created_at),
        };
        Ok(HoldStoreItem { hold, claim_count: to_u32(self.claim_count)? })
    }
}

/// What became of a change to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldChanged {
    /// As asked.
    Done,
    /// What it rested on is not there.
    Stale,
    /// As many are live as may be.
    Limit(HoldLimit),
}

/// Performs one change inside a commit. The claims were changed before it, so a limit on a host counts the hold's own.
pub(crate) async fn apply(
    connection: &mut DbConnection,
    tenant: &Tenant,
    change: &HoldChange,
    now: Timestamp,
) -> Result<HoldChanged> {
    match change {
        HoldChange::Insert { hold, .. } if hold.account_id != tenant.account_id => Ok(HoldChanged::Stale),
        HoldChange::Insert { hold, limits } => match limit_met(connection, tenant, hold, *limits, now).await? {
            Some(limit) => Ok(HoldChanged::Limit(limit)),
            None => insert(connection, tenant, hold).await,
        },
        HoldChange::Extend { hold_id, expires_at } => {
            let update = sqlx::query(
                "UPDATE holds SET expires_at = $4 \
                 WHERE account_id = $1 AND hold_id = $2 AND state = 'active' AND expires_at > $3",
            );
            let update = update.bind(tenant.account_id.as_uuid()).bind(hold_id.as_uuid()).bind(now.as_micros());
            changed_one(connection, update.bind(expires_at.as_micros())).await
        }
        HoldChange::Confirm { hold_id, booking_id } => {
            let update = sqlx::query(
                "UPDATE holds SET state = 'confirmed', booking_id = $4 \
                 WHERE account_id = $1 AND hold_id = $2 AND state = 'active' AND expires_at > $3",
            );
            let update = update.bind(tenant.account_id.as_uuid()).bind(hold_id.as_uuid()).bind(now.as_micros());
            changed_one(connection, update.bind(booking_id.as_uuid())).await
        }
        HoldChange::Release { hold_id } => {
            let update = sqlx::query(
                "UPDATE holds SET state = 'released' \
                 WHERE account_id = $1 AND hold_id = $2 AND state = 'active' AND expires_at > $3",
            );
            let update = update.bind(tenant.account_id.as_uuid()).bind(hold_id.as_uuid()).bind(now.as_micros());
            changed_one(connection, update).await
        }
    }
}

async fn changed_one(
    connection: &mut DbConnection,
    update: sqlx::query::Query<'_, Db, DbArguments>,
) -> Result<HoldChanged> {
    let done = update.execute(connection).await.map_err(store_error)?;
    Ok(if done.rows_affected() == 1 { HoldChanged::Done } else { HoldChanged::Stale })
}

async fn insert(connection: &mut DbConnection, tenant: &Tenant, hold: &Hold) -> Result<HoldChanged> {
    let insert = sqlx::query(
        "INSERT INTO holds (account_id, hold_id, organization_id, mode, event_type_id, start_at, end_at, user_ids, \
         session_id, state, booking_id, expires_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', NULL, $10, $11)",
    );
    let insert = insert.bind(hold.account_id.as_uuid()).bind(hold.id.as_uuid());
    let insert = insert.bind(tenant.organization_id.as_uuid()).bind(tenant.mode.name());
    let insert = insert.bind(hold.event_type_id.map(|id| id.as_uuid()));
    let insert = insert.bind(hold.range.start.as_micros()).bind(hold.range.end.as_micros());
    let insert = insert.bind(to_json(&hold.user_ids)).bind(&hold.session_id);
    match insert.bind(hold.expires_at.as_micros()).bind(hold.created_at.as_micros()).execute(connection).await {
        Ok(_) => Ok(HoldChanged::Done),
        Err(error) if violation(&error) == Some(Violation::Unique) => Ok(HoldChanged::Stale),
        Err(error) => Err(store_error(error)),
    }
}

/// The first limit a new hold meets, if any: of a host, whose claims are counted with the hold's own, then of the
/// session, then of the organization.
async fn limit_met(
    connection: &mut DbConnection,
    tenant: &Tenant,
    hold: &Hold,
    limits: HoldLimits,
    now: Timestamp,
) -> Result<Option<HoldLimit>> {
    locks::count_organization(connection, tenant.organization_id).await?;
    let (account_id, now) = (tenant.account_id.as_uuid(), now.as_micros());
    let mut select =
        QueryBuilder::<Db>::new("SELECT 'organization', CAST(NULL AS uuid), count(*) FROM holds WHERE mode = ");
    select.push_bind(tenant.mode.name()).push(" AND organization_id = ").push_bind(tenant.organization_id.as_uuid());
    select.push(" AND state = 'active' AND expires_at > ").push_bind(now);
    if let Some(session_id) = &hold.session_id {
        select
            .push(" UNION ALL SELECT 'session', CAST(NULL AS uuid), count(*) FROM holds WHERE account_id = ")
            .push_bind(account_id);
        select.push(" AND session_id = ").push_bind(session_id);
        select.push(" AND state = 'active' AND expires_at > ").push_bind(now);
    }
    for user_id in &hold.user_ids {
        select.push(" UNION ALL SELECT 'user', ").push_bind(user_id.as_uuid());
        select.push(", count(*) FROM claims WHERE account_id = ").push_bind(account_id);
        select.push(" AND user_id = ").push_bind(user_id.as_uuid());
        select.push(" AND kind = 'hold' AND expires_at > ").push_bind(now);
    }
    let counts = select.build_query_as::<(String, Option<Uuid>, i64)>().fetch_all(connection).await;
    let over =
        counts.map_err(store_error)?.into_iter().filter_map(|(of, user_id, count)| match (of.as_str(), user_id) {
            ("user", Some(id)) if count > i64::from(limits.per_user) => {
                Some((0, HoldLimit::User(UserId::from_uuid(id))))
            }
            ("session", _) if count >= i64::from(limits.per_session) => Some((1, HoldLimit::Session)),
            ("organization", _) if count >= i64::from(limits.per_organization) => Some((2, HoldLimit::Organization)),
            _ => None,
        });
    Ok(over.min().map(|(_, limit)| limit))
}

/// A user goes: the live holds on it are released, with the time of their other hosts, whose revisions rise.
pub(crate) async fn end_of_user(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
    now: Timestamp,
) -> Result<()> {
    for hold_id in claims::live_holds_on(connection, account_id, user_id, now).await? {
        let update = sqlx::query(
            "UPDATE holds SET state = 'released' WHERE account_id = $1 AND hold_id = $2 AND state = 'active'",
        );
        let update = update.bind(account_id.as_uuid()).bind(hold_id.as_uuid());
        update.execute(&mut *connection).await.map_err(store_error)?;
        for (host, home) in claims::free(connection, account_id, hold_id).await? {
            revisions::raise_calendar(connection, account_id, home).await?;
            revisions::raise_user(connection, account_id, host).await?;
        }
    }
    Ok(())
}
