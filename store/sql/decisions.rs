//! Decision records.

use std::time::Duration;

use agentcal_engine::ids::{AccountId, DecisionId};
use agentcal_engine::model::{DecisionRecord, Tenant};
use agentcal_engine::ports::{DecisionFilter, DecisionStore, ListPage, PageRequest, StoreError};
use async_trait::async_trait;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection, DbStore};
use crate::error::{Result, store_error};
use crate::rows::{into_page, probe};
use crate::scope::Scope;
use crate::text::{from_json, to_json};
use crate::words;
use crate::work::has_tenant;

/// How long a record is kept.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[async_trait]
impl DecisionStore for DbStore {
    async fn record_decisions(&self, records: &[DecisionRecord]) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        for record in records {
            insert(&mut work, record).await?;
        }
        work.commit().await.map_err(store_error)
    }

    async fn decision(
        &self,
        account_id: AccountId,
        decision_id: DecisionId,
    ) -> Result<Option<DecisionRecord>, StoreError> {
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        let select = sqlx::query_scalar("SELECT record FROM decisions WHERE account_id = $1 AND decision_id = $2");
        let select = select.bind(account_id.as_uuid()).bind(decision_id.as_uuid());
        let record: Option<String> = select.fetch_optional(&mut *reader).await.map_err(store_error)?;
        record.map(|record| from_json("a decision record", &record)).transpose()
    }

    async fn list_decisions(
        &self,
        tenant: &Tenant,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<ListPage<DecisionRecord>, StoreError> {
        let mut reader = self.begin_read(Scope::Account(tenant.account_id)).await?;
        if !has_tenant(&mut reader, tenant).await? {
            return Ok(ListPage { rows: Vec::new(), next: None });
        }
        let mut select = list_statement(tenant.account_id, filter, page);
        let rows = select.build_query_as::<(i64, Uuid, String)>().fetch_all(&mut *reader).await.map_err(store_error)?;
        let ListPage { rows, next } = into_page(rows, page, |(decided_at, id, _)| (*decided_at, *id));
        let record = |(_, _, record): (i64, Uuid, String)| from_json("a decision record", &record);
        Ok(ListPage { rows: rows.into_iter().map(record).collect::<Result<_>>()?, next })
    }

    async fn forget_old_decisions(&self, limit: u32) -> Result<u64, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let until = self.now_on(&mut work).await? - KEPT_FOR;
        let delete = sqlx::query(words::FORGET_DECISIONS).bind(until.as_micros()).bind(i64::from(limit));
        let done = delete.execute(&mut *work).await.map_err(store_error)?;
        work.commit().await.map_err(store_error)?;
        Ok(done.rows_affected())
    }
}

fn list_statement(account_id: AccountId, filter: &DecisionFilter, page: &PageRequest) -> QueryBuilder<Db> {
    let mut select = QueryBuilder::new("SELECT decided_at, decision_id, record FROM decisions WHERE account_id = ");
    select.push_bind(account_id.as_uuid());
    if let Some(booking_id) = filter.booking_id {
        select.push(" AND booking_id = ").push_bind(booking_id.as_uuid());
    }
    if let Some(hold_id) = filter.hold_id {
        select.push(" AND hold_id = ").push_bind(hold_id.as_uuid());
    }
    if let Some((decided_at, id)) = page.after {
        select.push(" AND (decided_at, decision_id) < (").push_bind(decided_at).push(", ").push_bind(id).push(")");
    }
    select.push(" ORDER BY decided_at DESC, decision_id DESC LIMIT ").push_bind(probe(page));
    select
}

/// Writes a record. One of an account that is gone is left out, and one that is there already stays.
pub(crate) async fn insert(connection: &mut DbConnection, record: &DecisionRecord) -> Result<()> {
    let mut insert = QueryBuilder::new("");
    push_insert(&mut insert, record);
    insert.build().execute(connection).await.map(drop).map_err(store_error)
}

/// Words the insertion of a record.
pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, record: &DecisionRecord) {
    statement.push(
        "INSERT INTO decisions (account_id, decision_id, booking_id, hold_id, decided_at, record) SELECT account_id, ",
    );
    let mut values = statement.separated(", ");
    values.push_bind(record.id.as_uuid()).push_bind(record.booking_id.map(|id| id.as_uuid()));
    values.push_bind(record.hold_id.map(|id| id.as_uuid())).push_bind(record.decided_at.as_micros());
    values.push_bind(to_json(record));
    statement.push(" FROM accounts WHERE account_id = ").push_bind(record.account_id.as_uuid());
    statement.push(" ON CONFLICT (account_id, decision_id) DO NOTHING");
}
