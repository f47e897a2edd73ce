//! The cache of published facts: losable, never trusted for a commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::facts::CalendarFacts;
use crate::ids::CalendarId;
use crate::shard::{Epoch, Shard};
use crate::time::Timestamp;

/// Why the cache did not serve.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It could not be reached or did not answer in time.
    #[error("the fact cache is unavailable: {0}")]
    Unavailable(String),
}

/// How long a beat counts. Also the longest time a reader may be misled by an owner that can no longer write the cache.
pub const BEAT_TTL: Duration = Duration::from_secs(5);

/// An owner's word that what stands in the cache for a shard is all it would say itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Beat {
    /// The ownership it speaks for. Facts published under a lower epoch are not covered.
    pub epoch: Epoch,
    /// When it was said, by the store's clock. It counts for [`BEAT_TTL`].
    pub said_at: Timestamp,
}

impl Beat {
    /// Whether the word still counts, for a reader who knows of an ownership with this epoch.
    pub fn covers(&self, epoch: Epoch, store_now: Timestamp) -> bool {
        self.epoch >= epoch && (store_now.saturating_since(self.said_at) < BEAT_TTL || crate::planted!(EternalBeat))
    }
}

/// What the cache has for one shard, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CacheRead {
    /// The last beat, if it has not run out.
    pub beat: Option<Beat>,
    /// Facts, in the order asked; `None` where the cache has none.
    pub facts: Vec<Option<Arc<CalendarFacts>>>,
}

/// Published facts of calendars, written by each calendar's owner, or by the compare-and-set of an owner-less commit.
#[async_trait]
pub trait FactCache: Send + Sync {
    /// Replaces the facts of a calendar unless the cache already holds a higher `(epoch, revision, as_of)`.
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError>;

    /// The facts of several calendars of one shard, and the shard's beat, in one round trip.
    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError>;

    /// Forgets a calendar.
    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError>;

    /// Says for shards that the cache stands as their owner would answer. A lower epoch never replaces a higher one.
    async fn beat(&self, beats: &[(Shard, Beat)]) -> Result<(), CacheError>;

    /// Ends the beat of a shard under this epoch or a lower one, at once.
    async fn end_beat(&self, shard: Shard, epoch: Epoch) -> Result<(), CacheError>;

    /// Remembers that something may have changed at the provider of a calendar, for its owner to look at.
    async fn mark_dirty(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError>;

    /// Takes what was marked of a shard; each mark is handed out once.
    async fn take_dirty(&self, shard: Shard) -> Result<Vec<CalendarId>, CacheError>;
}
