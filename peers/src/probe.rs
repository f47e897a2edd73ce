//! Whether another node can be asked anything, and what stands in the way.

use std::error::Error;
use std::io;
use std::time::Duration;

use agentcal_engine::ports::NodeRecord;
use agentcal_engine::shard::NodeId;
use http::StatusCode;
use http::header::AUTHORIZATION;
use reqwest::{RequestBuilder, Url};
use tokio::time::timeout;

use crate::client::HttpPeers;
use crate::exchange::read_whole;
use crate::picture::Answering;
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
    /// It answers, and does not say who it is.
    #[error("it does not say which node it is: another version, or no node ({0})")]
    Nameless(String),
    /// Somebody else answers there: two nodes have the same address, or one that only its own machine knows.
    #[error(
        "another node answers at that address: AGENTCAL_NODE_URL must be each node's own; if one was just started again \
         there, this ends with the lease of the one before"
    )]
    Another,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl HttpPeers {
    /// Asks a node for what all nodes show each other and nobody else, and looks whether it is that node that answers.
    ///
    /// # Errors
    /// When that is not to be had within this time, or is somebody else's.
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
        let answered = timeout(within, self.answering(request)).await.map_err(|_elapsed| Unreachable::TimedOut)??;
        if answered == node.id { Ok(()) } else { Err(Unreachable::Another) }
    }

    /// Who answers.
    async fn answering(&self, request: RequestBuilder) -> Result<NodeId, Unreachable> {
        let answer = request.send().await.map_err(|error| reason(&error))?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => return Err(Unreachable::Unknown),
            status if !status.is_success() => return Err(Unreachable::Status(status.as_u16())),
            _ => {}
        }
        let body = read_whole(answer, self.answer_len_max()).await.map_err(Unreachable::Other)?;
        let answering: Answering =
            serde_json::from_slice(&body).map_err(|error| Unreachable::Nameless(error.to_string()))?;
        Ok(answering.node_id)
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
