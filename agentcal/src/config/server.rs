//! Where a node listens, and what it is called outside.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;
use url::Url;

use super::error::Problem;
use super::settings::{INTERNAL_LISTEN, LISTEN, PUBLIC_URL};

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
const INTERNAL_LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Where a node listens, and what it is called outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    /// The api.
    pub(crate) listen: SocketAddr,
    /// Metrics; not for the world.
    pub(crate) internal_listen: SocketAddr,
    /// What callers reach the api at.
    pub(crate) public_url: Option<Url>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    listen: Option<String>,
    internal_listen: Option<String>,
    public_url: Option<String>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<ServerConfig, Vec<Problem>> {
        let listen = address(self.listen.as_deref(), LISTEN_DEFAULT).map_err(|says| Problem::of(LISTEN, says));
        let internal_listen = address(self.internal_listen.as_deref(), INTERNAL_LISTEN_DEFAULT)
            .and_then(|internal| apart(internal, listen.as_ref().ok()))
            .map_err(|says| Problem::of(INTERNAL_LISTEN, says));
        let public_url = public_url(self.public_url.as_deref()).map_err(|says| Problem::of(PUBLIC_URL, says));
        match (listen, internal_listen, public_url) {
            (Ok(listen), Ok(internal_listen), Ok(public_url)) => {
                Ok(ServerConfig { listen, internal_listen, public_url })
            }
            (listen, internal, public) => {
                Err([listen.err(), internal.err(), public.err()].into_iter().flatten().collect())
            }
        }
    }
}

fn address(text: Option<&str>, default: SocketAddr) -> Result<SocketAddr, &'static str> {
    match text {
        None | Some("") => Ok(default),
        Some(text) => text.parse().or(Err("must be an address and a port, as in 0.0.0.0:8080 or [::]:8080")),
    }
}

fn apart(internal: SocketAddr, listen: Option<&SocketAddr>) -> Result<SocketAddr, &'static str> {
    let same = internal.port() != 0 && listen == Some(&internal);
    if same { Err("must differ from AGENTCAL_LISTEN: metrics are not for the world") } else { Ok(internal) }
}

fn public_url(text: Option<&str>) -> Result<Option<Url>, &'static str> {
    const EXAMPLE: &str = "must be where callers reach the api, as in https://cal.example.com";
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = Url::parse(text).or(Err(EXAMPLE))?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.path() == "/";
    if matches!(url.scheme(), "http" | "https") && url.has_host() && plain { Ok(Some(url)) } else { Err(EXAMPLE) }
}
