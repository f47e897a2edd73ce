//! The other nodes of a cluster, as they are reached from here.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::NodeRecord;
use agentcal_peers::{HttpPeers, Unreachable};
use tokio::task::JoinSet;

/// A node that does not answer is asked again: one that is busy for a moment is not lost.
const PROBES: u32 = 3;
/// Longest wait for one answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Most nodes that are asked.
const NODES_MAX: usize = 200;

/// Those of the nodes that do not answer, by their addresses, and why.
pub(crate) async fn unreachable(peers: &Arc<HttpPeers>, nodes: &[NodeRecord]) -> Vec<(NodeRecord, Unreachable)> {
    let mut probes = JoinSet::new();
    for node in nodes.iter().take(NODES_MAX).cloned() {
        let peers = Arc::clone(peers);
        probes.spawn(async move { Some((probe(&peers, &node).await.err()?, node)) });
    }
    let probed = probes.join_all().await.into_iter().flatten();
    let mut unreachable: Vec<(NodeRecord, Unreachable)> = probed.map(|(why, node)| (node, why)).collect();
    unreachable.sort_by(|(one, _), (other, _)| (&one.address, one.id).cmp(&(&other.address, other.id)));
    unreachable
}

async fn probe(peers: &HttpPeers, node: &NodeRecord) -> Result<(), Unreachable> {
    let mut probed = peers.probe(node, PROBE_TIMEOUT).await;
    for _ in 1..PROBES {
        if probed.is_ok() {
            break;
        }
        probed = peers.probe(node, PROBE_TIMEOUT).await;
    }
    probed
}
