//! Opening the file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::{Clock, Entropy, StoreError};
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyRing;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::lacks_room;

/// Connections that read. Each is a thread, so few.
const READERS_MAX: u32 = 4;
/// Longest wait for another process that writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for one's turn to write, or for a reader.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// The journal is folded back into the file at this many pages of 4 KiB.
const CHECKPOINT_PAGES: &str = "1000";

/// What a store is made of.
pub struct OpenOptions {
    /// The database file; made if need be, its folder too.
    pub path: PathBuf,
    /// Keys that wrap the tenants' data keys.
    pub keyring: Arc<KeyRing>,
    /// Nonces and data keys come from here.
    pub entropy: Arc<dyn Entropy>,
    /// The store's clock, by which holds expire. The database lives in this process, so its clock does too.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions").field("path", &self.path).field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

/// Why a store could not be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder could not be made.
    #[error("failed to make the folder of {path}")]
    Folder {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no room for the files that lie beside it while it is open.
    #[error("failed to open the database {path}: its disk is full")]
    Full {
        /// The database file.
        path: PathBuf,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The file is no database, or cannot be written.
    #[error("failed to open the database {path}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A migration did not run.
    #[error("failed to migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("failed to use the database")]
    Store(#[from] StoreError),
}

impl OpenError {
    /// What the driver's error means.
    fn of(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        if lacks_room(&source) { Self::Full { path, source } } else { Self::Database { path, source } }
    }
}

/// The store. Cheap to clone; all clones share one writer and the readers.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file and proves that it can be read. Makes no tables: see [`SqliteStore::migrate`].
    pub async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let OpenOptions { path, keyring, entropy, clock } = options;
        make_folder(&path)?;
        let failed = |source| OpenError::of(&path, source);
        let connect = connect_options(&path);
        let writer = pool(1).connect_with(connect.clone()).await.map_err(failed)?;
        let readers = pool(READERS_MAX).connect_with(connect.pragma("query_only", "ON")).await.map_err(failed)?;
        Ok(Self { writer, readers, keyring, entropy, clock })
    }

    /// Ends all connections, after the statements under way.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn make_folder(path: &Path) -> Result<(), OpenError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|source| OpenError::Folder { path: path.to_owned(), source })
}

/// Full durability: an acknowledged commit survives a loss of power. Deleted rows are overwritten with zeros, so that a
/// destroyed key is gone from the file as well.
fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}
