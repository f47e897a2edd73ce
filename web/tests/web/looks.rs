//! What pages show, and that looking changes nothing.

use agentcal_engine::ids::BookingId;
use agentcal_engine::model::AttendeePolicy;
use agentcal_engine::signed::{ManageLink, SigningKeys};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::support::{START, Setup, World};

#[tokio::test]
async fn the_page_says_what_is_booked_and_what_may_be_done() {
    let world = World::start().await;
    world.get("").await.expect(200).says(&[
        "<title>Your booking: Check-up</title>",
        "<h1>Check-up</h1>",
        "Tuesday, 24 November 2026, 09:00 to 09:30",
        "datetime=\"2026-11-24T08:00:00Z\"",
        "Europe/Berlin (UTC+01:00)",
        "Dr. Sarah Ødegård",
        "Tom",
        "Room 4",
        "Confirmed",
        "You can change the time until it begins.",
        "You can cancel until it begins.",
    ]);
}

#[tokio::test]
async fn times_are_the_attendees_own() {
    let world = World::with(Setup { zone: Some(chrono_tz::America::New_York), ..Setup::default() }).await;
    let when = "Tuesday, 24 November 2026, 03:00 to 03:30";
    world.get("").await.expect(200).says(&[when, "America/New York (UTC-05:00)"]);
    let page = world.get("/reschedule?date=2026-11-24").await.expect(200);
    let page =
        page.says(&["the zone America/New York.", "<legend>Tuesday, 24 November 2026</legend>", "<span>03:30</span>"]);
    assert_eq!(page.offered()[0], "2026-11-24T08:30:00Z", "its own time is left out");
}

#[tokio::test]
async fn the_policy_is_told_with_its_end() {
    let policy =
        AttendeePolicy { cancel_notice_hours: Some(24), reschedule_notice_hours: Some(2), reschedules_max: Some(1) };
    let world = World::with(Setup { policy, ..Setup::default() }).await;
    let page = world.get("").await.expect(200);
    page.says(&[
        "You can change the time until Tuesday, 24 November 2026, 07:00, once more.",
        "You can cancel until Monday, 23 November 2026, 09:00.",
    ]);
    world.clock.advance(2);
    let page = world.get("").await.expect(200);
    page.says(&["It could be cancelled until Monday, 23 November 2026, 09:00."]).hides(&["Cancel this booking"]);

    let never = AttendeePolicy { cancel_notice_hours: None, reschedule_notice_hours: None, reschedules_max: None };
    let world = World::with(Setup { policy: never, ..Setup::default() }).await;
    let page = world.get("").await.expect(200);
    page.says(&["cannot be changed online", "cannot be cancelled online"]).hides(&["<form"]);
}

#[tokio::test]
async fn what_people_typed_is_text() {
    let world = World::with(Setup {
        title: "Fish & <b>Chips</b>\"",
        attendee: "<script>alert(1)</script>",
        location: Some("javascript:alert(1)"),
        ..Setup::default()
    })
    .await;
    for tail in ["/reschedule", "/cancel"] {
        world.get(tail).await.expect(200).hides(&["<b>Chips", "<script"]);
    }
    let text = world.get("").await.expect(200).text;
    assert!(text.contains("&lt;script&gt;") && text.contains("Fish &amp; &lt;b&gt;Chips"), "{text}");
    assert!(!text.contains("href=\"javascript"), "{text}");

    let location = Some("https://meet.example/a?b=1&c=\"2\"");
    let world = World::with(Setup { location, ..Setup::default() }).await;
    let page = world.get("").await.expect(200);
    page.says(&["rel=\"noopener noreferrer\"", "https://meet.example/a?b=1&amp;c=&quot;2&quot;"]);
}

#[tokio::test]
async fn wrong_links_all_look_the_same() {
    let world = World::start().await;
    let good = world.path.trim_start_matches("/manage/").to_owned();
    let absent = BookingId::from_uuid(agentcal_engine::ids::mint_uuid(START, &Zeros));
    let strange = SigningKeys::new(Zeroizing::new([8; 32]), []);
    let link = ManageLink { account_id: world.account_id, booking_id: world.booking_id };
    let mut altered = good.clone().into_bytes();
    altered[30] = if altered[30] == b'A' { b'B' } else { b'A' };
    let wrong = [
        world.path_of(absent),
        format!("/manage/{}", link.token(&strange)),
        format!("/manage/{}", String::from_utf8(altered).unwrap()),
        format!("/manage/{}", &good[..good.len() - 1]),
        format!("/manage/{good}x"),
        "/manage/x".to_owned(),
        "/manage/%ff".to_owned(),
        format!("/manage/{}", "A".repeat(5_000)),
    ];
    let mut seen = Vec::new();
    for path in &wrong {
        for (method, tail) in [(Method::GET, ""), (Method::GET, "/reschedule"), (Method::POST, "/cancel")] {
            let form = (method == Method::POST).then_some("confirm=yes");
            let page = world.send(method, &format!("{path}{tail}"), form).await.expect(404);
            seen.push(page.says(&["This link does not work"]).text);
        }
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "an oracle");
    assert_eq!(world.booking().await.cancel_reason, None);
}

#[tokio::test]
async fn looking_changes_nothing_whoever_looks() {
    let world = World::start().await;
    let before = world.booking().await;
    for tail in [
        "",
        "?done=cancelled",
        "/reschedule",
        "/cancel",
        "/cancel?confirm=yes",
        "/reschedule?start=2026-11-24T09:00:00Z",
    ] {
        world.get(tail).await.expect(200).hides(&["was cancelled", "was moved to"]);
        let head = world.send(Method::HEAD, &format!("{}{tail}", world.path), None).await.expect(200);
        assert_eq!(head.text, "");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        world.send(method, &format!("{}/cancel", world.path), None).await.expect(405);
    }
    world.send(Method::POST, &world.path, Some("confirm=yes")).await.expect(405);
    assert_eq!(world.booking().await, before);
}

#[tokio::test]
async fn the_style_in_the_page_is_the_one_the_policy_knows() {
    let world = World::start().await;
    let page = world.get("").await;
    let style = page.text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = STANDARD.encode(Sha256::digest(style));
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    for directive in ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
}

#[tokio::test]
async fn links_stay_below_the_public_url() {
    let world = World::with(Setup { public_url: "https://example.com/book/", ..Setup::default() }).await;
    let page = world.get("").await.expect(200);
    page.says(&[&format!("action=\"/book{}/reschedule\"", world.path)]);
    let moved = world.post("/reschedule", "start=2026-11-24T09:00:00Z").await.expect(303);
    assert_eq!(moved.header("location"), format!("/book{}?done=moved", world.path));
}

#[tokio::test]
async fn open_times_come_a_few_days_a_page() {
    let world = World::start().await;
    let first = world.get("/reschedule").await.expect(200).hides(&["Earlier days"]);
    assert_eq!(first.offered().len(), 5 * 16 - 1, "a week of half hours, less its own");
    first.says(&["Monday, 23 November 2026 to Sunday, 29 November 2026", "?date=2026-11-30"]);
    let second = world.get("/reschedule?date=2026-11-30").await.expect(200);
    second.says(&["?date=2026-11-23", "?date=2026-12-07"]);
    for (asked, shown) in [
        ("2020-01-01", "Monday, 23 November 2026 to"),
        ("nonsense", "Monday, 23 November 2026 to"),
        ("2999-01-01", "Friday, 22 January 2027 to"),
    ] {
        world.get(&format!("/reschedule?date={asked}")).await.expect(200).says(&[shown]);
    }
    let last = world.get("/reschedule?date=2027-01-22").await.expect(200);
    last.hides(&["Later days"]);
}

#[tokio::test]
async fn an_empty_week_says_when_the_next_open_time_is() {
    let world = World::start().await;
    world.require_notice(24 * 20).await;
    let page = world.get("/reschedule").await.expect(200);
    page.says(&["Nothing is open in these days", "?date=2026-12-14", "Monday, 14 December 2026"]).hides(&["<fieldset"]);
    let page = world.get("/reschedule?date=2026-12-14").await.expect(200);
    assert!(!page.offered().is_empty());
}

#[tokio::test]
async fn addresses_may_be_decorated_by_others() {
    let world = World::start().await;
    for tail in ["?utm_source=mail&done=moved", "?done=%ff", "?done=%3Cscript%3E", "?done=a&done=b"] {
        world.get(tail).await.expect(200);
    }
    let bytes = Request::builder().method(Method::POST).uri(format!("{}/cancel", world.path));
    world.ask(bytes.body(Body::from("confirm=yes")).unwrap()).await.expect(415);
}

#[tokio::test]
async fn pages_live_beside_other_routes() {
    let world = World::start().await;
    let others = Router::new().route("/v1", get(|| async { "api" })).fallback(|| async { "elsewhere" });
    let both = others.merge(world.router.clone());
    for (path, expected) in [("/v1", "api"), ("/manage", "elsewhere"), ("/manage/x/y", "elsewhere")] {
        let response = both.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let text = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&text), expected, "{path}");
    }
    let page = both.oneshot(Request::get(&world.path).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(page.status(), 200);
}

struct Zeros;

impl agentcal_engine::ports::Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
