//! Mails that were kept: listed, shown apart from everything else, and only to this machine.

use std::sync::Arc;

use agentcal_engine::ports::{MailShelf, ShelvedMail, StoreError};
use agentcal_web::outbox_router;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use tower::ServiceExt;

use crate::support::{START, assert_is_guarded, assert_is_whole};

/// Two mails; the second means no good.
struct TwoMails;

fn mails() -> [ShelvedMail; 2] {
    let plain = ShelvedMail {
        name: "0000000001-0123456789abcdef".to_owned(),
        at: START,
        to: vec!["ada@example.com".to_owned(), "ben@example.com".to_owned()],
        subject: "Confirmed: Check-up".to_owned(),
        text: "Dear Ada,\n\nsee you.".to_owned(),
        html: "<p style=\"color:red\">see you</p>".to_owned(),
        invitation: Some("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n".to_owned()),
    };
    let evil = ShelvedMail {
        name: "0000000002-0123456789abcdef".to_owned(),
        subject: "</title><script>alert(1)</script>".to_owned(),
        to: vec!["\"><script>@example.com".to_owned()],
        text: "</pre><script>alert(2)</script>".to_owned(),
        html: "<script>alert(3)</script>".to_owned(),
        invitation: None,
        ..plain.clone()
    };
    [evil, plain]
}

#[async_trait]
impl MailShelf for TwoMails {
    async fn list(&self, limit: usize) -> Result<Vec<ShelvedMail>, StoreError> {
        Ok(mails().into_iter().take(limit).collect())
    }

    async fn read(&self, name: &str) -> Result<Option<(ShelvedMail, Vec<u8>)>, StoreError> {
        let found = mails().into_iter().find(|mail| mail.name == name);
        Ok(found.map(|mail| (mail, b"Subject: raw\r\n\r\n\xff".to_vec())))
    }
}

/// A folder that is gone.
struct Gone;

#[async_trait]
impl MailShelf for Gone {
    async fn list(&self, _: usize) -> Result<Vec<ShelvedMail>, StoreError> {
        Err(StoreError::Unavailable("gone".into()))
    }

    async fn read(&self, _: &str) -> Result<Option<(ShelvedMail, Vec<u8>)>, StoreError> {
        Err(StoreError::Unavailable("gone".into()))
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).replace("&#x2f;", "/")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(router: Router, method: Method, path: &str, host: Option<&str>) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = host.into_iter().fold(request, |request, host| request.header("host", host));
    let (parts, body) = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    assert_is_guarded(&parts.headers);
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(path: &str) -> Answer {
    ask(outbox_router(Arc::new(TwoMails)), Method::GET, path, Some("127.0.0.1:8080")).await
}

#[tokio::test]
async fn mails_are_listed_and_shown() {
    let [evil, plain] = mails();
    let list = get("/outbox").await;
    assert_is_whole(&list.headers, &list.text());
    for said in ["Confirmed: Check-up", "ada@example.com, ben@example.com", "Monday, 23 November 2026, 07:00 UTC"] {
        assert!(list.text().contains(said), "{said} in {}", list.text());
    }
    let (first, second) = (list.text().find(&evil.name), list.text().find(&plain.name));
    assert!(first.is_some() && first < second);

    let shown = get(&format!("/outbox/{}", plain.name)).await;
    assert_is_whole(&shown.headers, &shown.text());
    let frame = format!("<iframe src=\"/outbox/{}/page\"", plain.name);
    for said in ["<h1>Confirmed: Check-up</h1>", "Dear Ada,\n\nsee you.", "METHOD:REQUEST\nEND", &frame, " sandbox=\""]
    {
        assert!(shown.text().contains(said), "{said} in {}", shown.text());
    }
    assert!(!shown.text().contains("color:red") && !shown.text().contains("allow-scripts"));
    assert!(shown.header("content-security-policy").ends_with("; frame-src 'self'"));
    assert!(!list.header("content-security-policy").contains("frame-src"));
    let without = get(&format!("/outbox/{}", evil.name)).await;
    assert!(!without.text().contains("Invitation"));
}

#[tokio::test]
async fn the_page_of_a_mail_can_do_nothing() {
    let [evil, plain] = mails();
    let framed = get(&format!("/outbox/{}/page", plain.name)).await;
    assert_eq!((framed.status, framed.body.as_slice()), (200, plain.html.as_bytes()));
    let policy = framed.header("content-security-policy");
    assert!(policy.starts_with("sandbox ") && policy.contains("; default-src 'none';"), "{policy}");
    assert!(!policy.contains("allow-scripts") && !policy.contains("allow-same-origin"), "{policy}");
    assert!(!policy.contains("script-src") && policy.contains("form-action 'none'"), "{policy}");
    for path in ["/outbox".to_owned(), format!("/outbox/{}", evil.name)] {
        let text = get(&path).await.text();
        assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
    }
}

#[tokio::test]
async fn the_file_is_what_a_server_would_have_taken() {
    let [_, plain] = mails();
    let raw = get(&format!("/outbox/{}/raw", plain.name)).await;
    assert_eq!(raw.body, b"Subject: raw\r\n\r\n\xff");
    assert_eq!(raw.header("content-type"), "message/rfc822");
    assert_eq!(raw.header("content-disposition"), "attachment; filename=\"0000000001-0123456789abcdef.eml\"");
    assert_eq!(raw.header("content-security-policy"), "sandbox; default-src 'none'");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    for path in ["/outbox/x", "/outbox/%ff", "/outbox/..%2fkeyring/raw", "/outbox/x/page"] {
        let answer = get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("There is no such mail"), "{path}");
    }
    let gone = ask(outbox_router(Arc::new(Gone)), Method::GET, "/outbox", Some("localhost")).await;
    assert!(gone.status == 500 && gone.text().contains("cannot be read"), "{}", gone.text());
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        let answer = ask(outbox_router(Arc::new(TwoMails)), method, "/outbox", Some("localhost")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    }
}

/// A name of somebody else's that was made to mean this machine is still somebody else's.
#[tokio::test]
async fn the_outbox_is_for_this_machine() {
    let [_, plain] = mails();
    for tail in
        [String::new(), format!("/{}", plain.name), format!("/{}/page", plain.name), format!("/{}/raw", plain.name)]
    {
        for (host, status) in [
            (Some("localhost:8080"), 200),
            (Some("[::1]:8080"), 200),
            (Some("192.168.1.7"), 200),
            (Some("evil.example:8080"), 421),
            (Some("127.0.0.1.evil.example"), 421),
            (Some(""), 421),
            (None, 421),
        ] {
            let answer = ask(outbox_router(Arc::new(TwoMails)), Method::GET, &format!("/outbox{tail}"), host).await;
            assert_eq!(answer.status, status, "{tail} {host:?}");
        }
    }
}
