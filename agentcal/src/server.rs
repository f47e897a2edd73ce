//! Listening: bounded in connections, in the patience for slow callers, and in the time a stop may take.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// How long to wait before taking connections again when the system has no more to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What bounds a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most connections at once; more wait to be taken.
    pub(crate) connections_max: usize,
    /// How long a caller may take over a request's head, and how long a connection may be idle between two. Longer than
    /// the minute for which proxies commonly keep theirs, so that it is them who close, and no request meets a closing door.
    pub(crate) head_timeout: Duration,
    /// Most bytes of a request's head.
    pub(crate) head_len_max: usize,
    /// How long accepted requests may take to finish once the program is to stop.
    pub(crate) drain_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            head_timeout: Duration::from_secs(75),
            head_len_max: 64 * 1_024,
            drain_max: Duration::from_secs(10),
        }
    }
}

/// How far a listener is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Takes connections, and keeps them.
    Open,
    /// Takes them still, and says with each answer that it was its connection's last: whoever is in front comes to know,
    /// and finds others meanwhile. What is idle is left open, since its next request may be on its way.
    Leaving,
    /// Takes none; what was accepted is finished.
    Closed,
}

/// A listening socket. Taken before there is anything to answer with, because answers carry its address.
pub(crate) struct Server {
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    /// Takes the address; callers wait until [`Server::run`].
    pub(crate) async fn bind(address: SocketAddr, limits: Limits) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, limits })
    }

    /// Where it listens; the port the system chose, where 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the stage is [`Stage::Closed`], then finishes what was accepted, for at most `drain_max`. False when that
    /// was not enough.
    pub(crate) async fn run(self, router: Router, mut stage: watch::Receiver<Stage>) -> bool {
        let permits = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut connections = JoinSet::new();
        loop {
            let accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = closed(&mut stage) => break,
                Some(_) = connections.join_next() => continue,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, router.clone(), self.limits, stage.clone());
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
        tokio::time::timeout(self.limits.drain_max, all_ended).await.is_ok()
    }
}

async fn serve_connection(stream: TcpStream, router: Router, limits: Limits, mut stage: watch::Receiver<Stage>) {
    // Answers are small and somebody is on the telephone: none waits to be joined by another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set no-delay on a connection");
    }
    let answering = stage.clone();
    let service = router
        .map_request(|request: Request<Incoming>| request.map(Body::new))
        .map_response(move |response| if *answering.borrow() == Stage::Open { response } else { last(response) });
    let service = TowerToHyperService::new(service);
    // HTTP/1.1 alone: what tells the versions apart would wait for a silent caller for ever.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_len_max)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed(&mut stage) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// An answer after which its connection ends.
fn last(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Ends when nothing is to be accepted any more, or nobody is left to say so.
async fn closed(stage: &mut watch::Receiver<Stage>) {
    drop(stage.wait_for(|stage| *stage == Stage::Closed).await);
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: test\r\n\r\n";

    /// A server with one slow route, which says when it was entered and waits until it may go on.
    struct Bed {
        address: SocketAddr,
        entered: Arc<Notify>,
        go_on: Arc<Notify>,
        stage: watch::Sender<Stage>,
        ended: JoinHandle<bool>,
    }

    async fn bed(limits: Limits) -> Bed {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (enter, wait) = (Arc::clone(&entered), Arc::clone(&go_on));
        let slow = || async move {
            enter.notify_one();
            wait.notified().await;
            "done"
        };
        let router = Router::new().route("/slow", get(slow));
        let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits).await.expect("a free port");
        let address = server.address().expect("an address");
        let (stage, staged) = watch::channel(Stage::Open);
        Bed { address, entered, go_on, stage, ended: tokio::spawn(server.run(router, staged)) }
    }

    impl Bed {
        async fn ask(&self) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("a connection");
            stream.write_all(REQUEST).await.expect("a request");
            stream
        }
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(LONG, stream.read_to_string(&mut text)).await;
        read.expect("the connection ends").expect("text");
        text
    }

    #[tokio::test]
    async fn what_was_accepted_is_finished() {
        let bed = bed(Limits { drain_max: LONG, ..Limits::default() }).await;
        let stream = bed.ask().await;
        bed.entered.notified().await;
        bed.stage.send_replace(Stage::Closed);
        bed.go_on.notify_one();
        assert!(answer(stream).await.ends_with("done"));
        assert!(bed.ended.await.expect("no panic"), "everything was finished");
        assert!(TcpStream::connect(bed.address).await.is_err(), "nobody listens any more");
    }

    /// Who leaves answers everybody, those who were there and those who come, once more.
    #[tokio::test]
    async fn who_leaves_answers_and_lets_go() {
        let bed = bed(Limits { drain_max: LONG, ..Limits::default() }).await;
        let mut kept = bed.ask().await;
        bed.go_on.notify_one();
        let mut first = Vec::new();
        while !first.ends_with(b"done") {
            let read = tokio::time::timeout(LONG, kept.read_buf(&mut first)).await;
            assert_ne!(read.expect("an answer").expect("bytes"), 0, "the connection is kept");
        }
        assert!(!String::from_utf8_lossy(&first).contains("connection: close"));
        bed.stage.send_replace(Stage::Leaving);
        kept.write_all(REQUEST).await.expect("a second request");
        for stream in [kept, bed.ask().await] {
            bed.go_on.notify_one();
            let said = answer(stream).await;
            assert!(said.contains("connection: close") && said.ends_with("done"), "{said}");
        }
        bed.stage.send_replace(Stage::Closed);
        assert!(bed.ended.await.expect("no panic"));
        assert!(TcpStream::connect(bed.address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_ever() {
        let bed = bed(Limits { drain_max: Duration::from_millis(50), ..Limits::default() }).await;
        let stream = bed.ask().await;
        bed.entered.notified().await;
        bed.stage.send_replace(Stage::Closed);
        assert!(!bed.ended.await.expect("no panic"), "something was cut off, and that is said");
        assert_eq!(answer(stream).await, "");
    }

    #[tokio::test]
    async fn a_silent_caller_is_let_go() {
        let bed = bed(Limits { head_timeout: Duration::from_millis(50), ..Limits::default() }).await;
        for begun in [&b""[..], b"P", b"GET /slow HTTP/1.1\r\nhost: te"] {
            let mut stream = TcpStream::connect(bed.address).await.expect("a connection");
            stream.write_all(begun).await.expect("the beginning of a request");
            let said = answer(stream).await;
            assert!(!said.contains("200 OK"), "{said}");
        }
    }

    #[tokio::test]
    async fn connections_over_the_limit_wait_their_turn() {
        let bed = bed(Limits { connections_max: 1, ..Limits::default() }).await;
        let first = bed.ask().await;
        bed.entered.notified().await;
        let second = bed.ask().await;
        // The second one is not entered as long as the first one lasts.
        let entered = tokio::time::timeout(Duration::from_millis(50), bed.entered.notified()).await;
        assert!(entered.is_err());
        drop(first);
        bed.entered.notified().await;
        bed.go_on.notify_waiters();
        drop(second);
    }
}
