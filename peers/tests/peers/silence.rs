//! Owners that are gone, asleep, silent or broken, and wires that are cut.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, UnavailableReason};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ports::{NodeRecord, PeerError, Peers};
use agentcal_peers::{HttpPeers, PeersSettings, ServeOptions};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::bed::{Bed, Behaviour, ClientSetup, FakeOwner, LONG, Listener, Setup, client, node_at, soon, until};
use crate::relay::{Relay, Wire};
use crate::samples::{account_id, calendar_id, release, released};

type Heard = Result<CommitAnswer, PeerError>;

fn is_silent(heard: &Heard) -> bool {
    matches!(heard, Err(PeerError::Silent(_)))
}

fn is_lost(heard: &Heard) -> bool {
    matches!(heard, Err(PeerError::Lost(_)))
}

/// Waits for what must come in time, each longer than the last: on a machine that stands still for a while even a receipt may
/// be late.
const PATIENCE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(12)];

/// A commit under way, with half a minute for its answer.
fn commit(peers: &Arc<HttpPeers>, node: &NodeRecord, receipt_within: Duration) -> JoinHandle<Heard> {
    let (peers, node) = (Arc::clone(peers), node.clone());
    tokio::spawn(async move { peers.commit(&node, &release(LONG), receipt_within).await })
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let node = node_at(&format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    let peers = client(ClientSetup::default());
    let begun = Instant::now();
    let heard = peers.commit(&node, &release(LONG), LONG).await;
    assert_eq!(heard, Err(PeerError::Silent("Connection refused (os error 111)".to_owned())));
    assert!(begun.elapsed() < LONG, "at once, not after the wait for a receipt");
}

#[tokio::test]
async fn no_address_is_no_node() {
    let peers = client(ClientSetup::default());
    for address in ["", "nonsense", "ftp://127.0.0.1", "https://127.0.0.1:1", "http://"] {
        let heard = peers.commit(&node_at(address), &release(LONG), LONG).await;
        assert!(is_silent(&heard), "{address}: {heard:?}");
    }
}

/// The system takes the connection; the process behind it is asleep.
#[tokio::test]
async fn somebody_listens_and_says_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let node = node_at(&format!("http://{}", listener.local_addr().unwrap()));
    let peers = Arc::new(client(ClientSetup::default()));
    let receipt_within = Duration::from_millis(300);
    let begun = Instant::now();
    let all: Vec<_> = (0..200).map(|_| commit(&peers, &node, receipt_within)).collect();
    for one in all {
        let heard = one.await.unwrap();
        assert_eq!(heard, Err(PeerError::Silent("no sign of it within 300 ms".to_owned())));
    }
    assert!(begun.elapsed() >= receipt_within);
    assert!(begun.elapsed() < receipt_within * 200, "all wait at the same time");
}

/// A machine that is gone takes no connection at all, not even one the system makes for it.
#[tokio::test]
async fn a_connection_that_does_not_stand_is_given_up() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // The queue of connections nobody takes is filled until the system answers no more.
    let mut queued = Vec::new();
    let limit = Duration::from_millis(200);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, limit) {
        queued.push(stream);
        assert!(queued.len() < 10_000, "the queue has an end");
    }
    let settings = PeersSettings { connect_max: Duration::from_millis(80), ..PeersSettings::default() };
    let peers = client(ClientSetup { settings, ..ClientSetup::default() });
    let begun = Instant::now();
    let heard = peers.commit(&node_at(&format!("http://{address}")), &release(LONG), LONG).await;
    assert!(is_silent(&heard), "{heard:?}");
    assert!(begun.elapsed() < LONG, "not after the wait for a receipt");
}

#[tokio::test]
async fn a_receipt_is_not_an_answer() {
    let bed = Bed::with(Behaviour::NeverAnswers).await;
    for left in PATIENCE {
        let begun = Instant::now();
        let heard = bed.peers.commit(&bed.node, &release(left), left).await;
        assert!(begun.elapsed() >= left, "what was taken in is waited for");
        if heard == Err(PeerError::Lost("the deadline passed".to_owned())) {
            return;
        }
        assert!(is_silent(&heard), "{heard:?}");
    }
    panic!("a receipt is never taken for one");
}

#[tokio::test]
async fn what_is_too_late_is_not_sent() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    let heard = bed.peers.commit(&bed.node, &release(Duration::ZERO), LONG).await;
    assert_eq!(heard, Ok(CommitAnswer::Unavailable(UnavailableReason::Deadline)));
    assert_eq!(bed.owner.commit_count(), 0);
}

#[tokio::test]
async fn facts_that_do_not_come_in_time_are_not_waited_for() {
    let bed = Bed::with(Behaviour::NeverAnswers).await;
    let heard = bed.peers.facts(&bed.node, account_id(), &[], Duration::from_millis(100)).await;
    assert_eq!(heard, Err(PeerError::Silent("no sign of it within 100 ms".to_owned())));
}

#[tokio::test]
async fn an_owner_that_breaks_is_lost() {
    let permits = Arc::new(Semaphore::new(0));
    let (bed, relay, under_way) =
        taken_in(Behaviour::Breaks(Arc::clone(&permits)), ClientSetup::default().settings).await;
    permits.add_permits(1);
    let heard = soon(under_way).await.unwrap();
    assert!(is_lost(&heard), "{heard:?}");
    assert_eq!(bed.peers.shards_given(&node_at(&relay.url())).await, Ok(()));
    assert_eq!(relay.connections(), 1, "the connection is as good as before");
}

/// An owner that took a commit in, behind a wire; the receipt has arrived.
async fn taken_in(behaviour: Behaviour, settings: PeersSettings) -> (Bed, Relay, JoinHandle<Heard>) {
    let client = ClientSetup { settings, ..ClientSetup::default() };
    let bed = Bed::start(FakeOwner::new(behaviour), Setup { client, ..Setup::default() }).await;
    for receipt_within in PATIENCE {
        let relay = Relay::to(bed.listener.address, Wire::Open).await;
        let begun = Instant::now();
        let under_way = commit(&bed.peers, &node_at(&relay.url()), receipt_within);
        until("the receipt has come or is overdue", || begun.elapsed() > receipt_within * 2).await;
        if !under_way.is_finished() {
            // It waits for the answer, so the receipt has come.
            return (bed, relay, under_way);
        }
    }
    panic!("no receipt came in time");
}

#[tokio::test]
async fn a_wire_cut_after_the_receipt_loses_the_answer() {
    let (bed, relay, under_way) = taken_in(Behaviour::NeverAnswers, ClientSetup::default().settings).await;
    relay.set(Wire::Cut);
    let heard = soon(under_way).await.unwrap();
    assert!(is_lost(&heard), "{heard:?}");
    relay.set(Wire::Open);
    assert_eq!(bed.peers.shards_given(&node_at(&relay.url())).await, Ok(()), "another connection is made");
    assert_eq!(relay.connections(), 2);
}

/// Nothing ends a connection to a machine without power, but that its pings are not answered.
#[tokio::test]
async fn a_wire_that_carries_nothing_is_noticed() {
    let (ping_every, ping_max) = (Duration::from_millis(300), Duration::from_millis(700));
    let settings = PeersSettings { ping_every, ping_max, ..ClientSetup::default().settings };
    let (bed, relay, under_way) = taken_in(Behaviour::NeverAnswers, settings).await;
    relay.set(Wire::Held);
    let heard = soon(under_way).await.unwrap();
    assert!(is_lost(&heard), "{heard:?}");
    assert_ne!(heard, Err(PeerError::Lost("the deadline passed".to_owned())), "well before it did");
    relay.set(Wire::Open);
    assert_eq!(bed.peers.shards_given(&node_at(&relay.url())).await, Ok(()), "another connection is made");
}

#[tokio::test]
async fn a_wire_cut_before_the_receipt_is_silence() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    let relay = Relay::to(bed.listener.address, Wire::Held).await;
    let under_way = commit(&bed.peers, &node_at(&relay.url()), LONG);
    until("the request is on its way", || relay.sent() > 0).await;
    relay.set(Wire::Cut);
    let heard = soon(under_way).await.unwrap();
    assert!(is_silent(&heard), "{heard:?}");
}

/// An owner that was asleep finds requests whose callers went elsewhere long ago.
#[tokio::test]
async fn what_was_taken_back_is_not_begun_by_an_owner_that_wakes() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    let relay = Relay::to(bed.listener.address, Wire::Open).await;
    let node = node_at(&relay.url());
    assert_eq!(bed.peers.shards_given(&node).await, Ok(()), "a connection stands");
    relay.set(Wire::Held);
    let all: Vec<_> = (0..100).map(|_| commit(&bed.peers, &node, Duration::from_millis(300))).collect();
    for one in all {
        let heard = one.await.unwrap();
        assert!(is_silent(&heard), "{heard:?}");
    }
    relay.set(Wire::Open);
    assert_eq!(bed.peers.bell(&node, account_id(), calendar_id(1), Ring::Changed).await, Ok(()));
    assert_eq!(bed.owner.commit_count(), 0);
    assert_eq!(relay.connections(), 1);
}

#[tokio::test]
async fn callers_who_leave_leave_nothing_behind() {
    let permits = Arc::new(Semaphore::new(0));
    let settings = PeersSettings { in_flight_max: 300, ..ClientSetup::default().settings };
    let client = ClientSetup { settings, ..ClientSetup::default() };
    let setup = Setup { client, in_flight_max: 300, ..Setup::default() };
    let bed = Bed::start(FakeOwner::new(Behaviour::Waits(Arc::clone(&permits), released())), setup).await;
    let relay = Relay::to(bed.listener.address, Wire::Open).await;
    let node = node_at(&relay.url());
    // Fewer in all than the 1,024 answers to nobody after which the transport begins a new connection.
    for round in 1..=3 {
        let all: Vec<_> = (0..300).map(|_| commit(&bed.peers, &node, LONG)).collect();
        until("all are at work", || bed.owner.commit_count() == 300 * round).await;
        all.iter().for_each(JoinHandle::abort);
        for one in all {
            assert!(one.await.unwrap_err().is_cancelled());
        }
        // What was taken in comes to its end; only nobody hears of it.
        permits.add_permits(300);
        until("all are done", || *bed.owner.done.lock().unwrap() == 300 * round).await;
    }
    permits.add_permits(1);
    assert_eq!(soon(commit(&bed.peers, &node, LONG)).await.unwrap(), Ok(released()));
}

#[tokio::test]
async fn answers_that_are_none() {
    let check = async |answer: fn() -> Response, expected: PeerError| {
        let routes = Router::new().route("/internal/v1/commit", post(move || async move { answer() }));
        let listener = Listener::start(routes, ServeOptions::new(None)).await;
        let settings = PeersSettings { answer_len_max: 1_000, ..ClientSetup::default().settings };
        let peers = client(ClientSetup { settings, ..ClientSetup::default() });
        let node = node_at(&format!("http://{}", listener.address));
        assert_eq!(peers.commit(&node, &release(LONG), LONG).await, Err(expected));
    };
    let (silent, lost) =
        (|text: &str| PeerError::Silent(text.to_owned()), |text: &str| PeerError::Lost(text.to_owned()));
    check(|| " ".repeat(1_001).into_response(), lost("its answer has more than 1000 bytes")).await;
    check(endless, lost("its answer has more than 1000 bytes")).await;
    check(|| "{\"Committed\":7}".into_response(), lost("its answer cannot be read at line 1, column 14")).await;
    check(|| ().into_response(), lost("its answer cannot be read at line 1, column 0")).await;
    check(|| StatusCode::INTERNAL_SERVER_ERROR.into_response(), silent("it refused with status 500")).await;
    check(|| StatusCode::NOT_FOUND.into_response(), silent("it refused with status 404")).await;
    check(|| StatusCode::FOUND.into_response(), silent("it refused with status 302")).await;
    check(|| StatusCode::MISDIRECTED_REQUEST.into_response(), PeerError::NotOwner).await;
}

fn endless() -> Response {
    Body::from_stream(stream::repeat(Bytes::from_static(&[b' '; 600])).map(Ok::<_, Infallible>)).into_response()
}
