//! The guarded client against names, redirects and bodies that mean no good.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod dns_server;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy, EgressRequest};
use futures::future::join_all;
use hickory_server::proto::rr::rdata::{A, SRV, TXT};
use hickory_server::proto::rr::{RData, RecordType};
use http::Method;
use http::header::{AUTHORIZATION, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use url::Url;

use crate::dns_server::DnsServer;

/// An HTTP server that answers each connection with fixed bytes; counts connections.
async fn server(answer: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    (address, connections)
}

fn plain(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn client(policy: EgressPolicy, dns: Option<SocketAddr>) -> EgressClient {
    client_within(policy, dns, Duration::from_secs(60))
}

/// One that waits for so long at most.
fn client_within(policy: EgressPolicy, dns: Option<SocketAddr>, most: Duration) -> EgressClient {
    let options = EgressOptions { dns, connect_timeout: most, total_timeout: most, ..EgressOptions::new(policy) };
    EgressClient::new(options).unwrap()
}

async fn get(client: &EgressClient, url: &str) -> Result<Vec<u8>, EgressError> {
    let request = EgressRequest::new(Method::GET, Url::parse(url).unwrap(), 1_000);
    client.send(request).await.map(|response| response.body)
}

fn address(text: &str) -> RData {
    RData::A(A(text.parse::<Ipv4Addr>().unwrap()))
}

/// A name that answers with an allowed address when it is looked at and with another when it is used gains nothing: what
/// was checked is what is connected to, each time.
#[tokio::test]
async fn a_name_whose_answer_changes_is_checked_at_each_connection() {
    let (web, connections) = server(plain("hello")).await;
    for inside in ["10.0.0.1", "169.254.169.254", "192.168.1.1", "100.100.100.200"] {
        let dns = DnsServer::new(move |name, kind, times| match (name, kind) {
            ("rebind.example.", RecordType::A) if times == 0 => vec![address("127.0.0.1")],
            ("rebind.example.", RecordType::A) => vec![address(inside)],
            _ => vec![],
        })
        .await;
        let client = client(EgressPolicy::development(), Some(dns.address));
        let url = format!("http://rebind.example:{}/", web.port());
        assert_eq!(get(&client, &url).await, Ok(b"hello".to_vec()), "{inside}");
        let seen = connections.load(Ordering::SeqCst);
        let second = get(&client, &url).await;
        assert!(matches!(second, Err(EgressError::AddressNotAllowed(_))), "{inside}: {second:?}");
        assert_eq!(connections.load(Ordering::SeqCst), seen, "{inside}");
    }
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_tried() {
    let (web, _) = server(plain("hello")).await;
    let dns = DnsServer::new(|name, kind, _| match (name, kind) {
        ("mixed.example.", RecordType::A) => vec![address("10.0.0.1"), address("127.0.0.1"), address("0.0.0.0")],
        ("inside.example.", RecordType::A) => vec![address("10.0.0.1"), address("192.168.0.1")],
        ("loop.example.", RecordType::A) => vec![address("127.0.0.1")],
        ("public.example.", RecordType::A) => vec![address("203.0.114.1")],
        _ => vec![],
    })
    .await;
    let development = client(EgressPolicy::development(), Some(dns.address));
    let url = |name: &str| format!("http://{name}.example:{}/", web.port());
    assert_eq!(get(&development, &url("mixed")).await, Ok(b"hello".to_vec()));
    let not_allowed = |answer: Result<Vec<u8>, EgressError>| matches!(answer, Err(EgressError::AddressNotAllowed(_)));
    assert!(not_allowed(get(&development, &url("inside")).await));
    assert!(not_allowed(get(&development, &url("public")).await), "plain http to a public address");
    let production = client(EgressPolicy { ports: vec![], ..EgressPolicy::production() }, Some(dns.address));
    assert!(not_allowed(get(&production, "https://loop.example/").await));
    assert!(not_allowed(get(&production, "https://inside.example/").await));
    let missing = get(&development, &url("missing")).await;
    assert!(matches!(missing, Err(EgressError::Connection(_))), "{missing:?}");
}

#[tokio::test]
async fn services_and_texts_of_a_domain_are_read() {
    let dns = DnsServer::new(|name, kind, _| match (name, kind) {
        ("_caldavs._tcp.example.com.", RecordType::SRV) => vec![
            RData::SRV(SRV::new(20, 0, 8443, "second.example.com.".parse().unwrap())),
            RData::SRV(SRV::new(10, 1, 443, "light.example.com.".parse().unwrap())),
            RData::SRV(SRV::new(10, 9, 443, "heavy.example.com.".parse().unwrap())),
        ],
        ("_caldavs._tcp.none.example.", RecordType::SRV) => vec![RData::SRV(SRV::new(0, 0, 0, ".".parse().unwrap()))],
        ("_caldavs._tcp.example.com.", RecordType::TXT) => vec![RData::TXT(TXT::new(vec!["path=/dav".to_owned()]))],
        _ => vec![],
    })
    .await;
    let client = client(EgressPolicy::production(), Some(dns.address));
    let hosts = |name: &'static str| async {
        let services = client.dns().services(name).await.unwrap();
        services.into_iter().map(|service| (service.host, service.port)).collect::<Vec<_>>()
    };
    let named = |host: &str, port| (format!("{host}.example.com"), port);
    let expected = [named("heavy", 443), named("light", 443), named("second", 8443)];
    assert_eq!(hosts("_caldavs._tcp.example.com").await, expected);
    assert_eq!(hosts("_caldavs._tcp.none.example").await, []);
    assert_eq!(hosts("_caldavs._tcp.other.example").await, []);
    assert_eq!(client.dns().texts("_caldavs._tcp.example.com").await, Ok(vec!["path=/dav".to_owned()]));
}

#[tokio::test]
async fn bodies_and_time_are_bounded() {
    let client = client(EgressPolicy::development(), None);
    let check = async |answer: Vec<u8>, expected: EgressError| {
        let (web, _) = server(answer).await;
        assert_eq!(get(&client, &format!("http://{web}/")).await, Err(expected));
    };
    let too_large = EgressError::BodyTooLarge { limit: 1_000 };
    check(plain(&"x".repeat(1_001)), too_large.clone()).await;
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
        "64\r\n".to_owned() + &"x".repeat(100) + "\r\n"
    );
    let endless = chunked.clone() + &("64\r\n".to_owned() + &"x".repeat(100) + "\r\n").repeat(20);
    check(endless.into_bytes(), too_large).await;
    let gzip = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc".to_vec();
    check(gzip, EgressError::Compressed).await;
    let (web, _) = server(plain(&"x".repeat(1_000))).await;
    assert_eq!(get(&client, &format!("http://{web}/")).await.map(|body| body.len()), Ok(1_000));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("http://{}/", silent.local_addr().unwrap());
    let impatient = client_within(EgressPolicy::development(), None, Duration::from_secs(1));
    assert_eq!(get(&impatient, &silent_url).await, Err(EgressError::TimedOut));
}

/// A server that answers so many requests at once, and keeps connections open; counts connections.
async fn patient_server(at_once: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(at_once)));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let together = Arc::clone(&together);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|len| len > 0) {
                    together.wait().await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn connections_are_used_again_as_many_as_are_kept() {
    const AT_ONCE: usize = 8;
    for (kept, expected) in [(AT_ONCE, AT_ONCE), (2, AT_ONCE + 2 * (AT_ONCE - 2))] {
        let (web, connections) = patient_server(AT_ONCE).await;
        let options = EgressOptions { idle_per_host_max: kept, ..EgressOptions::new(EgressPolicy::development()) };
        let (client, url) = (EgressClient::new(options).unwrap(), format!("http://{web}/"));
        for _ in 0..3 {
            let answers = join_all((0..AT_ONCE).map(|_| get(&client, &url))).await;
            assert_eq!(answers, vec![Ok(b"ok".to_vec()); AT_ONCE]);
            // What was used goes back by tasks of its own.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{kept} are kept");
    }
}

#[tokio::test]
async fn credentials_in_a_url_are_refused() {
    let (web, connections) = server(plain("hello")).await;
    let client = client(EgressPolicy::development(), None);
    let answer = get(&client, &format!("http://alice:secret@{web}/")).await;
    assert!(matches!(answer, Err(EgressError::Invalid(_))), "{answer:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_to_another_port_or_scheme_is_refused() {
    let (elsewhere, reached) = server(plain("secret seen")).await;
    let client = client(EgressPolicy::development(), None);
    for location in [format!("http://{elsewhere}/"), format!("https://{elsewhere}/"), "file:///etc/passwd".to_owned()] {
        let redirect = format!("HTTP/1.1 301 Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let (web, _) = server(redirect.into_bytes()).await;
        let request = EgressRequest::new(Method::GET, Url::parse(&format!("http://{web}/")).unwrap(), 1_000)
            .header(AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let answer = client.send(request).await;
        assert!(matches!(answer, Err(EgressError::RedirectRefused(_))), "{location}: {answer:?}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}
