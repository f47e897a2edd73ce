//! Every method, there and back.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::MaxAge;
use agentcal_engine::ports::{BeatsEnded, FactsWanted, Ownership, PeerError, Peers, ShardMap};
use agentcal_engine::shard::{Epoch, NodeId, SHARD_COUNT, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_peers::ShardsPicture;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bed::{Bed, Behaviour, FakeOwner, LONG, SECRET, Setup, node_at};
use crate::samples::{self, account_id, calendar_id, released};

#[tokio::test]
async fn commits_of_every_kind_arrive_as_they_were_sent() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    for (number, kind) in samples::kinds().into_iter().enumerate() {
        let request = samples::request(number as u128, kind);
        assert_eq!(bed.peers.commit(&bed.node, &request, LONG).await, Ok(released()));
        let mut heard = bed.owner.commits.lock().unwrap().pop().unwrap();
        // What is left of the time is what arrives; another test looks at that.
        heard.deadline = request.deadline;
        assert_eq!(heard, request);
    }
}

#[tokio::test]
async fn answers_of_every_kind_come_back_as_they_were_given() {
    for answer in samples::answers() {
        let bed = Bed::with(Behaviour::Answers(answer.clone())).await;
        let heard = bed.peers.commit(&bed.node, &samples::release(LONG), LONG).await;
        assert_eq!(heard, Ok(answer));
    }
}

#[tokio::test]
async fn facts_come_in_the_order_asked() {
    let owner =
        FakeOwner { facts: vec![samples::facts(2), samples::facts(1)], ..FakeOwner::new(Behaviour::NeverAnswers) };
    let owner = FakeOwner { behaviour: Behaviour::Answers(CommitAnswer::IdempotencyMismatch), ..owner };
    let bed = Bed::start(owner, Setup::default()).await;
    let max_age = MaxAge { polled: Duration::from_millis(1_500), watched: Duration::from_secs(2) };
    let wanted = [
        FactsWanted { calendar_id: calendar_id(2), max_age: None },
        FactsWanted { calendar_id: calendar_id(1), max_age: Some(max_age) },
    ];
    let facts = bed.peers.facts(&bed.node, account_id(), &wanted, Duration::from_secs(10)).await;
    assert_eq!(facts, Ok(vec![samples::facts(2), samples::facts(1)]));
    let (one, two, account_id) = (calendar_id(2), calendar_id(1), account_id());
    assert_eq!(bed.owner.notices(), [format!("facts {account_id} [({one}, None), ({two}, Some({max_age:?}))] 9.98s")]);
}

#[tokio::test]
async fn facts_of_other_calendars_are_no_answer() {
    let wanted = |number| FactsWanted { calendar_id: calendar_id(number), max_age: None };
    let check = async |facts: Vec<_>, wanted: &[FactsWanted]| {
        let owner = FakeOwner { facts, ..FakeOwner::new(Behaviour::Answers(released())) };
        let bed = Bed::start(owner, Setup::default()).await;
        let heard = bed.peers.facts(&bed.node, account_id(), wanted, LONG).await;
        assert_eq!(heard, Err(PeerError::Lost("its answer is about other calendars".to_owned())), "{wanted:?}");
    };
    check(vec![], &[wanted(1)]).await;
    check(vec![samples::facts(1), samples::facts(2)], &[wanted(1)]).await;
    check(vec![samples::facts(1), samples::facts(2)], &[wanted(2), wanted(1)]).await;
}

#[tokio::test]
async fn notices_arrive() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    assert_eq!(bed.peers.bell(&bed.node, account_id(), calendar_id(1), Ring::WatchEnded).await, Ok(()));
    assert_eq!(bed.peers.config_changed(&bed.node, account_id()).await, Ok(()));
    let ended = BeatsEnded { shard: Shard::of(account_id()), epoch: Epoch(3), said_until: Timestamp::from_seconds(5) };
    assert_eq!(bed.peers.beats_ended(&bed.node, ended).await, Ok(()));
    assert_eq!(bed.peers.shards_given(&bed.node).await, Ok(()));
    let (account_id, calendar_id) = (account_id(), calendar_id(1));
    let expected = [
        format!("bell {account_id} {calendar_id} WatchEnded"),
        format!("config_changed {account_id}"),
        format!("beats_ended {ended:?}"),
        "shards_given".to_owned(),
    ];
    assert_eq!(bed.owner.notices(), expected);
}

#[tokio::test]
async fn an_address_may_end_in_a_slash() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    assert_eq!(bed.peers.shards_given(&node_at(&bed.url("/"))).await, Ok(()));
}

#[tokio::test]
async fn the_map_of_shards_is_there_to_be_read() {
    let (one, two) = (NodeId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
    let of = |number: u16| Ownership { owner: Some(if number < 1_000 { one } else { two }), epoch: Epoch(3) };
    let map = ShardMap { version: 5, shards: (0..SHARD_COUNT).map(of).collect() };
    let picture = ShardsPicture { node_id: one, nodes: vec![node_at("http://one")], map: Arc::new(map) };
    let owner = FakeOwner { shards: Some(picture), ..FakeOwner::new(Behaviour::Refuses) };
    let bed = Bed::start(owner, Setup::default()).await;
    let asked = reqwest_client().get(bed.url("/internal/v1/shards")).bearer_auth(SECRET).send().await.unwrap();
    let expected = json!({
        "node_id": one,
        "version": 5,
        "nodes": [{
            "id": one, "address": "http://one", "started_at": "2027-01-15T08:00:00+00:00", "is_draining": false,
            "shard_count": 1_000,
        }],
        "shards": [
            {"first": 0, "last": 999, "owner": one, "epoch": 3},
            {"first": 1_000, "last": 4_095, "owner": two, "epoch": 3},
        ],
    });
    assert_eq!(asked.json::<Value>().await.unwrap(), expected);
}

#[tokio::test]
async fn requests_keep_their_id() {
    let bed = Bed::with(Behaviour::Answers(released())).await;
    let check = async |sent: &str, kept: bool| {
        let asked = reqwest_client().post(bed.url("/internal/v1/shards-given")).bearer_auth(SECRET);
        let answer = asked.header("x-request-id", sent).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == sent, kept, "{sent} became {id}");
        assert!(kept || id.starts_with("req_"), "{id}");
    };
    check("req_01kaj2wz5rfv8t6xg3m9c1nq4d", true).await;
    check(&"x".repeat(64), true).await;
    check(&"x".repeat(65), false).await;
    check("two words", false).await;
    check("", false).await;
}

/// Somebody with a command line: HTTP/1.1, and no TLS of ours.
pub(crate) fn reqwest_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}
