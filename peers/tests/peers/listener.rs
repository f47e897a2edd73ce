//! The listener itself: versions, silent callers, and the end.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::Peers;
use agentcal_peers::ServeOptions;
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::bed::{Bed, Behaviour, LONG, Listener, soon, until};
use crate::samples::{release, released};
use crate::tls::Authority;

async fn all_it_says(mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    drop(soon(stream.read_to_end(&mut said)).await);
    said
}

#[tokio::test]
async fn people_and_probes_speak_http_1() {
    let routes = Router::new().route("/healthz", get(|| async { "well" }));
    let listener = Listener::start(routes, ServeOptions::new(None)).await;
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    let said = String::from_utf8(all_it_says(stream).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("well"), "{said}");
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let tls = Authority::new().tls(&["127.0.0.1"]);
    for tls in [None, Some(tls.server())] {
        let options = ServeOptions { head_timeout: Duration::from_millis(50), ..ServeOptions::new(tls) };
        let listener = Listener::start(Router::new(), options).await;
        for begun in
            [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nho"]
        {
            let mut stream = TcpStream::connect(listener.address).await.unwrap();
            stream.write_all(begun).await.unwrap();
            let said = all_it_says(stream).await;
            assert!(!String::from_utf8_lossy(&said).contains("200 OK"), "{begun:?}");
        }
    }
}

#[tokio::test]
async fn what_was_taken_in_is_answered_before_the_end() {
    let permits = Arc::new(Semaphore::new(0));
    let bed = Bed::with(Behaviour::Waits(Arc::clone(&permits), released())).await;
    let (peers, node) = (Arc::clone(&bed.peers), bed.node.clone());
    let under_way = tokio::spawn(async move { peers.commit(&node, &release(LONG), LONG).await });
    until("it is at work", || bed.owner.commit_count() == 1).await;
    bed.listener.stop.send_replace(true);
    until("nobody listens any more", || std::net::TcpStream::connect(bed.listener.address).is_err()).await;
    permits.add_permits(1);
    assert_eq!(soon(under_way).await.unwrap(), Ok(released()));
    assert!(soon(bed.listener.ended).await.unwrap(), "everything was finished");
    let heard = bed.peers.commit(&bed.node, &release(LONG), LONG).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let (entered, enter) = tokio::sync::watch::channel(());
    drop(enter);
    let entered = Arc::new(entered);
    let seen = Arc::clone(&entered);
    let routes = Router::new().route(
        "/",
        get(move || async move {
            let _inside = seen.subscribe();
            std::future::pending::<()>().await
        }),
    );
    let options = ServeOptions { drain_max: Duration::from_millis(50), ..ServeOptions::new(None) };
    let listener = Listener::start(routes, options).await;
    let mut stream = TcpStream::connect(listener.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    until("it is at work", || entered.receiver_count() == 1).await;
    listener.stop.send_replace(true);
    assert!(!soon(listener.ended).await.unwrap(), "something was cut off, and that is said");
    assert_eq!(all_it_says(stream).await, b"");
}
