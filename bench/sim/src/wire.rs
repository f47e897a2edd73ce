//! How nodes are reached: HTTP over the simulated network, one connection for each request.

use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;

use crate::node::{PORT, name_of};

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

/// Sends a request to a node; `None`: no whole answer came, and nobody knows what was done.
pub(crate) async fn send(node: usize, bearer: &str, ask: &Ask) -> Option<Reply> {
    timeout(ask.patience, exchange(name_of(node), bearer, ask)).await.ok()?.ok()
}

/// Why no answer came.
pub(crate) type Lost = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request and waits for the head of its answer; the rest comes as long as the connection is kept.
pub(crate) async fn knock(
    (host, port): (&str, u16),
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, Connected), Lost> {
    let stream = turmoil::net::TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connected = Connected(tokio::spawn(connection));
    let response = sender.send_request(request).await?;
    Ok((response, connected))
}

async fn exchange(host: &str, bearer: &str, ask: &Ask) -> Result<Reply, Lost> {
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(&ask.path)
        .header("host", host)
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
    let (response, connected) = knock((host, PORT), request.body(Full::new(body))?).await?;
    let status = response.status().as_u16();
    let is_replayed = response.headers().contains_key("idempotent-replayed");
    let bytes = response.into_body().collect().await?.to_bytes();
    drop(connected);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply { status, is_replayed, text, body })
}

/// A connection. Whoever stops waiting hangs up.
pub(crate) struct Connected(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.abort();
    }
}
