//! What the shared modules know about the engine they run on.

use agentcal_engine::model::WritebackState;
use agentcal_engine::planted;
use agentcal_engine::ports::{StoreError, WritebackResult};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::error::{Result, store_error};
use crate::open::{PostgresStore, StoreClock};
use crate::scope::Scope;
use crate::text::{Named, to_i64};

/// The engine.
pub(crate) type Db = Postgres;
/// A connection to it.
pub(crate) type DbConnection = sqlx::PgConnection;
/// What is bound to a statement.
pub(crate) type DbArguments = sqlx::postgres::PgArguments;
/// The store.
pub(crate) type DbStore = PostgresStore;
/// A transaction.
pub(crate) type Work = Transaction<'static, Postgres>;

/// Whether a statement that a constraint refused ends its transaction. Here nothing but a rollback may follow.
pub(crate) const REFUSAL_ENDS_WORK: bool = true;

/// Whether claims of expired holds go where they are in the way. Always, but for a bug that is planted.
pub(crate) fn makes_room() -> bool {
    !planted!(ExpiredHoldKept)
}

/// The database's clock in microseconds, at the moment it is evaluated.
pub(crate) const CLOCK: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

impl PostgresStore {
    /// A transaction that writes rows of a scope. Dropped, it leaves nothing behind.
    pub(crate) async fn begin_write(&self, scope: Scope) -> Result<Work> {
        self.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", scope).await
    }

    /// A transaction that makes itself good if a crash of the server loses it, so that nobody waits until the disk has it.
    /// What comes later in the log and is waited for takes it along: nothing that builds on it outlives it.
    pub(crate) async fn begin_repeatable(&self, scope: Scope) -> Result<Work> {
        self.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = off", scope).await
    }

    /// A transaction that sees one state of a scope's rows.
    pub(crate) async fn begin_read(&self, scope: Scope) -> Result<Work> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", scope).await
    }

    /// For a single statement that reads. A transaction all the same, because only one has a scope.
    pub(crate) async fn reader(&self, scope: Scope) -> Result<Work> {
        self.begin("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", scope).await
    }

    /// A transaction that may write if the server lets it, as that of a commit in one call.
    pub(crate) async fn begin_as_served(&self, scope: Scope) -> Result<Work> {
        self.begin("BEGIN", scope).await
    }

    /// Both in one message to the server. An id is written in hexadecimal digits and nothing else.
    ///
    /// As a task of its own: whoever waits for it may stop waiting, and a connection that was left between the question and
    /// the answer would go back to the others with a transaction begun, of which they know nothing.
    async fn begin(&self, begin: &'static str, scope: Scope) -> Result<Work> {
        let begin = match scope {
            Scope::Account(id) => format!("{begin}; SET LOCAL agentcal.account_id = '{}'", id.as_uuid().as_simple()),
            Scope::All => format!("{begin}; SET LOCAL agentcal.all_accounts = 'on'"),
        };
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(begin)).await });
        begun.await.map_err(|error| StoreError::Unavailable(error.into()))?.map_err(store_error)
    }

    /// The clock that stands in for the database's.
    pub(crate) fn given_clock(&self) -> Option<Timestamp> {
        match &self.clock {
            StoreClock::Given(clock) => Some(clock.now()),
            StoreClock::Database => None,
        }
    }

    /// The store's clock.
    pub(crate) async fn now_on(&self, connection: &mut DbConnection) -> Result<Timestamp> {
        if let Some(now) = self.given_clock() {
            return Ok(now);
        }
        let select = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let micros = sqlx::query_scalar(select).fetch_one(connection).await.map_err(store_error)?;
        Ok(Timestamp::from_micros(micros))
    }

    /// Keeps what most tries come to, in one call: the event was written for the first time, and the booking has not changed
    /// meanwhile. Facts stand as they were, so nothing need be locked, and no booking waits. Lost in a crash of the server, the
    /// row asks for the write again, which finds its own event; so nobody waits for the disk either. False: it is something
    /// else, and nothing was done.
    pub(crate) async fn record_first_write(&self, result: &WritebackResult, epoch: Epoch) -> Result<bool> {
        let (Some((event, range)), WritebackState::Written) = (&result.written, result.state) else { return Ok(false) };
        if result.conference.is_some() {
            return Ok(false);
        }
        // Locked in a query of its own: what a locking query selects is computed before it waits for the lock.
        let call = sqlx::query_scalar(
            "SELECT agentcal_written_1(plan_account => $1, plan_booking => $2, plan_calendar => $3, plan_version => $4, \
             plan_attempts => $5, plan_due_at => $6, plan_last_error => $7, plan_external_state => $8, plan_event => $9, \
             plan_etag => $10, plan_start => $11, plan_end => $12), set_config('synchronous_commit', 'off', true) \
             FROM (SELECT FROM shards WHERE shard = $13 AND epoch = $14 FOR SHARE) held",
        );
        let call = call.bind(result.account_id.as_uuid()).bind(result.booking_id.as_uuid());
        let call =
            call.bind(result.calendar_id.as_uuid()).bind(to_i64(result.version)).bind(i64::from(result.attempts));
        let call = call.bind(result.due_at.as_micros()).bind(&result.last_error);
        let call = call.bind(result.external_state.map(Named::name)).bind(&event.provider_event_id).bind(&event.etag);
        let call = call.bind(range.start.as_micros()).bind(range.end.as_micros());
        let call = call.bind(i32::from(Shard::of(result.account_id).number())).bind(to_i64(epoch.0));
        let mut lane = self.lanes.take(&self.pool).await?;
        let is_done = call.fetch_optional(&mut *lane.connection).await.map_err(store_error)?;
        self.lanes.give_back(&self.pool, lane);
        // Without an answer the epoch is another: the other way finds that as well.
        Ok(is_done.unwrap_or_default())
    }

    /// What was deleted stays in the write-ahead log and in backups, which the database's administrator keeps and ends.
    pub(crate) async fn after_deletion(&self) {
        self.data_keys.forget_all();
    }
}
