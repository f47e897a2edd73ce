//! Where the provider goes, and where it does not; and how it copes with servers that misbehave.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::ports::{Credentials, Provider, ProviderError, SyncCursor, SyncMode};
use agentcal_provider_caldav::{CaldavOptions, CaldavProvider};
use agentcal_provider_egress::EgressPolicy;
use agentcal_testkit::{PASSWORD, ServerKind, USERNAME};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::{Router, serve};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use tokio::net::TcpListener;

use crate::support::{Bench, basic, booking_write, calendar, range, resource, sync, window};

/// A server that answers as a function says, and counts requests.
pub(crate) struct Fake {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    credentials_seen: Arc<AtomicUsize>,
}

impl Fake {
    pub(crate) async fn new<F>(answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, credentials_seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, with_credentials) = (Arc::clone(&requests), Arc::clone(&credentials_seen));
        let router = Router::new().fallback(move |request: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            with_credentials.fetch_add(usize::from(request.headers().contains_key(AUTHORIZATION)), Ordering::Relaxed);
            answer(request)
        });
        tokio::spawn(async move { serve(listener, router).await });
        Self { address, requests, credentials_seen }
    }

    async fn answering(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Self {
        Self::new(move |_| async move { response(status, headers, body) }).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

pub(crate) fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status.try_into().unwrap();
    for &(name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    response
}

pub(crate) fn provider() -> CaldavProvider {
    CaldavProvider::new(CaldavOptions::development()).unwrap()
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = Fake::answering(207, &[], "").await;
    let target = elsewhere.url();
    let first = Fake::new(move |_| {
        let target = target.clone();
        async move { response(302, &[("location", &target)], "") }
    })
    .await;
    let answer = provider().discover(&basic(&first.url(), "alice", "secret")).await;
    let Err(ProviderError::Refused(reason)) = answer else { panic!("{answer:?}") };
    assert!(reason.contains(&elsewhere.url().trim_end_matches('/').to_owned()), "{reason}");
    assert_eq!(elsewhere.requests.load(Ordering::Relaxed), 0);
    assert!(first.credentials_seen.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn redirects_on_one_host_are_followed_but_not_for_ever() {
    let Some(bench) = Bench::new(ServerKind::Radicale).await else { return };
    let server = bench.server.address();
    let proxy = Fake::new(move |request| async move {
        match request.uri().path() {
            "/start" => response(301, &[("location", "/")], ""),
            "/round" => response(307, &[("location", "/round")], ""),
            _ => forward(server, request, None).await,
        }
    })
    .await;
    let found = bench.provider.discover(&basic(&format!("{}start", proxy.url()), USERNAME, PASSWORD)).await.unwrap();
    assert_eq!(found.calendars.len(), 1);
    let before = proxy.requests.load(Ordering::Relaxed);
    let round = calendar(&format!("{}round", proxy.url()), basic(&proxy.url(), USERNAME, PASSWORD));
    let answer = sync(&bench.provider, &round, SyncMode::Full, window()).await;
    assert!(matches!(answer, Err(ProviderError::Refused(_))), "{answer:?}");
    assert!(proxy.requests.load(Ordering::Relaxed) - before <= 6);
}

#[tokio::test]
async fn a_bearer_token_opens_calendars() {
    let Some(bench) = Bench::new(ServerKind::Radicale).await else { return };
    let server = bench.server.address();
    let proxy = Fake::new(move |request| async move {
        if request.headers().get(AUTHORIZATION) == Some(&HeaderValue::from_static("Bearer good-token")) {
            let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{USERNAME}:{PASSWORD}")));
            forward(server, request, Some(basic)).await
        } else {
            response(401, &[("www-authenticate", "Bearer")], "")
        }
    })
    .await;
    let bearer = |token: &str| Credentials::CaldavBearer { server_url: proxy.url(), token: token.to_owned() };
    let found = bench.provider.discover(&bearer("good-token")).await.unwrap();
    let work = calendar(&found.calendars[0].provider_calendar_id, bearer("good-token"));
    let booking = booking_write(7, range("20261012T080000Z", "20261012T083000Z"));
    bench.provider.write_event(&work, &booking).await.unwrap();
    assert_eq!(sync(&bench.provider, &work, SyncMode::Full, window()).await.unwrap().changes.len(), 1);
    let refused = bench.provider.discover(&bearer("bad-token")).await;
    assert!(matches!(refused, Err(ProviderError::Unauthorized(_))), "{refused:?}");
}

/// Passes a request on, as a reverse proxy would.
async fn forward(server: SocketAddr, request: Request, authorization: Option<String>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let mut headers = parts.headers;
    headers.remove(HOST);
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization).unwrap());
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://{server}{path}").parse().unwrap();
    let options = agentcal_provider_egress::EgressOptions::new(EgressPolicy::development());
    let client = agentcal_provider_egress::EgressClient::new(options).unwrap();
    let mut forwarded = agentcal_provider_egress::EgressRequest::new(parts.method, url, 1 << 24).body(body.to_vec());
    forwarded.headers = headers;
    let answer = client.send(forwarded).await.unwrap();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for name in ["etag", "content-type", "date", "location"] {
        if let Some(value) = answer.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

#[tokio::test]
async fn addresses_inside_are_refused_in_production() {
    let production = CaldavProvider::new(CaldavOptions::production()).unwrap();
    for server_url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "http://example.com/",
        "https://example.com:22/",
        "file:///etc/passwd",
    ] {
        let answer = production.discover(&basic(server_url, "alice", "secret")).await;
        assert!(matches!(answer, Err(ProviderError::AddressNotAllowed(_))), "{server_url}: {answer:?}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let check = async |fake: Fake, expected: fn(&ProviderError) -> bool| {
        let calendar = calendar(&format!("{}team/", fake.url()), basic(&fake.url(), "alice", "secret"));
        let answer = sync(&provider(), &calendar, SyncMode::Full, window()).await.unwrap_err();
        assert!(expected(&answer), "{answer:?}");
    };
    const WAIT: Option<Duration> = Some(Duration::from_secs(120));
    let waits = |error: &ProviderError| matches!(error, ProviderError::RateLimited { retry_after: WAIT, .. });
    check(Fake::answering(401, &[], "").await, |error| matches!(error, ProviderError::Unauthorized(_))).await;
    check(Fake::answering(404, &[], "").await, |error| *error == ProviderError::CalendarGone).await;
    check(Fake::answering(410, &[], "").await, |error| *error == ProviderError::CalendarGone).await;
    check(Fake::answering(403, &[], "").await, |error| matches!(error, ProviderError::Refused(_))).await;
    check(Fake::answering(429, &[("retry-after", "120")], "").await, waits).await;
    check(Fake::answering(503, &[("retry-after", "120")], "").await, waits).await;
    let dated = &[("date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2026 10:02:00 GMT")];
    check(Fake::answering(503, dated, "").await, waits).await;
    check(Fake::answering(503, &[], "").await, |error| matches!(error, ProviderError::Unavailable(_))).await;
    check(Fake::answering(500, &[], "").await, |error| matches!(error, ProviderError::Unavailable(_))).await;
    let refused = |error: &ProviderError| matches!(error, ProviderError::Refused(_));
    check(Fake::answering(200, &[], "<html><body>hello</body></html>").await, refused).await;
    check(Fake::answering(207, &[], "<!DOCTYPE html><html><br></html>").await, refused).await;
    check(Fake::answering(207, &[], "<multistatus xmlns=\"DAV:\"><response>").await, refused).await;
    check(Fake::answering(207, &[("content-encoding", "gzip")], "x").await, refused).await;
    check(Fake::answering(207, &[], BOMB).await, refused).await;
    let gone = "http://127.0.0.1:1/team/";
    let answer = sync(&provider(), &calendar(gone, basic(gone, "a", "b")), SyncMode::Full, window()).await;
    assert!(matches!(answer, Err(ProviderError::Unavailable(_))), "{answer:?}");
}

/// Entities that would unfold to gigabytes.
const BOMB: &str = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
    <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><multistatus xmlns=\"DAV:\"><sync-token>&c;</sync-token></multistatus>";

#[tokio::test]
async fn an_answer_nested_too_deep_is_refused() {
    let deep = Fake::new(|_| async {
        let body = format!("<multistatus xmlns=\"DAV:\">{}", "<a>".repeat(1_000_000));
        response(207, &[], &body)
    })
    .await;
    let calendar = calendar(&deep.url(), basic(&deep.url(), "alice", "secret"));
    let answer = sync(&provider(), &calendar, SyncMode::Full, window()).await;
    assert!(matches!(answer, Err(ProviderError::Refused(_))), "{answer:?}");
}

const EVENT: &str = "DTSTART:20261012T080000Z";

pub(crate) fn here(href: &str, text: &str) -> String {
    format!(
        "<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:getetag>\"1\"</D:getetag><C:calendar-data>{text}\
         </C:calendar-data></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )
}

pub(crate) fn multistatus(inside: &str) -> Response {
    let namespaces = r#"xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav""#;
    response(207, &[], &format!("<D:multistatus {namespaces}>{inside}</D:multistatus>"))
}

pub(crate) fn listed(href: &str) -> String {
    format!(
        "<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:getetag>\"1\"</D:getetag></D:prop>\
         <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    )
}

/// A list of changes cut short with 507 is followed to its end; one resource that fails blocks, and the others go on.
#[tokio::test]
async fn cut_lists_are_followed_and_one_bad_resource_stops_nobody() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let fake = Fake::new(move |request: Request| {
        let heard = Arc::clone(&heard);
        async move {
            if request.method() == http::Method::GET {
                return response(500, &[], "");
            }
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            heard.lock().unwrap().push(body.clone());
            if body.contains("sync-collection") && body.contains("<D:sync-token>one<") {
                let cut = "<D:response><D:href>/team/</D:href><D:status>HTTP/1.1 507 Insufficient Storage</D:status></D:response>";
                return multistatus(&format!("{}{cut}<D:sync-token>two</D:sync-token>", listed("/team/a.ics")));
            }
            if body.contains("sync-collection") {
                let removed = "<D:response><D:href>/team/gone.ics</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>";
                let listed = ["/team/b%20c.ics", "/team/bad.ics", "/team/junk.ics"].map(listed).concat();
                return multistatus(&format!("{listed}{removed}<D:sync-token>three</D:sync-token>"));
            }
            let event = |uid: &str| resource(uid, &[&[EVENT, "DURATION:PT1H"]]);
            let bad = "<D:response><D:href>/team/bad.ics</D:href><D:status>HTTP/1.1 500 Oops</D:status></D:response>";
            multistatus(&format!(
                "{}{}{bad}{}",
                here("/team/a.ics", &event("a")),
                here("/team/b c.ics", &event("b")),
                here("/team/junk.ics", "this is no calendar")
            ))
        }
    })
    .await;
    let calendar = calendar(&format!("{}team/", fake.url()), basic(&fake.url(), "alice", "secret"));
    let mode = SyncMode::Incremental { cursor: SyncCursor(r#"{"position":{"token":"one"}}"#.to_owned()) };
    let synced = sync(&provider(), &calendar, mode, window()).await.unwrap();
    let cursor = r#"{"position":{"token":"three"},"unread":["/team/bad.ics"]}"#;
    assert_eq!(synced.cursor, SyncCursor(cursor.to_owned()), "the bad one is asked for again");
    assert_eq!(synced.names(), ["a", "b%20c", "bad", "gone", "junk"]);
    assert_eq!(synced.busy("a"), [range("20261012T080000Z", "20261012T090000Z")]);
    assert_eq!(synced.busy("b%20c"), [range("20261012T080000Z", "20261012T090000Z")]);
    assert_eq!(synced.of("gone"), Some(vec![]));
    for unknown in ["bad", "junk"] {
        assert_eq!(synced.busy(unknown), [window()], "unknown is never free");
    }
    assert_eq!(asked.lock().unwrap().len(), 3);
}
