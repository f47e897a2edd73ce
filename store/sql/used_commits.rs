//! Ids of commits that several nodes might perform, used up by whoever settles one.

use agentcal_engine::ids::AccountId;
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::db::DbConnection;
use crate::error::{Result, store_error};
use crate::words;

/// Whether an id was used up, and if so, whether by performing the commit.
pub(crate) async fn find(
    connection: &mut DbConnection,
    account_id: AccountId,
    commit_id: Uuid,
) -> Result<Option<bool>> {
    let select = sqlx::query_scalar("SELECT is_performed FROM used_commits WHERE account_id = $1 AND commit_id = $2");
    select.bind(account_id.as_uuid()).bind(commit_id).fetch_optional(connection).await.map_err(store_error)
}

/// Uses an id up; false when it was used up before, or the account is gone.
pub(crate) async fn insert(
    connection: &mut DbConnection,
    account_id: AccountId,
    commit_id: Uuid,
    is_performed: bool,
    now: Timestamp,
) -> Result<bool> {
    let insert = sqlx::query(
        "INSERT INTO used_commits (account_id, commit_id, is_performed, used_at) \
         SELECT account_id, $2, $3, $4 FROM accounts WHERE account_id = $1 \
         ON CONFLICT (account_id, commit_id) DO NOTHING",
    );
    let insert = insert.bind(account_id.as_uuid()).bind(commit_id).bind(is_performed).bind(now.as_micros());
    Ok(insert.execute(connection).await.map_err(store_error)?.rows_affected() == 1)
}

/// Deletes ids used up until an instant, at most `limit`; returns how many.
pub(crate) async fn forget(connection: &mut DbConnection, until: Timestamp, limit: u32) -> Result<u64> {
    let delete = sqlx::query(words::FORGET_USED_COMMITS);
    let delete = delete.bind(until.as_micros()).bind(i64::from(limit));
    Ok(delete.execute(connection).await.map_err(store_error)?.rows_affected())
}
