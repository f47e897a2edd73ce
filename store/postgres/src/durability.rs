//! Whether what is acknowledged survives.

use std::fmt;

use crate::error::{Result, store_error};
use crate::open::PostgresStore;
use crate::scope::Scope;

/// Something about the database that loses acknowledged commits, or the guards on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DurabilityProblem {
    /// A setting without which a crash loses or tears commits is off. The first is its name, the second its value.
    Setting(&'static str, String),
    /// The server takes no writes: a standby, or `default_transaction_read_only`.
    ReadOnly,
    /// A guard on claims is not in the schema, or is not enforced.
    MissingConstraint(&'static str),
    /// A table is not logged: a crash empties it.
    UnloggedTable(String),
    /// The program's role walks through row-level security: a superuser, or one with BYPASSRLS.
    WalksThroughWalls(String),
}

impl DurabilityProblem {
    /// Whether the program must not run like this. Row-level security is a second wall; the first stands without it.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::WalksThroughWalls(_))
    }
}

impl fmt::Display for DurabilityProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name, value) => write!(f, "{name} is {value}: a crash loses acknowledged bookings"),
            Self::ReadOnly => f.write_str("the server takes no writes: connect to the primary"),
            Self::MissingConstraint(name) => write!(f, "the constraint {name} is missing: run `agentcal migrate`"),
            Self::UnloggedTable(name) => write!(f, "the table {name} is not logged: a crash empties it"),
            Self::WalksThroughWalls(role) => {
                write!(f, "the role {role} is exempt from row-level security: use one that is not")
            }
        }
    }
}

const GUARD: &str = "claims_no_overlap";

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
        let read_only = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'";
        if sqlx::query_scalar(read_only).fetch_one(&mut *reader).await.map_err(store_error)? {
            problems.push(DurabilityProblem::ReadOnly);
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
        Ok(problems)
    }
}
