//! Connections that go from one call to the next. The pool sees every connection off with a message and an answer, in case
//! a transaction was left open on it. A call leaves none, so its connection may be handed on at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use crate::error::{Result, store_error};

/// Calls a connection makes before the pool has it back, to look at its age.
const CALLS_MAX: u32 = 1_000;
/// Part of the pool's connections that may stand ready for calls; the rest is everybody's.
const SHARE: u32 = 2;

/// Connections that stand ready for a call.
#[derive(Debug)]
pub(crate) struct Lanes {
    ready: Mutex<Vec<Lane>>,
    ready_max: usize,
}

/// A connection on which nothing is open.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) connection: PoolConnection<Postgres>,
    calls: u32,
}

impl Lanes {
    pub(crate) fn of(connections_max: u32) -> Self {
        Self { ready: Mutex::default(), ready_max: usize::try_from(connections_max / SHARE).unwrap_or(usize::MAX) }
    }

    /// A connection for a call.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<Lane> {
        if let Some(lane) = self.lock().pop() {
            return Ok(lane);
        }
        let connection = pool.acquire().await.map_err(store_error)?;
        Ok(Lane { connection, calls: 0 })
    }

    /// Gives a connection back on which a call was answered. One on which a call failed is dropped instead: the pool looks
    /// whether it still serves.
    pub(crate) fn give_back(&self, pool: &PgPool, lane: Lane) {
        let lane = Lane { calls: lane.calls + 1, ..lane };
        let mut ready = self.lock();
        if ready.len() < self.ready_max && lane.calls < CALLS_MAX && !pool.is_closed() {
            ready.push(lane);
        }
    }

    /// Gives all back to a pool that is closed, which waits for them.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lane>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
