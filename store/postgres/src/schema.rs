//! The schema, embedded, and where a database stands against it.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use crate::error::{DEADLOCK, LOCK_NOT_HAD, NOT_ALLOWED, Result, sql_state, store_error};
use crate::open::{OpenError, PostgresStore};
use crate::scope::Scope;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

/// The extension the guard on claims is made of.
const EXTENSION: &str = "btree_gist";

/// As long as it takes: for the turn among those who migrate, and for what a migration does. Said aloud, because the role may
/// have other settings, for nodes behind a pooler.
const PATIENT: &str = "SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
/// How long a migration waits for a table, and its turn before it says that it waits. Whoever wants the table meanwhile waits
/// behind it, and bookings do so for a second.
const BRIEF: &str = "SET lock_timeout = '500ms'";
/// The server ends its own vacuuming of a table for those who have waited for longer than this setting, and for nobody else.
const LONGER: &str = "SELECT set_config('lock_timeout', (least(setting::int, 1500) + 200)::text, false) \
     FROM pg_settings WHERE name = 'deadlock_timeout'";
/// Each so many tries wait longer.
const LONGER_EACH: u32 = 8;
/// Between two tries, for whoever waited behind.
const PAUSE: Duration = Duration::from_secs(2);
/// Ten minutes of tries.
const TRIES_MAX: u32 = 240;
/// Half a minute of them.
const TELL_EACH: u32 = 12;

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
    /// As [`PostgresStore::migrate_telling`], with nobody to tell.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        self.migrate_telling(&|_| ()).await
    }

    /// Brings the schema up to date, one migration per transaction. Nodes that do so at once stand in line. A connection
    /// of its own, because migrations may take longer than anything else may; but one that has to wait for a table lets
    /// pass who waits behind it, and begins again. That it waits for one is told at first, and each half minute; that it waits
    /// for its turn is told once.
    pub async fn migrate_telling(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<(), OpenError> {
        let mut connection = self.patient_connection().await?;
        // By the migrator's own lock, which a session may take again: the extension needs it too, since two sessions cannot
        // make one at once, whether it is there or not.
        take_turn(&mut connection, tell).await?;
        let extension = format!("CREATE EXTENSION IF NOT EXISTS {EXTENSION}");
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(extension)).execute(&mut connection).await;
        made.map_err(extension_error)?;
        apply_pending(&mut connection, tell).await?;
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

/// Waits until nobody else migrates. Whoever does may take long, and nothing else would show why this one stands still.
async fn take_turn(connection: &mut PgConnection, tell: &(dyn Fn(&str) + Sync)) -> Result<(), OpenError> {
    for wait in [PATIENT, BRIEF] {
        sqlx::raw_sql(wait).execute(&mut *connection).await.map_err(OpenError::of)?;
    }
    let has_turn = match connection.lock().await {
        Ok(()) => true,
        Err(error) if is_in_the_way(&error) => {
            tell("somebody else is migrating this database: waiting until they are done");
            false
        }
        Err(error) => return Err(error.into()),
    };
    sqlx::raw_sql(PATIENT).execute(&mut *connection).await.map_err(OpenError::of)?;
    if !has_turn {
        connection.lock().await?;
    }
    Ok(())
}

/// Tries until every migration is made. One that did not get its locks in time was undone whole, with the word that it was made.
async fn apply_pending(connection: &mut PgConnection, tell: &(dyn Fn(&str) + Sync)) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let wait = if tries % LONGER_EACH == 0 { LONGER } else { BRIEF };
        sqlx::raw_sql(wait).execute(&mut *connection).await.map_err(OpenError::of)?;
        let error = match MIGRATIONS.run(&mut *connection).await {
            Ok(()) => return Ok(()),
            Err(error) if !is_in_the_way(&error) => return Err(error.into()),
            Err(error) if tries == TRIES_MAX => return Err(OpenError::InUse(error)),
            Err(error) => error,
        };
        // The driver ends a failed transaction with whatever it says next. Nobody should see it open during the pause.
        connection.ping().await.map_err(OpenError::of)?;
        if tries % TELL_EACH == 1 {
            tell(&format!("{error}; another session holds a table it needs: trying again"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a migration was undone because somebody held what it needs.
fn is_in_the_way(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    sql_state(error).is_some_and(|state| [LOCK_NOT_HAD, DEADLOCK].contains(&state.as_str()))
}

/// The extension is not installed on the server (no file, feature not supported), or may not be made by this role.
fn extension_error(error: sqlx::Error) -> OpenError {
    match sql_state(&error).as_deref() {
        Some("58P01" | "0A000" | NOT_ALLOWED) => OpenError::MissingExtension { name: EXTENSION, source: error },
        _ => OpenError::of(error),
    }
}
