//! Many at once over one connection.

use std::sync::Arc;

use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ports::Peers;
use futures::FutureExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bed::{Bed, Behaviour, LONG, node_at, soon, until};
use crate::relay::{Relay, Wire};
use crate::samples::{account_id, calendar_id, release, released};

#[tokio::test]
async fn a_thousand_at_once_share_a_connection() {
    let permits = Arc::new(Semaphore::new(0));
    let bed = Bed::with(Behaviour::Waits(Arc::clone(&permits), released())).await;
    let relay = Relay::to(bed.listener.address, Wire::Open).await;
    let node = node_at(&relay.url());
    let all: Vec<_> = (0..1_000)
        .map(|_| {
            let (peers, node) = (Arc::clone(&bed.peers), node.clone());
            tokio::spawn(async move { peers.commit(&node, &release(LONG), LONG).await })
        })
        .collect();
    until("all of them are at work at the same time", || bed.owner.commit_count() == 1_000).await;
    permits.add_permits(1_000);
    for one in all {
        assert_eq!(soon(one).await.unwrap(), Ok(released()));
    }
    assert_eq!(relay.connections(), 1);
}

#[test]
fn what_is_asked_and_answered_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let bed = Bed::with(Behaviour::Answers(released())).await;
            bed.peers.commit(&bed.node, &release(LONG), LONG).await.unwrap();
            bed.peers.bell(&bed.node, account_id(), calendar_id(1), Ring::Changed).await.unwrap();
            // Looked at once and let go: a time-out of nothing still waits for the timer, and an answer may come first.
            let given_up = bed.peers.config_changed(&bed.node, account_id()).now_or_never();
            assert!(given_up.is_none(), "nobody has been asked yet");
            let gone = bed.peers.bell(&node_at(""), account_id(), calendar_id(1), Ring::Changed).await;
            gone.unwrap_err();
        });
    });
    let text = handle.render();
    for line in [
        "agentcal_peer_requests_total{kind=\"commit\",outcome=\"answered\"} 1",
        "agentcal_peer_requests_total{kind=\"bell\",outcome=\"answered\"} 1",
        "agentcal_peer_requests_total{kind=\"bell\",outcome=\"silent\"} 1",
        "agentcal_peer_requests_total{kind=\"config_changed\",outcome=\"given_up\"} 1",
        "agentcal_peer_latency_seconds_count{kind=\"commit\"} 1",
        "agentcal_peer_served_total{kind=\"commit\",status=\"200\"} 1",
        "agentcal_peer_served_total{kind=\"bell\",status=\"204\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// What a hop costs. Says it, and asserts nothing: `cargo test --release -p agentcal-peers -- --ignored --nocapture hop`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_a_hop_costs() {
    const TASKS: usize = 64;
    let (each, bed) = (500, Bed::with(Behaviour::Answers(released())).await);
    for tasks in [1, TASKS] {
        for kind in ["bell", "commit"] {
            let begun = Instant::now();
            let all: Vec<_> = (0..tasks)
                .map(|_| {
                    let (peers, node) = (Arc::clone(&bed.peers), bed.node.clone());
                    tokio::spawn(async move {
                        for _ in 0..each {
                            match kind {
                                "bell" => peers.bell(&node, account_id(), calendar_id(1), Ring::Changed).await.unwrap(),
                                _ => drop(peers.commit(&node, &release(LONG), LONG).await.unwrap()),
                            }
                        }
                    })
                })
                .collect();
            for one in all {
                one.await.unwrap();
            }
            let per_second = (tasks * each) as f64 / begun.elapsed().as_secs_f64();
            println!("{kind} at {tasks} tasks: {per_second:.0}/s");
        }
    }
}
