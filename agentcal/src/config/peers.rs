//! How this node and the others of its cluster reach and know each other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agentcal_peers::{PeerSecret, PeerTls};
use serde::Deserialize;
use url::{Host, Url};

use super::database::DatabaseConfig;
use super::error::Problem;
use super::secret::SecretText;
use super::settings::{NODE_URL, PEER_SECRET, PEER_TLS_AUTHORITY, PEER_TLS_CERTIFICATE, PEER_TLS_KEY, Setting};

/// How nodes reach and know each other.
#[derive(Clone, Debug)]
pub(crate) struct PeersConfig {
    /// What other nodes reach this one's internal listener at; `None`: the address it listens on.
    url: Option<Url>,
    /// What nodes show each other; the first is shown, all are known, so that it can be replaced without a stop.
    pub(crate) secrets: Vec<PeerSecret>,
    /// Certificates, where nodes know each other by these.
    pub(crate) tls: Option<PeerTls>,
}

impl PeersConfig {
    /// Whether other nodes can be known at all.
    pub(crate) fn knows_others(&self) -> bool {
        !self.secrets.is_empty() || self.tls.is_some()
    }

    /// Base URL at which other nodes are told to reach this one, which listens there.
    pub(crate) fn address(&self, internal: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{scheme}://{internal}"),
        }
    }

    /// What is wrong with that address, whoever asks: `0.0.0.0` and `[::]` are listened on, and are nowhere.
    pub(crate) fn nowhere(&self, internal: SocketAddr) -> Option<String> {
        let is_nowhere = match self.url.as_ref().map(Url::host) {
            None => internal.ip().is_unspecified(),
            Some(Some(Host::Ipv4(address))) => address.is_unspecified(),
            Some(Some(Host::Ipv6(address))) => address.is_unspecified(),
            Some(_) => false,
        };
        let says = "other nodes are told to reach this one at";
        let way_out = "where none can: set AGENTCAL_NODE_URL to where they can";
        is_nowhere.then(|| format!("{says} {}, {way_out}", self.address(internal)))
    }

    /// Nodes with certificates speak TLS to each other and nothing else, and others cannot.
    fn check_scheme(&self) -> Result<(), &'static str> {
        match (self.url.as_ref().map(Url::scheme), &self.tls) {
            (Some("http"), Some(_)) => {
                Err("must begin with https://: nodes with certificates (AGENTCAL_PEER_TLS_CERTIFICATE) speak TLS alone")
            }
            (Some("https"), None) => Err("begins with https:// and this node has no certificate: set \
                                          AGENTCAL_PEER_TLS_CERTIFICATE, .._KEY and .._AUTHORITY, or write http://"),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    url: Option<String>,
    secret: Option<SecretText>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_authority: Option<PathBuf>,
}

impl Raw {
    pub(super) fn check(&self, database: Option<&DatabaseConfig>) -> Result<PeersConfig, Vec<Problem>> {
        let url = self.node_url().map_err(|says| Problem::of(NODE_URL, says));
        let secrets = self.secrets().map_err(|says| Problem::of(PEER_SECRET, says));
        match (url, secrets, self.tls()) {
            (Ok(url), Ok(secrets), Ok(tls)) => {
                let config = PeersConfig { url, secrets, tls };
                config.check_scheme().map_err(|says| vec![Problem::of(NODE_URL, says)])?;
                if matches!(database, Some(DatabaseConfig::Postgres { .. })) && !config.knows_others() {
                    const SAYS: &str = "is not set; nodes on one PostgreSQL database speak to each other, and must know \
                                        each other: give all of them the same, as made by `openssl rand -hex 32`";
                    return Err(vec![Problem::of(PEER_SECRET, SAYS)]);
                }
                Ok(config)
            }
            (url, secrets, tls) => Err([url.err(), secrets.err(), tls.err()].into_iter().flatten().collect()),
        }
    }

    fn node_url(&self) -> Result<Option<Url>, &'static str> {
        const EXAMPLE: &str = "must be where other nodes reach AGENTCAL_INTERNAL_LISTEN, as in http://10.0.0.7:9090";
        let Some(text) = self.url.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let url = Url::parse(text).or(Err(EXAMPLE))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.path() == "/";
        if matches!(url.scheme(), "http" | "https") && url.has_host() && plain { Ok(Some(url)) } else { Err(EXAMPLE) }
    }

    fn secrets(&self) -> Result<Vec<PeerSecret>, String> {
        let Some(text) = self.secret.as_ref().and_then(SecretText::said) else { return Ok(Vec::new()) };
        let secrets: Result<_, _> = text.split(',').map(|secret| PeerSecret::new(secret.trim())).collect();
        secrets.map_err(|error| format!("{error}; make one with `openssl rand -hex 32`"))
    }

    fn tls(&self) -> Result<Option<PeerTls>, Problem> {
        let places = [
            (PEER_TLS_CERTIFICATE, &self.tls_certificate),
            (PEER_TLS_KEY, &self.tls_key),
            (PEER_TLS_AUTHORITY, &self.tls_authority),
        ];
        if places.iter().all(|(_, path)| path.is_none()) {
            return Ok(None);
        }
        let [certificate, key, authority] = places.map(|(setting, path)| read(setting, path.as_deref()));
        let tls = PeerTls::from_pem(&certificate?, &key?, &authority?);
        tls.map(Some).map_err(|error| Problem::of(PEER_TLS_CERTIFICATE, crate::Causes(&error).to_string()))
    }
}

fn read(setting: Setting, path: Option<&Path>) -> Result<Vec<u8>, Problem> {
    let path = path.ok_or_else(|| Problem::of(setting, "is not set; certificate, key and authority go together"))?;
    std::fs::read(path).map_err(|error| Problem::of(setting, format!("{} cannot be read: {error}", path.display())))
}
