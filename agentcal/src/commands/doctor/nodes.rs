//! The nodes that live, by the rows of their leases.

use std::net::SocketAddr;
use std::sync::Arc;

use agentcal_engine::ports::NodeRecord;
use agentcal_peers::Unreachable;

use super::{Finding, with_causes};
use crate::boot::{Cluster, neighbours};
use crate::clock::{OsEntropy, SystemClock};
use crate::config::PeersConfig;
use crate::durable::Durable;

pub(super) async fn examine(store: &Durable, peers: &PeersConfig, internal: SocketAddr) -> Vec<Finding> {
    let nodes = match store.living_nodes().await {
        Ok(Some(nodes)) => nodes,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Finding::bad("nodes", with_causes(&error))],
    };
    let nowhere = peers.nowhere(internal).map(|says| Finding::warning("nodes", says));
    let peers = match Cluster::peers(peers, Arc::new(SystemClock), Arc::new(OsEntropy)) {
        Ok(peers) => Arc::new(peers),
        Err(error) => return vec![Finding::bad("nodes", with_causes(&error))],
    };
    let told = told(nodes.len(), &neighbours::unreachable(&peers, &nodes).await);
    told.into_iter().chain(nowhere).collect()
}

/// A line for all that answer, and one for each that does not.
fn told(count: usize, unreachable: &[(NodeRecord, Unreachable)]) -> Vec<Finding> {
    let says = match count - unreachable.len() {
        0 if count == 0 => Some("none lives, by their leases".to_owned()),
        0 => None,
        1 => Some("one lives and answers".to_owned()),
        answering => Some(format!("{answering} live and answer")),
    };
    let silent = unreachable.iter().map(|(node, why)| {
        let address = if node.address.is_empty() { "a node without an address" } else { &node.address };
        Finding::bad("nodes", format!("{address} lives, by its lease, and cannot be asked: {why}"))
    });
    says.into_iter().map(|says| Finding::good("nodes", says)).chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use agentcal_engine::shard::NodeId;
    use agentcal_engine::time::Timestamp;

    use super::*;

    #[test]
    fn every_node_that_does_not_answer_has_a_line() {
        let node = |address: &str| {
            let id = NodeId(uuid::Uuid::nil());
            NodeRecord { id, address: address.to_owned(), started_at: Timestamp::EARLIEST, is_draining: false }
        };
        let check = |count: usize, unreachable: &[(&str, Unreachable)], expected: &[&str]| {
            let unreachable: Vec<_> = unreachable.iter().map(|(address, why)| (node(address), why.clone())).collect();
            let lines: Vec<String> = told(count, &unreachable).iter().map(ToString::to_string).collect();
            assert_eq!(lines, expected);
        };
        check(0, &[], &["ok    nodes           none lives, by their leases"]);
        check(1, &[], &["ok    nodes           one lives and answers"]);
        check(
            4,
            &[("http://10.0.0.7:9090", Unreachable::Refused), ("https://b:9090", Unreachable::Tls("expired".into()))],
            &[
                "ok    nodes           2 live and answer",
                "BAD   nodes           http://10.0.0.7:9090 lives, by its lease, and cannot be asked: the connection was \
                 refused",
                "BAD   nodes           https://b:9090 lives, by its lease, and cannot be asked: TLS failed: expired",
            ],
        );
        check(
            2,
            &[("http://a", Unreachable::TimedOut), ("", Unreachable::Status(404))],
            &[
                "BAD   nodes           http://a lives, by its lease, and cannot be asked: no answer in time",
                "BAD   nodes           a node without an address lives, by its lease, and cannot be asked: it answered \
                 with status 404: another version, or no node",
            ],
        );
    }
}
