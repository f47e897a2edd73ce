//! Rendezvous hashing: every node draws a number for every shard, and the highest has it. A node that joins takes shards
//! from each of the others and moves none between them; one that leaves gives its own to all of them.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

use crate::ports::{NodeRecord, Ownership};
use crate::shard::{NodeId, SHARD_COUNT, Shard};

/// Most shards a node hands over in one round, unless it is leaving: a tenth of all.
pub const MOVES_PER_ROUND_MAX: usize = SHARD_COUNT as usize / 10;

/// What a node knows when it plans.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Who plans.
    pub me: NodeId,
    /// Nodes whose lease has not run out.
    pub nodes: &'a [NodeRecord],
    /// Who owns each shard, by its number.
    pub shards: &'a [Ownership],
}

/// What a node should do about shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Nobody who lives owns them, and this node should. Ascending.
    pub take: Vec<Shard>,
    /// This node owns them, and another should. Ascending by shard.
    pub hand_over: Vec<(Shard, NodeId)>,
}

/// The nodes that may be given shards: those that live and are not about to leave.
pub fn candidates(nodes: &[NodeRecord]) -> Vec<NodeId> {
    nodes.iter().filter(|node| !node.is_draining).map(|node| node.id).collect()
}

/// The one among `candidates` that should own a shard; `None` when there is none.
pub fn rightful_owner(shard: Shard, candidates: &[NodeId]) -> Option<NodeId> {
    candidates.iter().copied().max_by_key(|&node| (draw(shard, node), node))
}

/// What a node should do, as things stand.
pub fn moves(scene: &Scene<'_>) -> Moves {
    let live: BTreeSet<NodeId> = scene.nodes.iter().map(|node| node.id).collect();
    let candidates = candidates(scene.nodes);
    let mut moves = Moves::default();
    for (shard, ownership) in Shard::all().zip(scene.shards) {
        let Some(rightful) = rightful_owner(shard, &candidates) else { continue };
        match ownership.owner {
            Some(owner) if owner == scene.me && rightful != scene.me => moves.hand_over.push((shard, rightful)),
            Some(owner) if live.contains(&owner) => {}
            _ if rightful == scene.me => moves.take.push(shard),
            _ => {}
        }
    }
    if candidates.contains(&scene.me) {
        moves.hand_over.truncate(MOVES_PER_ROUND_MAX);
    }
    moves
}

fn draw(shard: Shard, node: NodeId) -> u64 {
    let mut bytes = [0; 18];
    let (id, number) = bytes.split_at_mut(16);
    id.copy_from_slice(node.0.as_bytes());
    number.copy_from_slice(&shard.number().to_be_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Epoch;
    use crate::time::Timestamp;
    use uuid::Uuid;

    const TENTH: usize = MOVES_PER_ROUND_MAX;

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    fn record(id: NodeId, is_draining: bool) -> NodeRecord {
        NodeRecord { id, address: String::new(), started_at: Timestamp::from_micros(0), is_draining }
    }

    fn living(numbers: &[u128]) -> Vec<NodeRecord> {
        numbers.iter().map(|&number| record(node(number), false)).collect()
    }

    /// A map on which everybody has what should be theirs.
    fn settled(numbers: &[u128]) -> Vec<Ownership> {
        let nodes: Vec<NodeId> = numbers.iter().copied().map(node).collect();
        Shard::all().map(|shard| Ownership { owner: rightful_owner(shard, &nodes), epoch: Epoch(1) }).collect()
    }

    fn count_of(shards: &[Ownership], id: NodeId) -> usize {
        shards.iter().filter(|ownership| ownership.owner == Some(id)).count()
    }

    fn planned(me: u128, nodes: &[NodeRecord], shards: &[Ownership]) -> Moves {
        moves(&Scene { me: node(me), nodes, shards })
    }

    #[test]
    fn shards_are_spread_evenly_over_any_number_of_nodes() {
        for count in [2, 3, 5, 10] {
            let numbers: Vec<u128> = (0..count).map(|number| number * 77 + 5).collect();
            let shards = settled(&numbers);
            let fair = shards.len() / numbers.len();
            for &number in &numbers {
                let own = count_of(&shards, node(number));
                assert!(own > fair * 8 / 10 && own < fair * 12 / 10, "{own} of {fair} with {count} nodes");
            }
        }
    }

    #[test]
    fn a_node_that_joins_or_leaves_moves_only_what_it_gets_or_had() {
        let (few, many) = (settled(&[1, 2, 3]), settled(&[1, 2, 3, 4]));
        for (before, after) in few.iter().zip(&many) {
            assert!(
                before == after || after.owner == Some(node(4)),
                "only the newcomer gains, and only it leaves a gap"
            );
        }
    }

    #[test]
    fn everybody_agrees_whatever_the_order() {
        let forwards: Vec<NodeId> = (1..=7).map(node).collect();
        let backwards: Vec<NodeId> = forwards.iter().rev().copied().collect();
        for shard in Shard::all() {
            assert_eq!(rightful_owner(shard, &forwards), rightful_owner(shard, &backwards));
        }
    }

    #[test]
    fn nothing_moves_where_everybody_has_what_is_theirs() {
        for me in 1..=3 {
            assert_eq!(planned(me, &living(&[1, 2, 3]), &settled(&[1, 2, 3])), Moves::default());
        }
    }

    #[test]
    fn those_who_live_share_what_nobody_has_and_what_a_dead_one_had() {
        let nobodys = vec![Ownership { owner: None, epoch: Epoch(0) }; usize::from(SHARD_COUNT)];
        for (nodes, shards, free) in [(vec![7], nobodys, 4_096), (vec![1, 2], settled(&[1, 2, 3]), 0)] {
            let free = if free > 0 { free } else { count_of(&shards, node(3)) };
            let taken = nodes.iter().map(|&me| planned(me, &living(&nodes), &shards).take);
            let all: Vec<Shard> = taken.flatten().collect();
            let distinct: BTreeSet<Shard> = all.iter().copied().collect();
            assert_eq!((all.len(), distinct.len()), (free, free), "each is taken by one of them");
        }
    }

    #[test]
    fn a_newcomer_is_given_a_tenth_at_a_time_and_takes_nothing_from_the_living() {
        let (nodes, mut shards) = (living(&[1, 2]), settled(&[1]));
        assert_eq!(planned(2, &nodes, &shards), Moves::default());
        let mut rounds = 0;
        loop {
            let Moves { take, hand_over } = planned(1, &nodes, &shards);
            assert_eq!(take, []);
            if hand_over.is_empty() {
                break;
            }
            assert!(hand_over.len() <= TENTH);
            for (shard, receiver) in hand_over {
                shards[usize::from(shard.number())].owner = Some(receiver);
            }
            rounds += 1;
        }
        assert_eq!(shards, settled(&[1, 2]));
        assert_eq!(rounds, count_of(&shards, node(2)).div_ceil(TENTH));
    }

    #[test]
    fn one_that_leaves_gives_everything_at_once_and_is_given_nothing() {
        let nodes = vec![record(node(1), true), record(node(2), false), record(node(3), false)];
        let shards = settled(&[1, 2, 3]);
        assert_eq!(planned(1, &nodes, &shards).hand_over.len(), count_of(&shards, node(1)));
        assert!(planned(2, &nodes, &shards).hand_over.is_empty());
        let alone = vec![record(node(1), true)];
        assert_eq!(planned(1, &alone, &settled(&[1])), Moves::default(), "there is nobody to give it to");
        assert!(candidates(&alone).is_empty());
    }
}
