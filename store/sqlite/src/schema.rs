//! The schema, embedded, and where a file stands against it.

use sqlx::migrate::Migrator;

use crate::error::{Result, store_error};
use crate::open::{OpenError, SqliteStore};
use crate::scope::Scope;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Where a file's schema stands against this program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations this program brings, by name, that the file does not have yet.
    pub pending: Vec<String>,
    /// Versions in the file that this program does not know: a newer program was here.
    pub unknown: Vec<i64>,
    /// How many migrations both have.
    pub applied: usize,
}

impl SchemaState {
    /// Whether the program may work on the file.
    pub fn is_current(&self) -> bool {
        self.pending.is_empty() && self.unknown.is_empty()
    }
}

impl SqliteStore {
    /// Brings the schema up to date, one migration per transaction.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        Ok(MIGRATIONS.run(&self.writer).await?)
    }

    /// Where the schema stands; reads only.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        let present = self.applied_versions().await?;
        let known = || MIGRATIONS.iter().filter(|migration| !migration.migration_type.is_down_migration());
        let pending = known()
            .filter(|migration| !present.contains(&migration.version))
            .map(|migration| format!("{} {}", migration.version, migration.description))
            .collect::<Vec<_>>();
        let is_known = |version: &i64| known().any(|migration| migration.version == *version);
        let (applied, unknown): (Vec<i64>, Vec<i64>) = present.iter().partition(|version| is_known(version));
        Ok(SchemaState { pending, unknown, applied: applied.len() })
    }

    async fn applied_versions(&self) -> Result<Vec<i64>> {
        let mut reader = self.reader(Scope::All).await?;
        let table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
        let tables: i64 = sqlx::query_scalar(table).fetch_one(&mut *reader).await.map_err(store_error)?;
        if tables == 0 {
            return Ok(Vec::new());
        }
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *reader)
            .await
            .map_err(store_error)
    }
}
