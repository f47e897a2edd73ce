//! Listening: bounded in connections, in the patience for slow callers, and in the time a stop may take.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Most connections at once; more wait to be taken.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a caller may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pings on an HTTP/2 connection, and for the answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// How long to wait before taking connections again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long accepted requests may take to finish once the program is to stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A listening socket. Taken before there is anything to answer with, because answers carry its address.
pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    /// Takes the address; callers wait until [`Server::run`].
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens; the port the system chose, where 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` turns true, then finishes what was accepted, for at most [`DRAIN_MAX`]. False when that was not
    /// enough.
    pub(crate) async fn run(self, router: Router, mut stop: watch::Receiver<bool>) -> bool {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = asked_to_stop(&mut stop) => break,
                Some(_) = connections.join_next() => continue,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, router.clone(), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        tokio::time::timeout(DRAIN_MAX, all_ended).await.is_ok()
    }
}

async fn serve_connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are small and somebody is on the telephone: none waits to be joined by another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set no-delay on a connection");
    }
    let service = TowerToHyperService::new(router.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let builder = builder();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = asked_to_stop(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX);
    builder
}

/// Ends when the program is to stop, or nobody is left to say so.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Turns true when the process is asked to end, by SIGTERM or from the keyboard.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = std::future::pending::<Option<()>>();
        tokio::select! {
            _ = terminated => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "interrupt",
        }
    })
}
