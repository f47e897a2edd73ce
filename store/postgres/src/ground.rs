//! What a commit stands on, locked and read in one statement.

use agentcal_engine::commit::{Access, CommitPlan, ExpectedRevision, RevisionKey};
use agentcal_engine::planted;
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::WrappedKey;
use sqlx::{QueryBuilder, Row as _};

use crate::db::{CLOCK, Db, DbConnection};
use crate::error::{Result, store_error};
use crate::revisions::columns;
use crate::text::{Named, to_u64};

/// What a commit stands on. The rows it was read from are locked to the end, apart from the last four.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The shard's epoch, where the plan asks for one.
    pub(crate) epoch: Option<Epoch>,
    /// The revisions the plan names, in its order; those that are there.
    pub(crate) revisions: Vec<(RevisionKey, u64)>,
    /// The database's clock after the last lock.
    pub(crate) clock: Timestamp,
    /// What is kept under the plan's idempotency key.
    pub(crate) kept: Option<KeptRow>,
    /// Whether the commit's id was used up, and by performing it.
    pub(crate) used: Option<bool>,
    /// The account's data key.
    pub(crate) data_key: Option<WrappedKey>,
}

/// A kept answer as it stands in its row.
#[derive(Debug)]
pub(crate) struct KeptRow {
    /// Of the request it answers.
    pub(crate) fingerprint: Vec<u8>,
    /// Sealed.
    pub(crate) answer: Vec<u8>,
    /// When it was kept.
    pub(crate) created_at: Timestamp,
}

impl Ground {
    /// The revision of a row as it stands; `None` when the row is gone.
    fn revision_of(&self, key: RevisionKey) -> Option<u64> {
        self.revisions.iter().find(|(present, _)| *present == key).map(|(_, revision)| *revision)
    }

    /// What the plan raises, as it then is, ascending by key.
    pub(crate) fn raised(&self, expected: &[ExpectedRevision]) -> Vec<(RevisionKey, u64)> {
        let written = expected.iter().filter(|expected| expected.access == Access::Write);
        written.filter_map(|expected| Some((expected.key, self.revision_of(expected.key)? + 1))).collect()
    }

    /// Whether everything stands where the plan saw it.
    pub(crate) fn stands(&self, expected: &[ExpectedRevision]) -> bool {
        expected.iter().all(|expected| match (self.revision_of(expected.key), expected.revision) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(present), Some(seen)) => present == seen,
        })
    }
}

/// Number of the row that holds the epoch.
const EPOCH_ROW: i64 = -1;
/// Number of the row that holds everything but epoch and revisions.
const LAST_ROW: i64 = -2;

/// Locks and reads in the order all writers keep: the epoch, then each revision in its final mode, then the clock.
///
/// The parts of a `UNION ALL` run one after the other, and a part that locks is not merged into another. Were that to
/// change, writers could meet in a deadlock, which the server ends and the caller tries again; nothing else rests on it.
/// `None`: the account is not there, or not this organization's and mode's.
pub(crate) async fn lock(work: &mut DbConnection, plan: &CommitPlan) -> Result<Option<Ground>> {
    let mut select = statement(plan);
    let rows = select.build().fetch_all(work).await.map_err(store_error)?;
    let mut ground = None;
    let (mut epoch, mut revisions) = (None, Vec::with_capacity(plan.expected_revisions.len()));
    for row in rows {
        let number: i64 = row.try_get("number").map_err(store_error)?;
        let value = || row.try_get::<i64, _>("value").map_err(store_error).and_then(to_u64);
        match number {
            EPOCH_ROW => epoch = Some(Epoch(value()?)),
            LAST_ROW => ground = Some(last(&row)?),
            number => {
                let expected = usize::try_from(number).ok().and_then(|number| plan.expected_revisions.get(number));
                revisions.extend(expected.map(|expected| expected.key).zip(Some(value()?)));
            }
        }
    }
    Ok(ground.map(|ground| Ground { epoch, revisions, ..ground }))
}

fn last(row: &sqlx::postgres::PgRow) -> Result<Ground> {
    let kept = |row: &sqlx::postgres::PgRow| -> Result<Option<KeptRow>, sqlx::Error> {
        let Some(fingerprint) = row.try_get("fingerprint")? else { return Ok(None) };
        let created_at = Timestamp::from_micros(row.try_get("kept_at")?);
        Ok(Some(KeptRow { fingerprint, answer: row.try_get("answer")?, created_at }))
    };
    let key = |row: &sqlx::postgres::PgRow| -> Result<Option<WrappedKey>, sqlx::Error> {
        let Some(key_id) = row.try_get("wrapped_by")? else { return Ok(None) };
        Ok(Some(WrappedKey { key_id, bytes: row.try_get("wrapped")? }))
    };
    Ok(Ground {
        epoch: None,
        revisions: Vec::new(),
        clock: Timestamp::from_micros(row.try_get("value").map_err(store_error)?),
        kept: kept(row).map_err(store_error)?,
        used: row.try_get("used").map_err(store_error)?,
        data_key: key(row).map_err(store_error)?,
    })
}

/// Columns of the last row that the others leave empty.
const NOTHING_ELSE: &str = ", NULL::boolean AS used, NULL::bytea AS fingerprint, NULL::bytea AS answer, \
                            NULL::bigint AS kept_at, NULL::text AS wrapped_by, NULL::bytea AS wrapped FROM (";

fn statement(plan: &CommitPlan) -> QueryBuilder<Db> {
    let mut select = QueryBuilder::new("");
    if plan.epoch.is_some() {
        select.push(format_args!("SELECT {EPOCH_ROW}::bigint AS number, f.epoch AS value{NOTHING_ELSE}"));
        select.push("SELECT epoch FROM shards WHERE shard = ").push_bind(i32::from(plan.shard.number()));
        select.push(if planted!(PlainSelectFence) { ") AS f UNION ALL " } else { " FOR SHARE) AS f UNION ALL " });
    }
    for (number, expected) in plan.expected_revisions.iter().enumerate() {
        let (kind, id) = columns(plan.tenant.account_id, expected.key);
        select.push(format_args!("SELECT {number}::bigint AS number, r.revision AS value{NOTHING_ELSE}"));
        select.push("SELECT revision FROM revisions WHERE account_id = ").push_bind(plan.tenant.account_id.as_uuid());
        select.push(format_args!(" AND kind = {kind} AND id = ")).push_bind(id);
        select.push(match expected.access {
            Access::Read => " FOR SHARE) AS r UNION ALL ",
            Access::Write => " FOR NO KEY UPDATE) AS r UNION ALL ",
        });
    }
    push_last(&mut select, plan);
    select
}

fn push_last(select: &mut QueryBuilder<Db>, plan: &CommitPlan) {
    select.push(format_args!("SELECT {LAST_ROW}::bigint AS number, {CLOCK} AS value, u.is_performed AS used"));
    select.push(if plan.idempotency.is_some() {
        ", w.fingerprint AS fingerprint, w.answer AS answer, w.created_at AS kept_at, k.wrapped_by AS wrapped_by, \
         k.wrapped AS wrapped FROM accounts AS a LEFT JOIN account_keys AS k ON k.account_id = a.account_id \
         LEFT JOIN used_commits AS u ON u.account_id = a.account_id AND u.commit_id = "
    } else {
        ", NULL::bytea, NULL::bytea, NULL::bigint, NULL::text, NULL::bytea FROM accounts AS a \
         LEFT JOIN used_commits AS u ON u.account_id = a.account_id AND u.commit_id = "
    });
    select.push_bind(plan.commit_id);
    if let Some(idempotent) = &plan.idempotency {
        select.push(" LEFT JOIN account_answers AS w ON w.account_id = a.account_id AND w.scope = ");
        select.push_bind(idempotent.key.scope.to_vec());
    }
    select.push(" WHERE a.account_id = ").push_bind(plan.tenant.account_id.as_uuid());
    select.push(" AND a.organization_id = ").push_bind(plan.tenant.organization_id.as_uuid());
    select.push(" AND a.mode = ").push_bind(plan.tenant.mode.name());
}
