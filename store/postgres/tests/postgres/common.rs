//! Stores on a PostgreSQL that all tests of this program share, each in a database of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use agentcal_store_conformance::{TestClock, TestEntropy};
use agentcal_store_postgres::{OpenOptions, PostgresStore, StoreClock, Timeouts};
use agentcal_store_vault::KeyRing;
use agentcal_testkit::{Durability, Postgres, WAIT_MAX, postgres};

/// A key ring for tests: the base 64 of 32 zeros.
pub(crate) const KEYS: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// A database with the schema in it, which is copied.
const TEMPLATE: &str = "agentcal_template";
/// Connections of a store.
const CONNECTIONS: u32 = 8;

/// The server; `None` when it is not installed.
pub(crate) fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    agentcal_engine::plant!(std::env::var("AGENTCAL_PLANTED").ok());
    let start = || {
        let server = postgres(Durability::None)?;
        server.create_database(TEMPLATE);
        // A runtime of its own: this may be called from within another's.
        std::thread::scope(|scope| {
            let migrate = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let store = PostgresStore::open(options(&server.url(TEMPLATE))).await.expect("opened");
                    store.migrate().await.expect("migrated");
                    store.close().await;
                });
            };
            scope.spawn(migrate).join().expect("the template is made");
        });
        Some(server)
    };
    SERVER.get_or_init(start).as_ref()
}

/// A database of its own, gone on drop.
pub(crate) struct Database {
    pub(crate) server: &'static Postgres,
    pub(crate) name: String,
}

impl Database {
    /// A copy of the template; `None` when there is no server.
    pub(crate) fn new() -> Option<Self> {
        let database = Self::named(server()?);
        database.server.copy_database(TEMPLATE, &database.name);
        Some(database)
    }

    pub(crate) fn named(server: &'static Postgres) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        Self { server, name }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A store on it, on this clock.
    pub(crate) async fn open(&self, clock: StoreClock) -> PostgresStore {
        PostgresStore::open(OpenOptions { clock, ..options(&self.url()) }).await.expect("opened")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.drop_database(&self.name);
    }
}

/// How tests open a store.
pub(crate) fn options(url: &str) -> OpenOptions {
    OpenOptions {
        url: url.to_owned(),
        connections_max: CONNECTIONS,
        keyring: Arc::new(KeyRing::parse(KEYS).expect("a valid ring")),
        entropy: Arc::new(TestEntropy::default()),
        clock: StoreClock::Database,
        // Everything takes its time where a hundred tests do it at once; what is cut short is a test of its own.
        timeouts: Timeouts {
            lock: WAIT_MAX,
            statement: WAIT_MAX * 2,
            idle_in_transaction: WAIT_MAX * 2,
            acquire: WAIT_MAX * 2,
        },
    }
}

/// An empty store of this clock, and the database it lies in.
pub(crate) async fn make(clock: Arc<TestClock>) -> (PostgresStore, Database) {
    let database = Database::new().expect("asked before");
    let store = database.open(StoreClock::Given(clock)).await;
    (store, database)
}

/// Whether there is a server.
pub(crate) fn is_available() -> bool {
    server().is_some()
}
