//! Opening the database.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::{Clock, Entropy, StoreError};
use agentcal_store_vault::KeyRing;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};

use crate::book::WrappedKeys;
use crate::error::{DISK_FULL, READ_ONLY, sql_state};
use crate::lanes::Lanes;
use crate::scope::Scope;

/// Connections of a node, unless said otherwise.
const CONNECTIONS: u32 = 16;
/// Longest wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// An idle connection is given back to the server after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// A connection is replaced after this long, so that none grows old with what it has cached.
const LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);
/// Statements a connection keeps prepared. A commit has a few shapes for each number of people.
const STATEMENTS_MAX: usize = 256;

/// By which clock holds and leases expire.
#[derive(Clone)]
pub enum StoreClock {
    /// The database's, the one all nodes have in common.
    Database,
    /// Another; for tests.
    Given(Arc<dyn Clock>),
}

/// How long a session may make others wait, sent to the server when a connection begins; and how long a caller waits for
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a lock.
    pub lock: Duration,
    /// For a statement.
    pub statement: Duration,
    /// Between two statements of a transaction, so that a process that was paused blocks nobody.
    pub idle_in_transaction: Duration,
    /// For a connection.
    pub acquire: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        // A lock's time runs out first, because it says more.
        let lock = second - Duration::from_millis(50);
        Self { lock, statement: second, idle_in_transaction: second, acquire: ACQUIRE_TIMEOUT }
    }
}

/// What a store is made of.
pub struct OpenOptions {
    /// `postgres://user:password@host/database`, or anything libpq would take as a URL.
    pub url: String,
    /// Most connections this node opens.
    pub connections_max: u32,
    /// Keys that wrap the tenants' data keys.
    pub keyring: Arc<KeyRing>,
    /// Nonces and data keys come from here.
    pub entropy: Arc<dyn Entropy>,
    /// The store's clock.
    pub clock: StoreClock,
    /// How long a session may make others wait.
    pub timeouts: Timeouts,
}

impl OpenOptions {
    /// As a node opens it.
    pub fn new(url: String, keyring: Arc<KeyRing>, entropy: Arc<dyn Entropy>) -> Self {
        let (connections_max, clock, timeouts) = (CONNECTIONS, StoreClock::Database, Timeouts::default());
        Self { url, connections_max, keyring, entropy, clock, timeouts }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("OpenOptions");
        text.field("connections_max", &self.connections_max).field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

/// Why a store could not be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be read. It is not repeated, because it may hold a password.
    #[error("failed to read the database URL")]
    Url(#[source] sqlx::Error),
    /// The server does not let this user in.
    #[error("failed to log in to the database")]
    Login(#[source] sqlx::Error),
    /// There is no database of this name.
    #[error("failed to find the database on its server")]
    NoDatabase(#[source] sqlx::Error),
    /// An extension is not there and cannot be made.
    #[error("failed to make the extension {name}: install it on the server, or have an administrator create it")]
    MissingExtension {
        /// Its name.
        name: &'static str,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The server takes no writes.
    #[error("failed to write to the database: it is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// The server's disk is full.
    #[error("failed to write to the database: its disk is full")]
    Full(#[source] sqlx::Error),
    /// Something else, such as nobody listening.
    #[error("failed to reach the database")]
    Database(#[source] sqlx::Error),
    /// A migration did not run.
    #[error("failed to migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A migration did not get its locks, however often it tried.
    #[error(
        "failed to migrate the database: another session holds a table; end it (a dump, a long query, an open \
         transaction: see pg_stat_activity) and migrate again"
    )]
    InUse(#[source] sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("failed to use the database")]
    Store(#[from] StoreError),
}

impl OpenError {
    /// What the server's answer means.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        match sql_state(&error).as_deref() {
            Some("28000" | "28P01") => Self::Login(error),
            Some("3D000") => Self::NoDatabase(error),
            Some(READ_ONLY) => Self::ReadOnly(error),
            Some(DISK_FULL) => Self::Full(error),
            _ => Self::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for OpenError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => Self::of(error),
            other => Self::Migrate(other),
        }
    }
}

/// The store. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: StoreClock,
    pub(crate) data_keys: Arc<WrappedKeys>,
    pub(crate) lanes: Arc<Lanes>,
    connect: PgConnectOptions,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens the database and proves that it answers. Makes no tables: see [`PostgresStore::migrate`].
    pub async fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let OpenOptions { url, connections_max, keyring, entropy, clock, timeouts } = options;
        let connect = PgConnectOptions::from_str(&url).map_err(OpenError::Url)?.application_name("agentcal");
        let connect = connect.statement_cache_capacity(STATEMENTS_MAX);
        // Asked once without the pool, which would go on asking until its time is over.
        let first = PgConnection::connect_with(&connect).await.map_err(OpenError::of)?;
        first.close().await.map_err(OpenError::of)?;
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(timeouts.acquire)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(LIFETIME_MAX)
            .test_before_acquire(false)
            .connect_lazy_with(impatient(connect.clone(), timeouts));
        let lanes = Arc::new(Lanes::of(connections_max));
        Ok(Self { pool, keyring, entropy, clock, data_keys: Arc::default(), lanes, connect })
    }

    /// Ends all connections, after the statements under way.
    pub async fn close(&self) {
        // A closed pool keeps nothing that is given back.
        let closed = self.pool.close();
        self.lanes.clear();
        closed.await;
    }

    /// A transaction in a session like any of this store's, to be left alone in the middle; for tests of what others then
    /// have to wait.
    #[doc(hidden)]
    pub async fn paused_transaction(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.begin_write(Scope::All).await
    }

    /// A connection that may take its time.
    pub(crate) async fn patient_connection(&self) -> Result<PgConnection, OpenError> {
        PgConnection::connect_with(&self.connect).await.map_err(OpenError::of)
    }
}

fn impatient(connect: PgConnectOptions, timeouts: Timeouts) -> PgConnectOptions {
    let millis = |duration: Duration| duration.as_millis().to_string();
    connect.options([
        ("lock_timeout", millis(timeouts.lock)),
        ("statement_timeout", millis(timeouts.statement)),
        ("idle_in_transaction_session_timeout", millis(timeouts.idle_in_transaction)),
        // A commit in one call has no BEGIN that could say so.
        ("default_transaction_isolation", "read committed".to_owned()),
        // Every statement is prepared, and its plan without parameters is one that tests have looked at: no table is read
        // whole, however little the server knows about it. Planning it at each call again took a sixth of the server.
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("enable_seqscan", "off".to_owned()),
        // What a statement that does read a table whole (the map of shards) is reckoned to cost then would have it compiled
        // first, for longer than it may take.
        ("jit", "off".to_owned()),
    ])
}
