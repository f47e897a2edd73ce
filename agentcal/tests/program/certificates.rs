//! Nodes that know each other by certificates.

use std::fs;
use std::path::Path;

use agentcal_testkit::{Node, WAIT_MAX, wait_for};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::cluster::{Cluster, book_once};
use crate::support::Caller;

/// Enough that each of two nodes owns some of them.
const ACCOUNTS: usize = 12;

/// A node's papers in a folder.
struct Papers(TempDir);

impl Papers {
    /// Of an authority of their own.
    fn new() -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_pem = authority.self_signed(&authority_key).expect("a certificate").pem();
        let key = KeyPair::generate().expect("a key");
        let node = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let node = node.signed_by(&key, &Issuer::new(authority, authority_key)).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("a file");
        write("authority.pem", authority_pem);
        write("node.pem", node.pem());
        write("key.pem", key.serialize_pem());
        Self(folder)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| Path::join(self.0.path(), name).to_string_lossy().into_owned();
        vec![
            ("AGENTCAL_PEER_SECRET", String::new()),
            ("AGENTCAL_PEER_TLS_CERTIFICATE", path("node.pem")),
            ("AGENTCAL_PEER_TLS_KEY", path("key.pem")),
            ("AGENTCAL_PEER_TLS_AUTHORITY", path("authority.pem")),
        ]
    }
}

#[tokio::test]
async fn nodes_of_one_authority_work_together_and_nobody_else_with_them() {
    let Some(cluster) = Cluster::migrated() else { return };
    let (ours, theirs) = (Papers::new(), Papers::new());
    let (ours, theirs) = (ours.variables(), theirs.variables());
    let (ours, theirs) = (borrowed(&ours), borrowed(&theirs));
    let nodes = [cluster.node(&ours), cluster.node(&ours)];
    let owned = |node: &Node| {
        let internal = node.internal_url().replace("http:", "https:");
        let of = "FROM shards AS s JOIN nodes AS n ON n.node_id = s.owner";
        cluster.count(&format!("SELECT count(*) {of} WHERE n.address = '{internal}'"))
    };
    wait_for("shards to be shared", WAIT_MAX, || (owned(&nodes[0]) < 2_300 && owned(&nodes[1]) > 1_800).then_some(()));
    cluster.doctor(&ours, true, &["ok    nodes           2 live and answer"]);
    cluster.doctor(&theirs, false, &["cannot be asked: TLS failed"]);
    cluster.doctor(&[], false, &["cannot be asked: TLS failed"]);

    let plain = [&ours[..], &[("AGENTCAL_NODE_URL", "http://127.0.0.1:9090")]].concat();
    cluster.doctor(&plain, false, &["AGENTCAL_NODE_URL (peers.url in the file): must begin with https://"]);

    let caller = Caller::new(&nodes[0].base_url(), &cluster.key());
    for index in 0..ACCOUNTS {
        book_once(&caller, &format!("Account {index}")).await;
    }
    let elsewhere = "SELECT count(*) FROM accounts AS a JOIN shards AS s ON s.shard = a.shard JOIN nodes AS n \
                     ON n.node_id = s.owner WHERE n.address = ";
    let internal = nodes[1].internal_url().replace("http:", "https:");
    let elsewhere = cluster.count(&format!("{elsewhere}'{internal}'"));
    // A machine that is busy may keep an owner from answering in time.
    let past_owners = cluster.count("SELECT count(*) FROM touched_accounts");
    assert!(past_owners < elsewhere, "the other one made none of {elsewhere} bookings: {past_owners}");
}

fn borrowed<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'v str, &'v str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
