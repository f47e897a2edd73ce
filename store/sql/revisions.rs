//! Revisions: one row per account configuration, calendar and user.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use uuid::Uuid;

use crate::db::DbConnection;
use crate::error::{Result, store_error};
use crate::text::to_u64;

/// Revision of a row that was just made.
const FIRST: i64 = 1;

/// How a key stands in its row: kind and id.
pub(crate) fn columns(account_id: AccountId, key: RevisionKey) -> (i64, Uuid) {
    match key {
        RevisionKey::Config => (0, account_id.as_uuid()),
        RevisionKey::Calendar(id) => (1, id.as_uuid()),
        RevisionKey::User(id) => (2, id.as_uuid()),
    }
}

/// Begins a row's revisions.
pub(crate) async fn create(connection: &mut DbConnection, account_id: AccountId, key: RevisionKey) -> Result<()> {
    let (kind, id) = columns(account_id, key);
    let insert = sqlx::query("INSERT INTO revisions (account_id, kind, id, revision) VALUES ($1, $2, $3, $4)");
    let insert = insert.bind(account_id.as_uuid()).bind(kind).bind(id).bind(FIRST);
    insert.execute(connection).await.map(drop).map_err(store_error)
}

/// The revision as it is; `None` when the row is gone.
pub(crate) async fn read(
    connection: &mut DbConnection,
    account_id: AccountId,
    key: RevisionKey,
) -> Result<Option<u64>> {
    let (kind, id) = columns(account_id, key);
    let select = sqlx::query_scalar("SELECT revision FROM revisions WHERE account_id = $1 AND kind = $2 AND id = $3");
    let select = select.bind(account_id.as_uuid()).bind(kind).bind(id);
    let revision: Option<i64> = select.fetch_optional(connection).await.map_err(store_error)?;
    revision.map(to_u64).transpose()
}

/// Raises a revision and returns it; `None` when the row is gone.
pub(crate) async fn raise(
    connection: &mut DbConnection,
    account_id: AccountId,
    key: RevisionKey,
) -> Result<Option<u64>> {
    let (kind, id) = columns(account_id, key);
    let update = sqlx::query_scalar(
        "UPDATE revisions SET revision = revision + 1 WHERE account_id = $1 AND kind = $2 AND id = $3 RETURNING revision",
    );
    let update = update.bind(account_id.as_uuid()).bind(kind).bind(id);
    let revision: Option<i64> = update.fetch_optional(connection).await.map_err(store_error)?;
    revision.map(to_u64).transpose()
}

/// Raises a calendar's revision.
pub(crate) async fn raise_calendar(
    connection: &mut DbConnection,
    account_id: AccountId,
    calendar_id: CalendarId,
) -> Result<Option<u64>> {
    raise(connection, account_id, RevisionKey::Calendar(calendar_id)).await
}

/// Raises a user's revision.
pub(crate) async fn raise_user(
    connection: &mut DbConnection,
    account_id: AccountId,
    user_id: UserId,
) -> Result<Option<u64>> {
    raise(connection, account_id, RevisionKey::User(user_id)).await
}

/// Ends a row's revisions, so that no plan that rests on it stands.
pub(crate) async fn remove(connection: &mut DbConnection, account_id: AccountId, key: RevisionKey) -> Result<()> {
    let (kind, id) = columns(account_id, key);
    let delete = sqlx::query("DELETE FROM revisions WHERE account_id = $1 AND kind = $2 AND id = $3");
    delete.bind(account_id.as_uuid()).bind(kind).bind(id).execute(connection).await.map(drop).map_err(store_error)
}
