//! What happened, as rows: written by the transaction in which it happened.

use agentcal_engine::ids::{AccountId, EventId, OrganizationId};
use agentcal_engine::model::{Event, EventKind, EventSubject, Mode, Tenant};
use agentcal_engine::ports::Entropy;
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::db::{Db, DbConnection};
use crate::error::{Result, store_error};
use crate::text::{Named, to_json};

/// Words the insertion of an event's row.
pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, tenant: &Tenant, event: &Event, now: Timestamp) {
    statement.push(
        "INSERT INTO events (account_id, event_id, organization_id, mode, shard, kind, booking_id, sequence, happened_at, \
         state, subject) VALUES (",
    );
    let mut values = statement.separated(", ");
    values.push_bind(tenant.account_id.as_uuid()).push_bind(event.id.as_uuid());
    values.push_bind(tenant.organization_id.as_uuid()).push_bind(tenant.mode.name());
    values.push_bind(i32::from(Shard::of(tenant.account_id).number())).push_bind(event.kind.name());
    values.push_bind(event.booking_id().map(|id| id.as_uuid())).push_bind(event.sequence().map(i64::from));
    values.push_bind(now.as_micros()).push_bind("new").push_bind(to_json(&event.subject));
    statement.push(")");
}

/// Writes an event.
pub(crate) async fn insert(
    connection: &mut DbConnection,
    tenant: &Tenant,
    event: &Event,
    now: Timestamp,
) -> Result<()> {
    let mut insert = QueryBuilder::new("");
    push_insert(&mut insert, tenant, event, now);
    insert.build().execute(connection).await.map(drop).map_err(store_error)
}

/// When the store itself finds that something happened.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a dyn Entropy,
}

/// Writes what the store itself found to have happened in an account.
pub(crate) async fn happened(
    connection: &mut DbConnection,
    account_id: AccountId,
    kind: EventKind,
    subject: EventSubject,
    Moment { now, entropy }: Moment<'_>,
) -> Result<()> {
    let select =
        sqlx::query_as::<_, (Uuid, String)>("SELECT organization_id, mode FROM accounts WHERE account_id = $1");
    let select = select.bind(account_id.as_uuid()).fetch_optional(&mut *connection);
    let Some((organization_id, mode)) = select.await.map_err(store_error)? else { return Ok(()) };
    let (organization_id, mode) = (OrganizationId::from_uuid(organization_id), Mode::named(&mode)?);
    let event = Event { id: EventId::mint(now, entropy), kind, subject };
    insert(connection, &Tenant { organization_id, mode, account_id }, &event, now).await
}
