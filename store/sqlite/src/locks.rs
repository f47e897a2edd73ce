//! Rows that are locked before they are read. `BEGIN IMMEDIATE` has locked everything, so here they are only read.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, OrganizationId};
use agentcal_engine::shard::Epoch;

use crate::db::DbConnection;
use crate::error::Result;
use crate::{ownership, revisions};

/// The epoch under which the account's rows are written.
pub(crate) async fn epoch(connection: &mut DbConnection, _: AccountId) -> Result<Epoch> {
    Ok(ownership::present(connection).await?.1)
}

/// The same, standing to the end of the transaction.
pub(crate) async fn held_epoch(connection: &mut DbConnection, account_id: AccountId) -> Result<Epoch> {
    epoch(connection, account_id).await
}

/// The configuration's revision, standing to the end.
pub(crate) async fn config(connection: &mut DbConnection, account_id: AccountId) -> Result<Option<u64>> {
    revisions::read(connection, account_id, RevisionKey::Config).await
}

/// A calendar's revision stands to the end.
pub(crate) async fn calendar(_: &mut DbConnection, _: AccountId, _: CalendarId) -> Result<()> {
    Ok(())
}

/// All of an account's revisions stand to the end.
pub(crate) async fn account(_: &mut DbConnection, _: AccountId) -> Result<()> {
    Ok(())
}

/// Nobody else makes or deletes accounts of an organization to the end.
pub(crate) async fn organization(_: &mut DbConnection, _: OrganizationId) -> Result<()> {
    Ok(())
}

/// Holds of all accounts of an organization may be counted to the end.
pub(crate) async fn count_organization(_: &mut DbConnection, _: OrganizationId) -> Result<()> {
    Ok(())
}

/// A booking stands as it is to the end.
pub(crate) async fn booking(_: &mut DbConnection, _: AccountId, _: BookingId) -> Result<()> {
    Ok(())
}

/// What follows may be large, and takes its time.
pub(crate) async fn take_time(_: &mut DbConnection) -> Result<()> {
    Ok(())
}
