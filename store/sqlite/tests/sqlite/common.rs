//! Stores in temporary folders.

use std::path::Path;
use std::sync::Arc;

use agentcal_engine::ports::Clock;
use agentcal_store_conformance::{TestClock, TestEntropy};
use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;

/// A key ring for tests: the base 64 of 32 zeros.
pub(crate) const KEYS: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An empty store of this clock, and the folder it lies in.
pub(crate) async fn make(clock: Arc<TestClock>) -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(&folder.path().join("agentcal.db"), clock).await;
    store.migrate().await.expect("migrated");
    (store, folder)
}

/// The store in a file, made if need be.
pub(crate) async fn open(path: &Path, clock: Arc<dyn Clock>) -> SqliteStore {
    let keyring = Arc::new(KeyRing::parse(KEYS).expect("a valid ring"));
    let options = OpenOptions { path: path.to_owned(), keyring, entropy: Arc::new(TestEntropy::default()), clock };
    SqliteStore::open(options).await.expect("opened")
}
