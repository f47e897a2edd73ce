//! Deliveries as their organizations see them: listed, sent again, and forgotten in the end.

use std::time::Duration;

use agentcal_engine::ids::{AccountId, DeliveryId, OrganizationId, WebhookId};
use agentcal_engine::model::{DeliveryAttempt, DeliveryState, WebhookDelivery};
use agentcal_engine::ports::{ListPage, PageRequest};
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, corrupt, store_error};
use crate::rows::{before, into_page, probe};
use crate::text::{Named, to_u32};
use crate::words;

/// How long an event is kept.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(sqlx::FromRow)]
struct DeliveryRow {
    account_id: Uuid,
    delivery_id: Uuid,
    endpoint_id: Uuid,
    kind: String,
    happened_at: i64,
    state: String,
    due_at: i64,
    created_at: i64,
}

impl DeliveryRow {
    fn into_engine(self, attempts: Vec<DeliveryAttempt>) -> Result<WebhookDelivery> {
        Ok(WebhookDelivery {
            id: DeliveryId::from_uuid(self.delivery_id),
            endpoint_id: WebhookId::from_uuid(self.endpoint_id),
            account_id: AccountId::from_uuid(self.account_id),
            kind: Named::named(&self.kind)?,
            happened_at: Timestamp::from_micros(self.happened_at),
            state: Named::named(&self.state)?,
            due_at: Timestamp::from_micros(self.due_at),
            created_at: Timestamp::from_micros(self.created_at),
            attempts,
        })
    }
}

/// A page of an endpoint's deliveries, newest first.
pub(crate) async fn list(
    reader: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    state: Option<DeliveryState>,
    page: &PageRequest,
) -> Result<ListPage<WebhookDelivery>> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT d.account_id, d.delivery_id, d.endpoint_id, e.kind, e.happened_at, d.state, d.due_at, d.created_at \
         FROM webhook_deliveries AS d JOIN events AS e ON e.account_id = d.account_id AND e.event_id = d.event_id \
         WHERE d.organization_id = ",
    );
    select.push_bind(organization_id.as_uuid()).push(" AND d.endpoint_id = ").push_bind(id.as_uuid());
    if let Some(state) = state {
        select.push(" AND d.state = ").push_bind(state.name());
    }
    let (created_at, delivery_id) = before(page);
    select.push(" AND (d.created_at, d.delivery_id) < (").push_bind(created_at).push(", ").push_bind(delivery_id);
    select.push(") ORDER BY d.created_at DESC, d.delivery_id DESC LIMIT ").push_bind(probe(page));
    let rows = select.build_query_as::<DeliveryRow>().fetch_all(&mut *reader).await.map_err(store_error)?;
    let ListPage { rows, next } = into_page(rows, page, |row| (row.created_at, row.delivery_id));
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in rows {
        let attempts = attempts(reader, row.account_id, row.delivery_id).await?;
        deliveries.push(row.into_engine(attempts)?);
    }
    Ok(ListPage { rows: deliveries, next })
}

#[derive(sqlx::FromRow)]
struct AttemptRow {
    number: i64,
    ended_at: i64,
    duration_us: i64,
    status: Option<i64>,
    error: Option<String>,
    answer: String,
}

impl AttemptRow {
    fn into_engine(self) -> Result<DeliveryAttempt> {
        let status = self.status.map(|status| u16::try_from(status).map_err(|error| corrupt("a status", error)));
        Ok(DeliveryAttempt {
            number: to_u32(self.number)?,
            ended_at: Timestamp::from_micros(self.ended_at),
            duration: Duration::from_micros(self.duration_us.unsigned_abs()),
            status: status.transpose()?,
            error: self.error,
            answer: self.answer,
        })
    }
}

async fn attempts(reader: &mut DbConnection, account_id: Uuid, delivery_id: Uuid) -> Result<Vec<DeliveryAttempt>> {
    let select = sqlx::query_as::<_, AttemptRow>(
        "SELECT number, ended_at, duration_us, status, error, answer FROM webhook_attempts \
         WHERE account_id = $1 AND delivery_id = $2 ORDER BY number",
    );
    let rows = select.bind(account_id).bind(delivery_id).fetch_all(reader).await.map_err(store_error)?;
    rows.into_iter().map(AttemptRow::into_engine).collect()
}

/// Makes a delivery pending and due now; false when there is none.
pub(crate) async fn resend(
    work: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    delivery_id: DeliveryId,
    now: Timestamp,
) -> Result<bool> {
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET state = 'pending', tries = 0, due_at = $4 \
         WHERE organization_id = $1 AND endpoint_id = $2 AND delivery_id = $3",
    );
    let update = update.bind(organization_id.as_uuid()).bind(id.as_uuid()).bind(delivery_id.as_uuid());
    Ok(update.bind(now.as_micros()).execute(work).await.map_err(store_error)?.rows_affected() == 1)
}

/// Makes deliveries that were given up pending and due now, of events since an instant; how many.
pub(crate) async fn replay(
    work: &mut DbConnection,
    organization_id: OrganizationId,
    id: WebhookId,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64> {
    // A delivery is made after its event happened, so looking at deliveries since then misses none.
    let update = sqlx::query(
        "UPDATE webhook_deliveries SET state = 'pending', tries = 0, due_at = $4 \
         WHERE organization_id = $1 AND endpoint_id = $2 AND state = 'failed' AND created_at >= $3 \
         AND EXISTS (SELECT 1 FROM events AS e WHERE e.account_id = webhook_deliveries.account_id \
         AND e.event_id = webhook_deliveries.event_id AND e.happened_at >= $3)",
    );
    let update = update.bind(organization_id.as_uuid()).bind(id.as_uuid()).bind(since.as_micros());
    Ok(update.bind(now.as_micros()).execute(work).await.map_err(store_error)?.rows_affected())
}

/// Deletes what is too old, with its deliveries; how many.
pub(crate) async fn forget(work: &mut DbConnection, now: Timestamp, limit: u32) -> Result<u64> {
    let delete = sqlx::query(words::FORGET_EVENTS).bind((now - KEPT_FOR).as_micros()).bind(i64::from(limit));
    Ok(delete.execute(work).await.map_err(store_error)?.rows_affected())
}
