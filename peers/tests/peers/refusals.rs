//! Requests that are not taken in, and what both sides see of it.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, UnavailableReason};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::ports::{FactsWanted, PeerError, Peers};
use agentcal_peers::{Guard, PeerSecret, PeersSettings};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::bed::{Bed, Behaviour, ClientSetup, FakeOwner, LONG, SECRET, Setup, soon, until};
use crate::methods::reqwest_client;
use crate::samples::{account_id, calendar_id, release, released};

#[tokio::test]
async fn who_is_no_owner_says_so() {
    let bed = Bed::with(Behaviour::Refuses).await;
    let (peers, node, account_id, calendar_id) = (&bed.peers, &bed.node, account_id(), calendar_id(1));
    let wanted = [FactsWanted { calendar_id, max_age: None }];
    assert_eq!(peers.commit(node, &release(LONG), LONG).await, Err(PeerError::NotOwner));
    assert_eq!(peers.facts(node, account_id, &wanted, LONG).await, Err(PeerError::NotOwner));
    assert_eq!(peers.bell(node, account_id, calendar_id, Ring::Changed).await, Err(PeerError::NotOwner));
    assert_eq!(peers.config_changed(node, account_id).await, Err(PeerError::NotOwner));
}

#[tokio::test]
async fn without_the_secret_nothing_is_heard() {
    let check = async |secret: Option<&str>| {
        let client = ClientSetup { secret: secret.map(str::to_owned), ..ClientSetup::default() };
        let setup = Setup { client, ..Setup::default() };
        let bed = Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await;
        let refused = PeerError::Silent("it does not accept how this node shows who it is".to_owned());
        assert_eq!(bed.peers.commit(&bed.node, &release(LONG), LONG).await, Err(refused.clone()));
        assert_eq!(bed.peers.bell(&bed.node, account_id(), calendar_id(1), Ring::Changed).await, Err(refused.clone()));
        assert_eq!(bed.peers.shards_given(&bed.node).await, Err(refused));
        assert_eq!((bed.owner.commit_count(), bed.owner.notices()), (0, Vec::new()));
    };
    check(None).await;
    check(Some("another-secret-of-at-least-32-bytes-")).await;
    check(Some(&SECRET.to_uppercase())).await;
}

#[tokio::test]
async fn a_new_secret_is_introduced_without_a_gap() {
    let secrets = ["a-newer-secret-of-at-least-thirty-two", SECRET].map(|secret| PeerSecret::new(secret).unwrap());
    let setup = Setup { guard: Guard::Secrets(secrets.to_vec()), ..Setup::default() };
    let bed = Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await;
    assert_eq!(bed.peers.shards_given(&bed.node).await, Ok(()));
}

#[tokio::test]
async fn without_tls_nobody_has_a_certificate() {
    let setup = Setup { guard: Guard::MutualTls, ..Setup::default() };
    let bed = Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await;
    let heard = bed.peers.shards_given(&bed.node).await;
    assert!(matches!(heard, Err(PeerError::Silent(_))), "{heard:?}");
    assert!(bed.owner.notices().is_empty());
}

/// What goes wrong is told in the shape of the public api.
#[tokio::test]
async fn refusals_are_problem_documents() {
    let bed = Bed::with(Behaviour::Refuses).await;
    let commit = serde_json::to_string(&release(LONG)).unwrap();
    let (bell, id) = (json!({"account_id": account_id(), "calendar_id": calendar_id(1)}).to_string(), "req_1");
    let check = async |method: &str, path: &str, secret: &str, left: &str, body: &str, expected: (u16, &str)| {
        let url = bed.url(&format!("/internal/v1/{path}"));
        let asked = reqwest_client().request(method.parse().unwrap(), url).bearer_auth(secret);
        let asked = asked.header("x-request-id", id).header("agentcal-left-ms", left).body(body.to_owned());
        let answer = asked.send().await.unwrap();
        let (status, code) = expected;
        assert_eq!(answer.status(), status, "{path} {body:.60}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        let told = json!({
            "type": format!("urn:agentcal:problem:{code}"), "title": problem["title"], "status": status,
            "detail": problem["detail"], "code": code, "request_id": id, "errors": [],
        });
        assert_eq!(problem, told);
    };
    check("POST", "commit", SECRET, "1000", &commit, (421, "not_owner")).await;
    check("POST", "bell", SECRET, "1000", &bell, (421, "not_owner")).await;
    check("POST", "commit", "wrong", "1000", &commit, (401, "unauthorized")).await;
    check("GET", "shards", "wrong", "1000", "", (401, "unauthorized")).await;
    check("POST", "commit", SECRET, "soon", &commit, (400, "invalid_request")).await;
    check("POST", "facts", SECRET, "-1", "{}", (400, "invalid_request")).await;
    check("POST", "commit", SECRET, "1000", "{}", (400, "malformed_body")).await;
    check("POST", "commit", SECRET, "1000", &commit[1..], (400, "malformed_body")).await;
    check("POST", "bell", SECRET, "1000", &" ".repeat(1_048_577), (413, "body_too_large")).await;
    check("GET", "commit", SECRET, "1000", "", (405, "method_not_allowed")).await;
}

#[tokio::test]
async fn a_request_too_large_is_not_taken_in() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    let wanted = vec![FactsWanted { calendar_id: calendar_id(1), max_age: None }; 30_000];
    let heard = bed.peers.facts(&bed.node, account_id(), &wanted, LONG).await;
    assert_eq!(heard, Err(PeerError::Silent("it refused with status 413".to_owned())));
    assert!(bed.owner.notices().is_empty());
}

/// An owner with too much to do is there: others doing it in its place would not help.
#[tokio::test]
async fn too_many_at_once_are_told_to_wait() {
    let busy = Ok(CommitAnswer::Unavailable(UnavailableReason::MailboxFull));
    let check = async |server_max: usize, client_max: usize| {
        let permits = Arc::new(Semaphore::new(0));
        let settings = PeersSettings { in_flight_max: client_max, ..ClientSetup::default().settings };
        let client = ClientSetup { settings, ..ClientSetup::default() };
        let setup = Setup { in_flight_max: server_max, client, ..Setup::default() };
        let bed = Bed::start(FakeOwner::new(Behaviour::Waits(Arc::clone(&permits), released())), setup).await;
        let (peers, node) = (Arc::clone(&bed.peers), bed.node.clone());
        let first = tokio::spawn(async move { peers.commit(&node, &release(LONG), LONG).await });
        until("the first is at work", || bed.owner.commit_count() == 1).await;
        assert_eq!(bed.peers.commit(&bed.node, &release(LONG), LONG).await, busy);
        let changed = bed.peers.config_changed(&bed.node, account_id()).await;
        assert_eq!(changed, Err(PeerError::Silent("too many requests to it are under way".to_owned())));
        permits.add_permits(2);
        assert_eq!(soon(first).await.unwrap(), Ok(released()));
        assert_eq!(bed.peers.commit(&bed.node, &release(Duration::from_secs(20)), LONG).await, Ok(released()));
    };
    check(1, 10).await;
    check(10, 1).await;
}
