//! Whether what is acknowledged survives.

use std::fmt;

use crate::error::{Result, store_error};
use crate::open::SqliteStore;
use crate::scope::Scope;

/// Something about the database that loses acknowledged commits, or the guards on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurabilityProblem {
    /// `synchronous` is below FULL: a loss of power loses commits.
    Synchronous(i64),
    /// The journal is not write-ahead: the file lies where shared memory does not work, such as a network drive.
    JournalMode(String),
    /// Foreign keys are not enforced.
    ForeignKeys,
    /// A guard on claims is not in the schema.
    MissingTrigger(&'static str),
}

impl fmt::Display for DurabilityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synchronous(level) => write!(f, "synchronous is {level}, below FULL: a loss of power loses commits"),
            Self::JournalMode(mode) => {
                write!(f, "the journal mode is {mode}, not wal: keep the database on a local disk")
            }
            Self::ForeignKeys => f.write_str("foreign keys are not enforced"),
            Self::MissingTrigger(name) => write!(f, "the trigger {name} is missing: run `agentcal migrate`"),
        }
    }
}

const GUARDS: [&str; 2] = ["claims_no_overlap_insert", "claims_no_overlap_update"];

impl SqliteStore {
    /// What stands in the way of keeping acknowledged commits; nothing, in any healthy installation. Asked in a
    /// transaction like those that commit, not of the configuration.
    pub async fn durability_check(&self) -> Result<Vec<DurabilityProblem>> {
        let mut writer = self.begin_write(Scope::All).await?;
        let mut problems = Vec::new();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await.map_err(store_error)?;
        if synchronous < 2 {
            problems.push(DurabilityProblem::Synchronous(synchronous));
        }
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writer).await.map_err(store_error)?;
        if journal != "wal" {
            problems.push(DurabilityProblem::JournalMode(journal));
        }
        let foreign_keys: i64 =
            sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *writer).await.map_err(store_error)?;
        if foreign_keys != 1 {
            problems.push(DurabilityProblem::ForeignKeys);
        }
        for guard in GUARDS {
            let find = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name = $1";
            let count: i64 = sqlx::query_scalar(find).bind(guard).fetch_one(&mut *writer).await.map_err(store_error)?;
            if count == 0 {
                problems.push(DurabilityProblem::MissingTrigger(guard));
            }
        }
        Ok(problems)
    }

    /// Folds the journal back and empties it, so that what was deleted is gone from it too. Best effort: a reader under
    /// way can hold it up, and the next fold does it then.
    pub(crate) async fn fold_journal(&self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await {
            tracing::warn!(%error, "the journal could not be folded back after a deletion");
        }
    }
}
