//! What the shared modules know about the engine they run on.

use agentcal_engine::ports::WritebackResult;
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, Transaction};

use crate::error::{Result, store_error};
use crate::open::SqliteStore;
use crate::ownership;
use crate::scope::Scope;

/// The engine.
pub(crate) type Db = Sqlite;
/// A connection to it.
pub(crate) type DbConnection = sqlx::SqliteConnection;
/// What is bound to a statement.
pub(crate) type DbArguments = sqlx::sqlite::SqliteArguments;
/// The store.
pub(crate) type DbStore = SqliteStore;
/// A transaction.
pub(crate) type Work = Transaction<'static, Sqlite>;

/// Whether a statement that a constraint refused ends its transaction. Here it leaves nothing, and the next may follow.
pub(crate) const REFUSAL_ENDS_WORK: bool = false;

/// Whether claims of expired holds go where they are in the way.
pub(crate) fn makes_room() -> bool {
    true
}

impl SqliteStore {
    /// A transaction that alone writes from here on. Dropped, it leaves nothing behind.
    pub(crate) async fn begin_write(&self, _: Scope) -> Result<Work> {
        self.writer.begin_with("PRAGMA synchronous = FULL; BEGIN IMMEDIATE").await.map_err(store_error)
    }

    /// A transaction that makes itself good if the machine loses it: it does not wait for the disk, and is on it with the
    /// next one that does, since the journal is forced out whole. A program that dies loses nothing.
    pub(crate) async fn begin_repeatable(&self, _: Scope) -> Result<Work> {
        self.writer.begin_with("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE").await.map_err(store_error)
    }

    /// A transaction that sees one state of the store.
    pub(crate) async fn begin_read(&self, _: Scope) -> Result<Work> {
        self.readers.begin().await.map_err(store_error)
    }

    /// For a single statement that reads.
    pub(crate) async fn reader(&self, _: Scope) -> Result<PoolConnection<Sqlite>> {
        self.readers.acquire().await.map_err(store_error)
    }

    /// The store's clock.
    pub(crate) async fn now_on(&self, _: &mut DbConnection) -> Result<Timestamp> {
        Ok(self.now())
    }

    /// Here everything is written in one line anyway.
    pub(crate) async fn record_first_write(&self, _: &WritebackResult, _: Epoch) -> Result<bool> {
        Ok(false)
    }

    /// Sees to it that what was deleted is gone from the disk as well.
    pub(crate) async fn after_deletion(&self) {
        self.fold_journal().await;
    }

    /// Fences everybody who writes.
    pub(crate) async fn raise_every_epoch(&self) -> Result<Epoch> {
        let mut work = self.begin_write(Scope::All).await?;
        let epoch = ownership::raise_epoch(&mut work, self.now()).await?;
        work.commit().await.map_err(store_error)?;
        Ok(epoch)
    }
}
