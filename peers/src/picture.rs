//! The map of shards, for people and tests: neighbours of one owner and epoch as one range.

use agentcal_engine::ports::{NodeRecord, Ownership};
use agentcal_engine::shard::{Epoch, NodeId};
use serde::{Deserialize, Serialize};

use crate::owner::ShardsPicture;

/// The map.
#[derive(Serialize)]
pub(crate) struct ShardsView {
    node_id: NodeId,
    version: u64,
    nodes: Vec<NodeView>,
    shards: Vec<RangeView>,
}

/// What another node reads of it: whose it is.
#[derive(Deserialize)]
pub(crate) struct Answering {
    pub(crate) node_id: NodeId,
}

/// A node that lives.
#[derive(Serialize)]
struct NodeView {
    id: NodeId,
    address: String,
    started_at: String,
    is_draining: bool,
    shard_count: usize,
}

/// Shards from the first to the last, both included.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RangeView {
    first: usize,
    last: usize,
    owner: Option<NodeId>,
    epoch: Epoch,
}

impl ShardsView {
    pub(crate) fn of(picture: &ShardsPicture) -> Self {
        let shards = &picture.map.shards;
        let nodes = picture.nodes.iter().map(|node| NodeView::of(node, shards)).collect();
        Self { node_id: picture.node_id, version: picture.map.version, nodes, shards: ranges(shards) }
    }
}

impl NodeView {
    fn of(node: &NodeRecord, shards: &[Ownership]) -> Self {
        Self {
            id: node.id,
            address: node.address.clone(),
            started_at: node.started_at.clamped().to_utc().to_rfc3339(),
            is_draining: node.is_draining,
            shard_count: shards.iter().filter(|shard| shard.owner == Some(node.id)).count(),
        }
    }
}

fn ranges(shards: &[Ownership]) -> Vec<RangeView> {
    let mut first = 0;
    let runs = shards.chunk_by(|one, next| one == next).map(|run| {
        let range = RangeView { first, last: first + run.len() - 1, owner: run[0].owner, epoch: run[0].epoch };
        first += run.len();
        range
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn neighbours_of_one_owner_and_epoch_are_one_range() {
        let node = |number: u128| Some(NodeId(Uuid::from_u128(number)));
        let check = |shards: &[(Option<NodeId>, u64)], expected: &[(usize, usize, Option<NodeId>, u64)]| {
            let of = |&(owner, epoch): &(Option<NodeId>, u64)| Ownership { owner, epoch: Epoch(epoch) };
            let found = ranges(&shards.iter().map(of).collect::<Vec<_>>());
            let found: Vec<_> =
                found.iter().map(|range| (range.first, range.last, range.owner, range.epoch.0)).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[(None, 0); 3], &[(0, 2, None, 0)]);
        check(&[(node(1), 1), (node(1), 1), (node(2), 1)], &[(0, 1, node(1), 1), (2, 2, node(2), 1)]);
        check(
            &[(node(1), 1), (node(1), 2), (node(1), 1)],
            &[(0, 0, node(1), 1), (1, 1, node(1), 2), (2, 2, node(1), 1)],
        );
    }
}
