//! Certificates: ours, those of others, and none.

use std::sync::Arc;

use agentcal_engine::ports::{PeerError, Peers};
use agentcal_peers::{Guard, PeerTls, TlsError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::bed::{Bed, Behaviour, ClientSetup, FakeOwner, LONG, Setup, node_at};
use crate::samples::{release, released};

/// A cluster's authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Papers {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn papers(&self, names: &[&str]) -> Papers {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        Papers { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// What a node of this cluster under these names has.
    pub(crate) fn tls(&self, names: &[&str]) -> PeerTls {
        let papers = self.papers(names);
        PeerTls::from_pem(papers.certificate.as_bytes(), papers.key.as_bytes(), self.pem.as_bytes()).unwrap()
    }
}

async fn bed(server: PeerTls, client: Option<PeerTls>) -> Bed {
    let client = ClientSetup { secret: None, tls: client, ..ClientSetup::default() };
    let setup = Setup { guard: Guard::MutualTls, server_tls: Some(server), client, ..Setup::default() };
    Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await
}

#[tokio::test]
async fn nodes_of_one_authority_hear_each_other() {
    let authority = Authority::new();
    let bed = bed(authority.tls(&["127.0.0.1"]), Some(authority.tls(&["elsewhere.example"]))).await;
    assert_eq!(bed.peers.commit(&bed.node, &release(LONG), LONG).await, Ok(released()));
    assert_eq!(bed.peers.shards_given(&bed.node).await, Ok(()));
}

#[tokio::test]
async fn nobody_else_does() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    // Of another authority altogether; one side of another; a certificate that is for another machine; and none.
    let mixed = |papers: Papers, trusts: &Authority| {
        PeerTls::from_pem(papers.certificate.as_bytes(), papers.key.as_bytes(), trusts.pem.as_bytes()).unwrap()
    };
    let server = || ours.tls(&["127.0.0.1"]);
    let check = async |what: &str, server: PeerTls, client: Option<PeerTls>| {
        let bed = bed(server, client).await;
        let heard = bed.peers.commit(&bed.node, &release(LONG), LONG).await;
        assert!(matches!(heard, Err(PeerError::Silent(_))), "{what}: {heard:?}");
        assert_eq!(bed.owner.commit_count(), 0, "{what}");
    };
    check("another authority", server(), Some(theirs.tls(&["127.0.0.1"]))).await;
    check("the client's alone", server(), Some(mixed(theirs.papers(&["127.0.0.1"]), &ours))).await;
    check("the server's alone", mixed(theirs.papers(&["127.0.0.1"]), &ours), Some(ours.tls(&["127.0.0.1"]))).await;
    check("another machine's", ours.tls(&["127.0.0.2"]), Some(ours.tls(&["127.0.0.1"]))).await;
    check("a client without TLS", server(), None).await;
}

/// A probe trusts the authority and has no certificate: health it may see, the cluster's affairs not.
#[tokio::test]
async fn who_shows_no_certificate_is_not_let_in() {
    let authority = Authority::new();
    let bed = bed(authority.tls(&["127.0.0.1"]), Some(authority.tls(&["127.0.0.1"]))).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let probe = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
    let answer = probe.post(bed.url("/internal/v1/shards-given")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(probe.get(bed.url("/healthz")).send().await.unwrap().status(), 404, "it came as far as the routes");
    assert!(bed.owner.notices().is_empty());
}

/// Requests that should be sealed are not sent in the open because an address says so.
#[tokio::test]
async fn nothing_is_sent_in_the_open_by_a_node_with_certificates() {
    let authority = Authority::new();
    let client = ClientSetup { tls: Some(authority.tls(&["127.0.0.1"])), ..ClientSetup::default() };
    let setup = Setup { client, ..Setup::default() };
    let bed = Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await;
    assert!(bed.node.address.starts_with("http://"));
    let heard = bed.peers.shards_given(&node_at(&bed.node.address)).await;
    assert!(matches!(heard, Err(PeerError::Silent(_))), "{heard:?}");
    assert!(bed.owner.notices().is_empty());
}

#[test]
fn papers_that_are_none_are_not_accepted() {
    let authority = Authority::new();
    let (good, other) = (authority.papers(&["a.example"]), authority.papers(&["a.example"]));
    let check = |certificate: &str, key: &str, authority: &str, expected: &str| {
        let read = PeerTls::from_pem(certificate.as_bytes(), key.as_bytes(), authority.as_bytes());
        let error: TlsError = read.expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    check("", &good.key, &authority.pem, "the certificate holds no certificate");
    check(&good.key, &good.key, &authority.pem, "the certificate holds no certificate");
    check(&good.certificate, "", &authority.pem, "failed to read the key");
    check(&good.certificate, &good.certificate, &authority.pem, "failed to read the key");
    check(&good.certificate, &good.key, "", "the authority holds no certificate");
    check(&good.certificate, &other.key, &authority.pem, "failed to use certificate and key");
}
