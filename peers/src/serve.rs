//! The internal listener: HTTP/2 for other nodes, HTTP/1.1 for probes and people, with or without TLS.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::guard::VerifiedPeer;

/// How long to wait before taking connections again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of a request's head.
const HEAD_LEN_MAX: usize = 64 * 1_024;
/// Most requests at once over one connection. A peer has one, so this is what one peer may ask at once.
const STREAMS_MAX: u32 = 4_096;
/// Requests taken back before they were looked at, over one connection. A node that was paused finds as many when it
/// wakes; callers are our own, so that it is no attack.
const TAKEN_BACK_MAX: usize = 4_096;
/// How often a connection of another node is pinged, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What bounds the listener.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Certificates; `None`: no TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Most connections at once; more wait to be taken.
    pub connections_max: usize,
    /// How long a caller may take from connecting to its first request, and over the head of each.
    pub head_timeout: Duration,
    /// How long accepted requests may take to finish after the stop.
    pub drain_max: Duration,
}

impl ServeOptions {
    /// Bounds for a listener that only nodes, probes and metrics reach.
    pub fn new(tls: Option<Arc<ServerConfig>>) -> Self {
        let (head_timeout, drain_max) = (Duration::from_secs(15), Duration::from_secs(10));
        Self { tls, connections_max: 1_024, head_timeout, drain_max }
    }
}

/// Answers until `stop` turns true, then finishes what was accepted, for at most `drain_max`. False when that was not
/// enough.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    mut stop: watch::Receiver<bool>,
) -> bool {
    let permits = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = asked_to_stop(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve_connection(stream, router.clone(), options.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "failed to take a connection on the internal listener");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(options.drain_max, all_ended).await.is_ok()
}

async fn serve_connection(stream: TcpStream, router: Router, options: ServeOptions, stop: watch::Receiver<bool>) {
    // Somebody is on the telephone: no answer waits to be joined by another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set no-delay on a connection");
    }
    let heard = Arc::new(AtomicBool::new(false));
    let ended = tokio::select! {
        ended = answer(stream, router, &options, Arc::clone(&heard), stop) => ended,
        () = silence(&heard, options.head_timeout) => Err("no request came".into()),
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection on the internal listener ended early");
    }
}

/// Ends when nothing was heard in time. What tells the versions of HTTP apart, and the TLS handshake, would wait for ever.
async fn silence(heard: &AtomicBool, limit: Duration) {
    tokio::time::sleep(limit).await;
    if heard.load(Ordering::Relaxed) {
        pending().await
    }
}

async fn answer(
    stream: TcpStream,
    router: Router,
    options: &ServeOptions,
    heard: Arc<AtomicBool>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let Some(tls) = &options.tls else {
        return drive(stream, router, Caller { heard, verified: None }, options.head_timeout, stop).await;
    };
    let accepted = TlsAcceptor::from(Arc::clone(tls)).accept(stream).await;
    let stream = accepted.map_err(|error: io::Error| format!("the TLS handshake failed: {error}"))?;
    // Whoever shows a certificate has proved it by now: others were turned away during the handshake.
    let verified = stream.get_ref().1.peer_certificates().map(|_| VerifiedPeer { _sealed: () });
    drive(stream, router, Caller { heard, verified }, options.head_timeout, stop).await
}

/// What is known of whoever is at the other end.
struct Caller {
    heard: Arc<AtomicBool>,
    verified: Option<VerifiedPeer>,
}

async fn drive(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    caller: Caller,
    head_timeout: Duration,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let service = TowerToHyperService::new(router.map_request(move |request: Request<Incoming>| {
        caller.heard.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        if let Some(verified) = caller.verified {
            request.extensions_mut().insert(verified);
        }
        request
    }));
    let builder = builder(head_timeout);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = asked_to_stop(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| error.to_string())
}

fn builder(head_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head_timeout).max_buf_size(HEAD_LEN_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(TAKEN_BACK_MAX)
        .max_header_list_size(HEAD_LEN_MAX as u32);
    builder
}

/// Ends when the program is to stop, or nobody is left to say so.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
