//! The cache of published facts: losable, never trusted for a commit.

use std::sync::Arc;

use async_trait::async_trait;

use crate::facts::CalendarFacts;
use crate::ids::CalendarId;
use crate::shard::Shard;

/// Why the cache did not serve.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It could not be reached or did not answer in time.
    #[error("the fact cache is unavailable: {0}")]
    Unavailable(String),
}

/// Published facts of calendars, written by each calendar's actor alone.
#[async_trait]
pub trait FactCache: Send + Sync {
    /// Replaces the facts of a calendar unless the cache already holds a higher `(epoch, revision)`.
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError>;

    /// The facts of several calendars of one shard, in the order asked; `None` where the cache has none.
    async fn read(
        &self,
        shard: Shard,
        calendar_ids: &[CalendarId],
    ) -> Result<Vec<Option<Arc<CalendarFacts>>>, CacheError>;

    /// Forgets a calendar.
    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError>;
}
