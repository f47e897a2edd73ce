//! Buckets of cells, by which requests are limited.

use std::time::Duration;

use async_trait::async_trait;

use crate::limits::{LimitKey, Rate};

/// What is wanted of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellsWanted {
    /// Which bucket.
    pub key: LimitKey,
    /// Its rate. Everybody says the same for one key, or, after a change of settings, soon does.
    pub rate: Rate,
    /// Most cells to give; one will do.
    pub most: u32,
    /// Cells that must be left in the bucket for others. As many as the bucket holds, or more, count as one fewer.
    pub spare: u32,
}

/// What a bucket gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellsGiven {
    /// So many cells. None: refused.
    pub cells: u32,
    /// Time until a cell could be given, when none was; zero otherwise.
    pub wait: Duration,
    /// Time until the bucket would be full again if nobody took any more.
    pub full_after: Duration,
}

/// Buckets, each refilled at its rate up to its burst, by the generic cell rate algorithm.
///
/// The state is losable: a bucket that is forgotten is full. It never fails: where buckets are shared with other nodes and
/// those who keep them do not answer, a node goes on with its fair share, the limit divided by the nodes that live.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Takes up to `most` cells out of a bucket, all that are to be had, or none.
    async fn take(&self, wanted: &CellsWanted) -> CellsGiven;

    /// Nothing is given of a bucket for so long. A longer pause that is under way stays.
    async fn pause(&self, key: LimitKey, length: Duration);

    /// Says how many nodes live, among which limits are divided where they cannot be shared. At least this one does.
    fn share_among(&self, nodes: u32);
}
