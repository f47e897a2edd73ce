//! Whether another node can be asked anything, and what stands in the way.

use std::error::Error;
use std::io;
use std::time::Duration;

use agentcal_engine::ports::NodeRecord;
use http::StatusCode;
use http::header::AUTHORIZATION;
use reqwest::Url;
use tokio::time::timeout;

use crate::client::HttpPeers;
use crate::wire::SHARDS_PATH;

/// Why a node cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// Nothing came back in time.
    #[error("no answer in time")]
    TimedOut,
    /// It does not know this node.
    #[error("it does not accept this node's secret or certificate: all nodes must have the same, or one authority")]
    Unknown,
    /// The two do not agree about TLS, or about certificates.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It answers, and not as a node does.
    #[error("it answered with status {0}: another version, or no node")]
    Status(u16),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl HttpPeers {
    /// Asks a node for what all nodes show each other and nobody else.
    ///
    /// # Errors
    /// When that is not to be had within this time.
    pub async fn probe(&self, node: &NodeRecord, within: Duration) -> Result<(), Unreachable> {
        let address = format!("{}{SHARDS_PATH}", node.address.trim_end_matches('/'));
        let url =
            Url::parse(&address).map_err(|error| Unreachable::Other(format!("its address is no URL: {error}")))?;
        if self.speaks_tls() && url.scheme() != "https" {
            return Err(Unreachable::Tls("its address is not https, and this node has certificates".to_owned()));
        }
        let mut request = self.client().get(url);
        if let Some(secret) = self.secret() {
            request = request.header(AUTHORIZATION, secret.header());
        }
        let answer = timeout(within, request.send()).await.map_err(|_elapsed| Unreachable::TimedOut)?;
        match answer.map_err(|error| reason(&error))?.status() {
            StatusCode::UNAUTHORIZED => Err(Unreachable::Unknown),
            status if status.is_success() => Ok(()),
            status => Err(Unreachable::Status(status.as_u16())),
        }
    }
}

/// What is at the bottom of a failure, as far as it tells.
fn reason(error: &reqwest::Error) -> Unreachable {
    if error.is_timeout() {
        return Unreachable::TimedOut;
    }
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(found) = named(cause) {
            return found;
        }
        match below(cause) {
            Some(deeper) => cause = deeper,
            None => return Unreachable::Other(cause.to_string()),
        }
    }
}

fn named(cause: &(dyn Error + 'static)) -> Option<Unreachable> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(Unreachable::Tls(error.to_string()));
    }
    match cause.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::ConnectionRefused => Some(Unreachable::Refused),
        io::ErrorKind::TimedOut => Some(Unreachable::TimedOut),
        _ => None,
    }
}

/// What an error comes from. What an error of IO holds is none of its sources.
fn below<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => cause.source(),
    }
}
