//! What endpoints do to the sender: answer, redirect, say too much, say nothing. It hears a kilobyte and goes nowhere else.

#[path = "../../../providers/egress/tests/guard/dns_server.rs"]
mod dns_server;

use std::net::{Ipv4Addr, SocketAddr};

use agentcal_delivery_webhooks::{ANSWER_LEN_MAX, HttpWebhookSender, WebhookSenderOptions};
use agentcal_engine::ids::{AccountId, DeliveryId};
use agentcal_engine::ports::{OutboundWebhook, Told, WebhookAnswer, WebhookSender};
use agentcal_engine::time::Timestamp;
use agentcal_provider_egress::EgressPolicy;
use hickory_server::proto::rr::rdata::A;
use hickory_server::proto::rr::{RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::dns_server::DnsServer;

fn sender(policy: EgressPolicy) -> HttpWebhookSender {
    HttpWebhookSender::new(WebhookSenderOptions { policy, dns: None }).expect("a sender")
}

fn message(address: SocketAddr) -> OutboundWebhook {
    OutboundWebhook {
        url: format!("http://{address}/hook?a=b"),
        id: DeliveryId::from_uuid(Uuid::from_u128(1)),
        timestamp: Timestamp::from_seconds(1_795_420_800),
        told: Told::new(AccountId::from_uuid(Uuid::nil()), Timestamp::from_seconds(1_795_420_800), None).into(),
        secrets: [b"0123456789abcdef01234567".to_vec().into(), b"another-secret-of-24-byte".to_vec().into()].into(),
    }
}

/// Answers one request with these bytes, then with more of the last one for as long as anybody listens, if asked to. Returns
/// the request.
async fn endpoint(answer: Vec<u8>, without_end: bool) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a spare port");
    let address = listener.local_addr().expect("it listens");
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody comes");
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut some = [0; 4_096];
            let count = stream.read(&mut some).await.expect("a request");
            request.extend_from_slice(&some[..count]);
        }
        stream.write_all(&answer).await.expect("it is heard");
        while without_end && stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
        String::from_utf8(request).expect("text")
    });
    (address, heard)
}

async fn ask(answer: &str, without_end: bool) -> (Result<WebhookAnswer, String>, String) {
    let (address, heard) = endpoint(answer.as_bytes().to_vec(), without_end).await;
    let said = sender(EgressPolicy::development()).send(message(address)).await;
    (said, heard.await.expect("it ends"))
}

#[tokio::test]
async fn a_message_is_signed_with_every_secret() {
    let (said, request) = ask("HTTP/1.1 204 No Content\r\n\r\n", false).await;
    assert_eq!(said, Ok(WebhookAnswer { status: 204, retry_after: None, answer: String::new() }));
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    for header in [
        "content-type: application/json",
        "webhook-id: msg_00000000000000000000000001",
        "webhook-timestamp: 1795420800",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
    let signature = request.lines().find_map(|line| line.strip_prefix("webhook-signature: ")).expect("a signature");
    assert_eq!(signature.split(' ').filter(|one| one.starts_with("v1,")).count(), 2, "{signature}");
    assert!(request.ends_with(r#"{"type":"webhook.test","timestamp":"2026-11-23T08:00:00+00:00","data":{}}"#));
}

#[tokio::test]
async fn whatever_is_answered_is_bounded() {
    let check = async |answer: &str, without_end, status: u16, retry_after: Option<u64>, heard: &str| {
        let (said, _) = ask(answer, without_end).await;
        let retry_after = retry_after.map(std::time::Duration::from_secs);
        assert_eq!(said, Ok(WebhookAnswer { status, retry_after, answer: heard.to_owned() }), "{answer}");
    };
    check("HTTP/1.1 503 No\r\nretry-after: 120\r\ncontent-length: 4\r\n\r\nbusy", false, 503, Some(120), "busy").await;
    check("HTTP/1.1 503 No\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n", false, 503, None, "").await;
    // Nobody listens there: following it would be an error.
    check("HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n", false, 307, None, "").await;
    let kilobyte = "x".repeat(ANSWER_LEN_MAX);
    check("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n", true, 200, None, &kilobyte).await;
    check("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true, 200, None, &kilobyte).await;
}

#[tokio::test]
async fn what_is_no_answer_is_said_without_naming_anybody() {
    let (said, _) = ask("SSH-2.0-OpenSSH_9.2\r\n", false).await;
    let error = said.expect_err("no answer");
    assert!(error.starts_with("connection failed: ") && !error.contains("127.0.0.1"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a spare port");
    let address = listener.local_addr().expect("it listens");
    let refused = sender(EgressPolicy::production()).send(message(address)).await;
    assert_eq!(refused, Err("the address must begin with https://".to_owned()));
}

/// A name that meant a good address when it was looked at, and another when a message is sent, gains nothing: what is
/// connected to is what was judged, each time anew.
#[tokio::test]
async fn a_name_that_means_another_address_by_now_is_not_sent_to() {
    for inside in [[10, 0, 0, 1], [169, 254, 169, 254], [192, 168, 1, 1], [100, 64, 0, 1]] {
        let (address, heard) = endpoint(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec(), false).await;
        let dns = DnsServer::new(move |_, kind, times| match kind {
            RecordType::A if times == 0 => vec![RData::A(A(Ipv4Addr::LOCALHOST))],
            RecordType::A => vec![RData::A(A(inside.into()))],
            _ => vec![],
        })
        .await;
        let options = WebhookSenderOptions { policy: EgressPolicy::development(), dns: Some(dns.address) };
        let sender = HttpWebhookSender::new(options).expect("a sender");
        let message =
            OutboundWebhook { url: format!("http://rebind.example:{}/hook", address.port()), ..message(address) };
        assert_eq!(sender.check_url(&message.url), Ok(()));
        let first = sender.send(message.clone()).await;
        assert_eq!(first.map(|answer| answer.status), Ok(204));
        heard.await.expect("it was heard");
        let refused = sender.send(message).await.expect_err("the name means another address now");
        assert!(refused.starts_with("it leads "), "{inside:?}: {refused}");
    }
}

#[test]
fn addresses_are_judged_when_they_are_given() {
    let development = sender(EgressPolicy::development());
    let production = sender(EgressPolicy { ports: vec![443, 8_443], ..EgressPolicy::production() });
    let check = |sender: &HttpWebhookSender, url: &str, is_good: bool| {
        let judged = sender.check_url(url);
        assert_eq!(judged.is_ok(), is_good, "{url}: {judged:?}");
    };
    for url in ["https://example.com/hook", "https://example.com:8443/?key=1"] {
        check(&production, url, true);
        check(&development, url, true);
    }
    check(&development, "http://127.0.0.1:3000/hook", true);
    for url in [
        "",
        "example.com",
        "http://example.com/",
        "http://127.0.0.1:3000/hook",
        "https://localhost:3000/",
        "https://example.com:22/",
        "https://sarah:secret@example.com/",
        "https://example.com/#part",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://100.64.0.1/",
        "ftp://example.com/",
    ] {
        check(&production, url, false);
    }
    check(&production, &format!("https://example.com/{}", "x".repeat(2_048)), false);
}
