//! TLS between nodes: each has a certificate of one authority, and trusts no other.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Protocols on the internal listener, best first.
const SERVER_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why certificates were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not PEM, or has not what it should have.
    #[error("failed to read the {what}")]
    Pem {
        /// Which file.
        what: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file has no certificate.
    #[error("the {0} holds no certificate")]
    Empty(&'static str),
    /// Certificate and key do not go together, or are of a kind nobody takes.
    #[error("failed to use certificate and key")]
    Unusable(#[from] rustls::Error),
    /// The authority cannot be used to check peers.
    #[error("failed to use the authority's certificate")]
    Authority(#[from] VerifierBuilderError),
}

/// This node's certificate, and the authority that all nodes' certificates come from.
#[derive(Clone, Debug)]
pub struct PeerTls {
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

impl PeerTls {
    /// Reads PEM texts: this node's certificate with whatever stands between it and the authority, its key, and the
    /// authority's certificate. The node's certificate must be good for servers and for clients, under the name or address
    /// that other nodes reach it by.
    pub fn from_pem(certificate: &[u8], key: &[u8], authority: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::Pem { what: "key", source })?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates("authority", authority)? {
            roots.add(certificate)?;
        }
        let roots = Arc::new(roots);
        let server = server_config(chain.clone(), key.clone_key(), Arc::clone(&roots))?;
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { server: Arc::new(server), client })
    }

    /// For the listener. Callers may come without a certificate, for health and metrics; one of another authority is
    /// turned away at the door.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// For requests to others.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client.clone()
    }
}

/// Trusts nobody: for a client that speaks plain HTTP.
pub(crate) fn client_without_authority() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated().build()?;
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    server.alpn_protocols = SERVER_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(server)
}

/// Ring, named here so that nothing depends on what a process installed as its default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|source| TlsError::Pem { what, source })?;
    if found.is_empty() { Err(TlsError::Empty(what)) } else { Ok(found) }
}
