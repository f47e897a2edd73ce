//! Whether what is acknowledged survives.

use std::fmt;

use crate::error::{DISK_FULL, NOT_ALLOWED, READ_ONLY, Result, sql_state, store_error};
use crate::open::PostgresStore;
use crate::scope::Scope;

/// Something about the database that loses acknowledged commits, or the guards on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurabilityProblem {
    /// A setting without which a crash loses or tears commits is off. The first is its name, the second its value.
    Setting(&'static str, String),
    /// The server takes no writes: a standby, or `default_transaction_read_only`.
    ReadOnly,
    /// The disk the database lies on is full.
    Full,
    /// A guard on claims is not in the schema, or is not enforced.
    MissingConstraint(&'static str),
    /// A table is not logged: a crash empties it.
    UnloggedTable(String),
    /// The program's role walks through row-level security: a superuser, or one with BYPASSRLS.
    WalksThroughWalls(String),
    /// The role may not make temporary tables, so that nobody can say whether the disk has room.
    Untried,
}

impl DurabilityProblem {
    /// Whether the program must not run like this. Row-level security is a second wall; the first stands without it. What
    /// could not be tried may be well.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::WalksThroughWalls(_) | Self::Untried)
    }
}

impl fmt::Display for DurabilityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name, value) => write!(f, "{name} is {value}: a crash loses acknowledged bookings"),
            Self::ReadOnly => f.write_str("the server takes no writes: connect to the primary"),
            Self::Full => f.write_str("the server's disk is full: make room on it"),
            Self::MissingConstraint(name) => write!(f, "the constraint {name} is missing: run `agentcal migrate`"),
            Self::UnloggedTable(name) => write!(f, "the table {name} is not logged: a crash empties it"),
            Self::WalksThroughWalls(role) => {
                write!(f, "the role {role} is exempt from row-level security: use one that is not")
            }
            Self::Untried => f.write_str(
                "whether the server's disk has room is not known: grant the role TEMPORARY on the database, to have it tried",
            ),
        }
    }
}

const GUARD: &str = "claims_no_overlap";

/// How the trial is made: on the disk the database itself lies on, and with time, since a disk that is busy is not full.
const TRIAL: &str = "SET LOCAL temp_tablespaces = ''; SET LOCAL statement_timeout = '30s'";
/// A megabyte and a bit. A temporary table takes its pages from the disk at once, writes no log and is seen by nobody else.
const PAGES: &str = "CREATE TEMPORARY TABLE agentcal_trial ON COMMIT DROP AS \
                     SELECT repeat(' ', 1000) AS filler FROM generate_series(1, 1024)";

impl PostgresStore {
    /// What stands in the way of keeping acknowledged commits; nothing, in any healthy installation. Asked on a connection
    /// that commits, not of the configuration.
    pub async fn durability_check(&self) -> Result<Vec<DurabilityProblem>> {
        let mut reader = self.reader(Scope::All).await?;
        let mut problems = Vec::new();
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            let select = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
            let value: String = select.fetch_one(&mut *reader).await.map_err(store_error)?;
            if value == "off" {
                problems.push(DurabilityProblem::Setting(name, value));
            }
        }
        let guards = sqlx::query_scalar(
            "SELECT count(*) FROM pg_constraint JOIN pg_index ON pg_index.indexrelid = conindid \
             WHERE conrelid = to_regclass('claims') AND conname = $1 AND contype = 'x' AND indisvalid AND indisready",
        );
        let guards: i64 = guards.bind(GUARD).fetch_one(&mut *reader).await.map_err(store_error)?;
        if guards == 0 {
            problems.push(DurabilityProblem::MissingConstraint(GUARD));
        }
        let unlogged = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u' \
                        AND relnamespace = current_schema()::regnamespace ORDER BY relname";
        let unlogged: Vec<String> = sqlx::query_scalar(unlogged).fetch_all(&mut *reader).await.map_err(store_error)?;
        problems.extend(unlogged.into_iter().map(DurabilityProblem::UnloggedTable));
        let exempt = "SELECT rolname::text FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)";
        let exempt: Option<String> =
            sqlx::query_scalar(exempt).fetch_optional(&mut *reader).await.map_err(store_error)?;
        problems.extend(exempt.map(DurabilityProblem::WalksThroughWalls));
        drop(reader);
        problems.extend(self.trial_write().await?);
        Ok(problems)
    }

    /// Writes some pages and takes them back. A server that takes no writes, or has no room for any, answers everything that
    /// is merely asked.
    async fn trial_write(&self) -> Result<Option<DurabilityProblem>> {
        let mut trial = self.begin_as_served(Scope::All).await?;
        sqlx::raw_sql(TRIAL).execute(&mut *trial).await.map_err(store_error)?;
        let written = sqlx::raw_sql(PAGES).execute(&mut *trial).await;
        trial.rollback().await.map_err(store_error)?;
        let Err(error) = written else { return Ok(None) };
        match sql_state(&error).as_deref() {
            Some(DISK_FULL) => Ok(Some(DurabilityProblem::Full)),
            Some(READ_ONLY) => Ok(Some(DurabilityProblem::ReadOnly)),
            Some(NOT_ALLOWED) => Ok(Some(DurabilityProblem::Untried)),
            _ => Err(store_error(error)),
        }
    }
}
