//! Other nodes, as a node reaches them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::calendar::request::{CommitAnswer, CommitRequest};
use crate::calendar::watch::Ring;
use crate::facts::{CalendarFacts, MaxAge};
use crate::ids::{AccountId, CalendarId};

use crate::shard::{Epoch, Shard};
use crate::time::Timestamp;

use super::{Beat, NodeRecord};

/// Why another node did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It says it does not own the shard. Nothing was begun.
    #[error("the node does not own the shard")]
    NotOwner,
    /// It did not take the request in: not reachable, or silent for too long. It may have begun all the same.
    #[error("the node does not answer: {0}")]
    Silent(String),
    /// It took the request in, and no answer came. It may have done it.
    #[error("the node took the request and did not answer: {0}")]
    Lost(String),
}

/// One calendar asked about at its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactsWanted {
    /// Which.
    pub calendar_id: CalendarId,
    /// Facts older than this are renewed first; `None`: whatever is known will do.
    pub max_age: Option<MaxAge>,
}

/// Beats that were said and do not hold any more: the owner could neither write the cache nor take its word back there, or a
/// node that sold past it could not write the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatsEnded {
    /// Whose calendars they vouch for.
    pub shard: Shard,
    /// The ownership they were said under.
    pub epoch: Epoch,
    /// The last of them was said then, by the store's clock.
    pub said_until: Timestamp,
}

impl BeatsEnded {
    /// Whether a beat is one of these.
    pub fn covers(&self, beat: &Beat) -> bool {
        (beat.epoch, beat.said_at) <= (self.epoch, self.said_until)
    }
}

/// Requests to the owners of shards. Each makes one hop: an owner that is none refuses instead of passing on.
#[async_trait]
pub trait Peers: Send + Sync {
    /// Has a commit made by its owner. `receipt_within` is the longest wait until the owner says that it has the request;
    /// the request's deadline is the longest wait for the answer.
    async fn commit(
        &self,
        owner: &NodeRecord,
        request: &CommitRequest,
        receipt_within: Duration,
    ) -> Result<CommitAnswer, PeerError>;

    /// Facts of calendars of one account, in the order asked, as their owner has them or renews them within `deadline`.
    async fn facts(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, PeerError>;

    /// Rings a calendar at its owner: its provider says something. Carries no truth.
    async fn bell(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        calendar_id: CalendarId,
        ring: Ring,
    ) -> Result<(), PeerError>;

    /// Says that an account's configuration was written. Returns once the owner answers from nothing older.
    async fn config_changed(&self, owner: &NodeRecord, account_id: AccountId) -> Result<(), PeerError>;

    /// Says that beats of an ownership speak no more for what is in the cache. Returns once the reader trusts none of them.
    async fn beats_ended(&self, reader: &NodeRecord, ended: BeatsEnded) -> Result<(), PeerError>;

    /// Says that shards were given to a node, so that it looks at once.
    async fn shards_given(&self, receiver: &NodeRecord) -> Result<(), PeerError>;
}
