//! The schema, embedded, and where a database stands against it.

use sqlx::Connection as _;
use sqlx::migrate::Migrator;

use crate::error::{NOT_ALLOWED, Result, sql_state, store_error};
use crate::open::{OpenError, PostgresStore};
use crate::scope::Scope;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The extension the guard on claims is made of.
const EXTENSION: &str = "btree_gist";

/// Where a database's schema stands against this program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations this program brings, by name, that the database does not have yet.
    pub pending: Vec<String>,
    /// Versions in the database that this program does not know: a newer program was here.
    pub unknown: Vec<i64>,
    /// How many migrations both have.
    pub applied: usize,
    /// An extension that pending migrations need, that is not there and that this role cannot make.
    pub missing_extension: Option<&'static str>,
}

impl SchemaState {
    /// Whether the program may work on the database.
    pub fn is_current(&self) -> bool {
        self.pending.is_empty() && self.unknown.is_empty()
    }
}

impl PostgresStore {
    /// Brings the schema up to date, one migration per transaction. Nodes that do so at once stand in line. A connection
    /// of its own, because migrations may take longer than anything else may.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let mut connection = self.patient_connection().await?;
        let extension = format!("CREATE EXTENSION IF NOT EXISTS {EXTENSION}");
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(extension)).execute(&mut connection).await;
        made.map_err(extension_error)?;
        MIGRATIONS.run(&mut connection).await?;
        connection.close().await.map_err(OpenError::Database)
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
        let needs_extension = !pending.is_empty() && !self.can_have_extension().await?;
        let missing_extension = needs_extension.then_some(EXTENSION);
        Ok(SchemaState { pending, unknown, applied: applied.len(), missing_extension })
    }

    /// Whether the extension is there, or can be made by this role.
    async fn can_have_extension(&self) -> Result<bool> {
        let mut reader = self.reader(Scope::All).await?;
        let select = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = $1) \
                      OR EXISTS (SELECT 1 FROM pg_available_extension_versions AS version \
                      JOIN pg_roles AS role ON role.rolname = current_user WHERE version.name = $1 AND (role.rolsuper \
                      OR ((version.trusted OR NOT version.superuser) \
                      AND has_database_privilege(current_database(), 'CREATE'))))";
        sqlx::query_scalar(select).bind(EXTENSION).fetch_one(&mut *reader).await.map_err(store_error)
    }

    async fn applied_versions(&self) -> Result<Vec<i64>> {
        let mut reader = self.reader(Scope::All).await?;
        let table = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        let has_table: bool = sqlx::query_scalar(table).fetch_one(&mut *reader).await.map_err(store_error)?;
        if !has_table {
            return Ok(Vec::new());
        }
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *reader)
            .await
            .map_err(store_error)
    }
}

/// The extension is not installed on the server (no file, feature not supported), or may not be made by this role.
fn extension_error(error: sqlx::Error) -> OpenError {
    match sql_state(&error).as_deref() {
        Some("58P01" | "0A000" | NOT_ALLOWED) => OpenError::MissingExtension { name: EXTENSION, source: error },
        _ => OpenError::of(error),
    }
}
