//! How clients reach the node: HTTP over the simulated network, one connection for each request.

use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use crate::node::PORT;

/// The name of the node's host.
pub(crate) const NODE: &str = "node";

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) key: Option<String>,
    /// How long the client waits.
    pub(crate) patience: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) is_replayed: bool,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// Sends a request; `None`: no whole answer came, and nobody knows what was done.
pub(crate) async fn send(bearer: &str, ask: &Ask) -> Option<Reply> {
    timeout(ask.patience, exchange(bearer, ask)).await.ok()?.ok()
}

type Lost = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(bearer: &str, ask: &Ask) -> Result<Reply, Lost> {
    let stream = turmoil::net::TcpStream::connect((NODE, PORT)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = Aborting(tokio::spawn(connection));
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(&ask.path)
        .header("host", NODE)
        .header("authorization", format!("Bearer {bearer}"));
    if let Some(key) = &ask.key {
        request = request.header("idempotency-key", key);
    }
    let body = match &ask.body {
        Some(body) => {
            request = request.header("content-type", "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status().as_u16();
    let is_replayed = response.headers().contains_key("idempotent-replayed");
    let bytes = response.into_body().collect().await?.to_bytes();
    drop(connection);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply { status, is_replayed, text, body })
}

/// A client that stops waiting hangs up.
struct Aborting<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
