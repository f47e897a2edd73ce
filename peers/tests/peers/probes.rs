//! What is said of nodes that cannot be asked.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::{NodeRecord, Ownership, ShardMap};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT};
use agentcal_peers::{Guard, HttpPeers, PeerTls, ServeOptions, ShardsPicture, Unreachable};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::bed::{Bed, Behaviour, ClientSetup, FakeOwner, LONG, Listener, SECRET, Setup, client, node_at, soon};
use crate::samples::released;
use crate::tls::Authority;

const OTHER_SECRET: &str = "another-secret-of-thirty-two-bytes";

async fn node(server_tls: Option<PeerTls>) -> Bed {
    let node = node_at("http://one");
    let row = Ownership { owner: Some(node.id), epoch: Epoch(1) };
    let map = Arc::new(ShardMap { version: 1, shards: vec![row; usize::from(SHARD_COUNT)] });
    let shards = Some(ShardsPicture { node_id: node.id, nodes: vec![node], map });
    let guard = if server_tls.is_some() { Guard::MutualTls } else { Setup::default().guard };
    let owner = FakeOwner { shards, ..FakeOwner::new(Behaviour::Answers(released())) };
    Bed::start(owner, Setup { guard, server_tls, ..Setup::default() }).await
}

fn asker(secret: &str, tls: Option<PeerTls>) -> HttpPeers {
    client(ClientSetup { secret: Some(secret.to_owned()), tls, ..ClientSetup::default() })
}

async fn probed(peers: &HttpPeers, address: &str) -> Result<(), Unreachable> {
    soon(peers.probe(&node_at(address), LONG)).await
}

#[tokio::test]
async fn a_node_that_can_be_asked_can_be_asked() {
    let plain = node(None).await;
    assert_eq!(probed(&asker(SECRET, None), &plain.node.address).await, Ok(()));
    let authority = Authority::new();
    let sealed = node(Some(authority.tls(&["127.0.0.1"]))).await;
    let peers = asker(SECRET, Some(authority.tls(&["elsewhere.example"])));
    assert_eq!(probed(&peers, &sealed.node.address).await, Ok(()));
}

/// Two machines with one address, or each with one of its own loopback: what is sent to the other arrives here.
#[tokio::test]
async fn another_node_at_the_address_is_no_answer() {
    let bed = node(None).await;
    let peers = asker(SECRET, None);
    let other = NodeRecord { id: NodeId(Uuid::from_u128(2)), ..bed.node.clone() };
    assert_eq!(soon(peers.probe(&other, LONG)).await, Err(Unreachable::Another));
    assert_eq!(soon(peers.probe(&bed.node, LONG)).await, Ok(()), "who it says it is");
}

#[tokio::test]
async fn an_answer_without_a_name_is_none() {
    let peers = asker(SECRET, None);
    for body in ["{}", "[]", "no JSON", r#"{"node_id": "somebody"}"#] {
        let routes = Router::new().route("/internal/v1/shards", get(async move || body));
        let stranger = Listener::start(routes, ServeOptions::new(None)).await;
        let heard = probed(&peers, &format!("http://{}", stranger.address)).await;
        assert!(matches!(heard, Err(Unreachable::Nameless(_))), "{body}: {heard:?}");
    }
}

#[tokio::test]
async fn whoever_is_not_known_is_told_so() {
    let plain = node(None).await;
    assert_eq!(probed(&asker(OTHER_SECRET, None), &plain.node.address).await, Err(Unreachable::Unknown));
}

#[tokio::test]
async fn nobody_a_stranger_and_somebody_who_is_silent_are_told_apart() {
    let peers = asker(SECRET, None);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // The system takes connections; nobody reads from them.
    let silent = peers.probe(&node_at(&address), Duration::from_millis(200)).await;
    assert_eq!(silent, Err(Unreachable::TimedOut));
    drop(listener);
    let peers = asker(SECRET, None);
    assert_eq!(probed(&peers, &address).await, Err(Unreachable::Refused));
    let stranger = Listener::start(Router::new(), ServeOptions::new(None)).await;
    assert_eq!(probed(&peers, &format!("http://{}", stranger.address)).await, Err(Unreachable::Status(404)));
    assert!(matches!(probed(&peers, "").await, Err(Unreachable::Other(_))));
}

#[tokio::test]
async fn tls_that_does_not_fit_is_named() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (plain, sealed) = (node(None).await, node(Some(ours.tls(&["127.0.0.1"]))).await);
    let elsewhere = node(Some(ours.tls(&["127.0.0.2"]))).await;
    let check = async |what: &str, peers: HttpPeers, address: &str| {
        let heard = probed(&peers, address).await;
        assert!(matches!(heard, Err(Unreachable::Tls(_))), "{what}: {heard:?}");
    };
    let with = |authority: &Authority| asker(SECRET, Some(authority.tls(&["127.0.0.1"])));
    check("another authority", with(&theirs), &sealed.node.address).await;
    check("another machine's certificate", with(&ours), &elsewhere.node.address).await;
    check("no certificates here", asker(SECRET, None), &sealed.node.address).await;
    check("none there, and an address that says so", with(&ours), &plain.node.address).await;
    check("none there", with(&ours), &plain.node.address.replace("http:", "https:")).await;
}
