//! Who owns which shard, as the durable store has it.
//!
//! A node lives as long as its lease, by the store's clock; a shard belongs to the node its row names, under an epoch that
//! every change of owner raises. The lease decides who may take a shard over, and nothing else: what an owner writes is
//! guarded by the epoch, inside the transaction that writes.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::shard::{Epoch, NodeId, Shard};
use crate::time::Timestamp;

use super::{ChangeCounters, StoreError};

/// A node, as it presents itself to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Which; a new one at every start.
    pub id: NodeId,
    /// Base URL of its internal listener; empty for a node that has no others.
    pub address: String,
    /// When it started, by its own clock; for people to read.
    pub started_at: Timestamp,
    /// Whether it is about to leave: it keeps what it has until that is handed over, and is given nothing.
    pub is_draining: bool,
}

/// Who owns a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The owner; `None` before the first. It may be dead.
    pub owner: Option<NodeId>,
    /// The number of this ownership.
    pub epoch: Epoch,
}

/// All shards, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardMap {
    /// Raised by every change of any row.
    pub version: u64,
    /// One for each shard, by its number.
    pub shards: Vec<Ownership>,
}

/// How long a store tells of a commit that was made without an epoch. A node that did not renew its lease for so long must
/// begin anew with all it knows.
pub const TOUCHED_FOR: Duration = Duration::from_secs(30);

/// How wrong a node's clock may be beside the store's. Leases are counted in time that passed and by the store's clock, so
/// that a difference that stays moves none; no more than this is simulated, and nothing says that more is borne.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(40);

/// What a node learns by renewing its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The store's clock.
    pub store_now: Timestamp,
    /// Nodes whose lease has not run out, this one included, ascending by id.
    pub nodes: Vec<NodeRecord>,
    /// The shard map, unless its version is the one known already.
    pub map: Option<ShardMap>,
    /// What others wrote since.
    pub counters: ChangeCounters,
    /// Accounts in shards of this node that were changed by commits without an epoch within the last [`TOUCHED_FOR`],
    /// ascending.
    pub touched: Vec<AccountId>,
}

/// Leases and shards.
///
/// Every change of owner locks the rows of the shards in their order, raises each one's epoch, and waits for transactions
/// that stand on the old one. A store of a single process keeps one epoch for all shards and knows one node.
#[async_trait]
pub trait OwnershipStore: Send + Sync {
    /// Begins or renews a node's lease, which then lasts for `ttl` from now by the store's clock. `known` is the version
    /// of the shard map the node has; 0: none.
    async fn renew_lease(&self, node: &NodeRecord, ttl: Duration, known: u64) -> Result<Membership, StoreError>;

    /// Makes a node with a live lease the owner of those shards that have no owner or a dead one. Returns the ones it got;
    /// none when its own lease has run out.
    async fn take_shards(&self, node: NodeId, shards: &[Shard]) -> Result<Vec<(Shard, Epoch)>, StoreError>;

    /// Gives shards of a node to others. One whose receiver has no live lease, or which is not the giver's, stays as it is.
    /// Returns those that went.
    async fn hand_over(&self, giver: NodeId, shards: &[(Shard, NodeId)]) -> Result<Vec<Shard>, StoreError>;

    /// Ends a node's lease at once. What it still owns is anybody's.
    async fn end_lease(&self, node: NodeId) -> Result<(), StoreError>;
}
