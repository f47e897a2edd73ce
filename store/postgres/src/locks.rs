//! Rows that are locked before they are read. One order for every writer: the shard's epoch, then revisions by kind and
//! id; nothing is locked before them, so that whoever waits for one holds nothing an earlier one needs.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, OrganizationId};
use agentcal_engine::shard::{Epoch, Shard};

use crate::db::DbConnection;
use crate::error::{Result, store_error};
use crate::revisions::columns;
use crate::text::to_u64;

/// The epoch under which the account's rows are written.
pub(crate) async fn epoch(connection: &mut DbConnection, account_id: AccountId) -> Result<Epoch> {
    read_epoch(connection, account_id, "SELECT epoch FROM shards WHERE shard = $1").await
}

/// The same, standing to the end of the transaction: a change of owner waits for it. Reading it would be no fence.
pub(crate) async fn held_epoch(connection: &mut DbConnection, account_id: AccountId) -> Result<Epoch> {
    read_epoch(connection, account_id, "SELECT epoch FROM shards WHERE shard = $1 FOR SHARE").await
}

async fn read_epoch(connection: &mut DbConnection, account_id: AccountId, select: &'static str) -> Result<Epoch> {
    let select = sqlx::query_scalar(select).bind(i32::from(Shard::of(account_id).number()));
    let epoch: i64 = select.fetch_one(connection).await.map_err(store_error)?;
    Ok(Epoch(to_u64(epoch)?))
}

/// The configuration's revision, standing to the end.
pub(crate) async fn config(connection: &mut DbConnection, account_id: AccountId) -> Result<Option<u64>> {
    one(connection, account_id, RevisionKey::Config).await
}

/// A calendar's revision stands to the end.
pub(crate) async fn calendar(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<()> {
    one(connection, account_id, RevisionKey::Calendar(calendar_id)).await.map(drop)
}

async fn one(connection: &mut DbConnection, account_id: AccountId, key: RevisionKey) -> Result<Option<u64>> {
    let (kind, id) = columns(account_id, key);
    let select = sqlx::query_scalar(
        "SELECT revision FROM revisions WHERE account_id = $1 AND kind = $2 AND id = $3 FOR NO KEY UPDATE",
    );
    let select = select.bind(account_id.as_uuid()).bind(kind).bind(id);
    let revision: Option<i64> = select.fetch_optional(connection).await.map_err(store_error)?;
    revision.map(to_u64).transpose()
}

/// All of an account's revisions stand to the end; for writes to configuration that raise more than one. Sorted below
/// the lock, and neither sort key ever changes, so that the rows are locked in that order. What follows may be as large as
/// the account, and takes its time.
pub(crate) async fn account(connection: &mut DbConnection, account_id: AccountId) -> Result<()> {
    take_time(connection).await?;
    let select =
        sqlx::query("SELECT revision FROM revisions WHERE account_id = $1 ORDER BY kind, id FOR NO KEY UPDATE");
    select.bind(account_id.as_uuid()).execute(connection).await.map(drop).map_err(store_error)
}

/// Nobody else makes or deletes accounts of an organization to the end.
pub(crate) async fn organization(connection: &mut DbConnection, organization_id: OrganizationId) -> Result<()> {
    let select = sqlx::query("SELECT 1 FROM organizations WHERE organization_id = $1 FOR NO KEY UPDATE");
    select.bind(organization_id.as_uuid()).execute(connection).await.map(drop).map_err(store_error)
}

/// Holds of all accounts of an organization may be counted to the end; row-level security shows no others' else.
pub(crate) async fn count_organization(connection: &mut DbConnection, organization_id: OrganizationId) -> Result<()> {
    let tell = sqlx::query("SELECT set_config('agentcal.counted_organization', $1, true)");
    let tell = tell.bind(organization_id.as_uuid().to_string());
    tell.execute(connection).await.map(drop).map_err(store_error)
}

/// A booking stands as it is to the end; for who locks nothing else that a commit wants.
pub(crate) async fn booking(connection: &mut DbConnection, account_id: AccountId, booking_id: BookingId) -> Result<()> {
    let select = sqlx::query("SELECT 1 FROM bookings WHERE account_id = $1 AND booking_id = $2 FOR SHARE");
    let select = select.bind(account_id.as_uuid()).bind(booking_id.as_uuid());
    select.execute(connection).await.map(drop).map_err(store_error)
}

/// What follows may be as large as what an endpoint was ever told, and takes its time.
pub(crate) async fn take_time(connection: &mut DbConnection) -> Result<()> {
    let allow = sqlx::query("SET LOCAL statement_timeout = '60s'");
    allow.execute(connection).await.map(drop).map_err(store_error)
}
