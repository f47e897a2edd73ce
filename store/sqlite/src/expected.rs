//! The revisions a plan was decided on, compared and raised.

use agentcal_engine::commit::{Access, ExpectedRevision, RevisionKey};
use agentcal_engine::ids::AccountId;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::error::{Result, store_error};
use crate::revisions::columns;
use crate::text::to_u64;

/// Rows named in one statement. With more alternatives SQLite would rather read all revisions of the account.
const ROWS_PER_STATEMENT: usize = 4;

/// Whether every row a plan only reads stands where the plan saw it. `config` is the configuration's revision, read
/// before.
pub(crate) async fn stand(
    connection: &mut SqliteConnection,
    account_id: AccountId,
    expected: &[ExpectedRevision],
    config: u64,
) -> Result<bool> {
    let (of_config, others): (Vec<&ExpectedRevision>, Vec<&ExpectedRevision>) = expected
        .iter()
        .filter(|expected| expected.access == Access::Read)
        .partition(|expected| expected.key == RevisionKey::Config);
    if of_config.iter().any(|expected| expected.revision.is_some_and(|revision| revision != config)) {
        return Ok(false);
    }
    for some in others.chunks(ROWS_PER_STATEMENT) {
        let select = "SELECT kind, id, revision FROM revisions WHERE ";
        let found = fetch(connection, account_id, some, select, "").await?;
        let stands = |expected: &&ExpectedRevision| {
            revision_of(&found, account_id, expected.key).is_some_and(|present| is_as_seen(expected, present))
        };
        if !some.iter().all(stands) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Raises every row a plan writes, ascending by key; `None` when one of them is gone or was not where the plan saw it.
pub(crate) async fn raise_written(
    connection: &mut SqliteConnection,
    account_id: AccountId,
    expected: &[ExpectedRevision],
) -> Result<Option<Vec<(RevisionKey, u64)>>> {
    let written: Vec<&ExpectedRevision> = expected.iter().filter(|expected| expected.access == Access::Write).collect();
    let mut raised = Vec::with_capacity(written.len());
    for some in written.chunks(ROWS_PER_STATEMENT) {
        let update = "UPDATE revisions SET revision = revision + 1 WHERE ";
        let found = fetch(connection, account_id, some, update, " RETURNING kind, id, revision").await?;
        for expected in some {
            match revision_of(&found, account_id, expected.key) {
                Some(revision) if is_as_seen(expected, revision - 1) => raised.push((expected.key, revision)),
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(raised))
}

fn is_as_seen(expected: &ExpectedRevision, present: u64) -> bool {
    expected.revision.is_none_or(|revision| revision == present)
}

fn revision_of(found: &[(i64, Uuid, u64)], account_id: AccountId, key: RevisionKey) -> Option<u64> {
    let (kind, id) = columns(account_id, key);
    found.iter().find(|row| (row.0, row.1) == (kind, id)).map(|row| row.2)
}

async fn fetch(
    connection: &mut SqliteConnection,
    account_id: AccountId,
    some: &[&ExpectedRevision],
    begin: &'static str,
    end: &'static str,
) -> Result<Vec<(i64, Uuid, u64)>> {
    let mut statement = QueryBuilder::<Sqlite>::new(begin);
    let mut rows = statement.separated(" OR ");
    for expected in some {
        let (kind, id) = columns(account_id, expected.key);
        rows.push("(account_id = ").push_bind_unseparated(account_id.as_uuid());
        rows.push_unseparated(" AND kind = ").push_bind_unseparated(kind);
        rows.push_unseparated(" AND id = ").push_bind_unseparated(id).push_unseparated(")");
    }
    statement.push(end);
    let rows = statement.build_query_as::<(i64, Uuid, i64)>().fetch_all(connection).await.map_err(store_error)?;
    rows.into_iter().map(|(kind, id, revision)| Ok((kind, id, to_u64(revision)?))).collect()
}
