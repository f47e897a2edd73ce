//! Whether what is acknowledged survives.

use std::fmt;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::error::{Result, is_read_only, lacks_room, store_error};
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
    /// The file, or its disk, takes no writes.
    ReadOnly,
    /// The disk is full.
    Full,
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
            Self::ReadOnly => f.write_str("the file takes no writes: see whose it is, and how its disk is mounted"),
            Self::Full => f.write_str("the disk is full: make room on it"),
        }
    }
}

/// What is written on trial: a megabyte.
const TRIAL_LEN: i64 = 1 << 20;
/// Pages the trial may keep in memory: a few, so that the others take their room on the disk before the trial ends.
const TRIAL_CACHE_PAGES: &str = "8";

const GUARDS: [&str; 2] = ["claims_no_overlap_insert", "claims_no_overlap_update"];

impl SqliteStore {
    /// What stands in the way of keeping acknowledged commits; nothing, in any healthy installation. Asked in a
    /// transaction like those that commit, not of the configuration.
    pub async fn durability_check(&self) -> Result<Vec<DurabilityProblem>> {
        // Where nothing can be written, nothing of what follows can be asked.
        if let Some(problem) = self.trial_write().await? {
            return Ok(vec![problem]);
        }
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

    /// Writes some pages and takes them back, on a connection of its own, whose cache is too small for them. A disk without
    /// room answers everything that is merely asked.
    async fn trial_write(&self) -> Result<Option<DurabilityProblem>> {
        let options = SqliteConnectOptions::clone(&self.writer.connect_options());
        let options = options.pragma("cache_size", TRIAL_CACHE_PAGES);
        let tried = async {
            let mut connection = SqliteConnection::connect_with(&options).await?;
            let mut trial = connection.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query("CREATE TABLE agentcal_trial (filler BLOB)").execute(&mut *trial).await?;
            let write = sqlx::query("INSERT INTO agentcal_trial VALUES (zeroblob($1))").bind(TRIAL_LEN);
            write.execute(&mut *trial).await?;
            trial.rollback().await?;
            connection.close().await
        };
        let Err(error) = tried.await else { return Ok(None) };
        match error {
            error if lacks_room(&error) => Ok(Some(DurabilityProblem::Full)),
            error if is_read_only(&error) => Ok(Some(DurabilityProblem::ReadOnly)),
            error => Err(store_error(error)),
        }
    }

    /// Folds the journal back and empties it, so that what was deleted is gone from it too. Best effort: a reader under
    /// way can hold it up, and the next fold does it then.
    pub(crate) async fn fold_journal(&self) {
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await {
            tracing::warn!(%error, "the journal could not be folded back after a deletion");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agentcal_store_conformance::world::MORNING;
    use agentcal_store_conformance::{TestClock, TestEntropy};
    use agentcal_store_vault::KeyRing;

    use super::*;
    use crate::open::OpenOptions;

    /// What is found in a file whose connections are made otherwise from here on.
    async fn found(change: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions) -> Vec<DurabilityProblem> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keyring = KeyRing::parse("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("a valid ring");
        let options = OpenOptions {
            path: folder.path().join("agentcal.db"),
            keyring: Arc::new(keyring),
            entropy: Arc::new(TestEntropy::default()),
            clock: Arc::new(TestClock::at(MORNING)),
        };
        let store = SqliteStore::open(options).await.expect("opened");
        store.migrate().await.expect("migrated");
        let changed = change(SqliteConnectOptions::clone(&store.writer.connect_options()));
        store.writer.set_connect_options(changed);
        let found = store.durability_check().await.expect("answered");
        store.close().await;
        found
    }

    #[tokio::test]
    async fn a_file_that_takes_no_more_is_found_by_writing() {
        assert_eq!(found(|options| options).await, []);
        // Less than the file has: as much as it has.
        assert_eq!(found(|options| options.pragma("max_page_count", "1")).await, [DurabilityProblem::Full]);
        assert_eq!(found(|options| options.read_only(true)).await, [DurabilityProblem::ReadOnly]);
    }
}
