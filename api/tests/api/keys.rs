//! Who may do what.

use std::time::Duration;

use agentcal_engine::model::{KeyKind, Mode};
use agentcal_engine::ports::TenantStore;
use http::Method;
use serde_json::json;

use crate::support::{Reply, START, World, came_true};

const ORIGIN: &str = "https://shop.example";

async fn publishable(world: &World, origins: &[&str]) -> String {
    world.app.new_key(world.app.organization_id, KeyKind::Publishable, Mode::Test, origins).await.0
}

async fn from_page(
    world: &World,
    key: &str,
    origin: &str,
    method: Method,
    path: &str,
    body: Option<serde_json::Value>,
) -> Reply {
    let bearer = format!("Bearer {key}");
    world.app.ask_with(&[("authorization", &bearer), ("origin", origin)], method, path, body).await
}

#[tokio::test]
async fn without_a_valid_key_there_is_nothing() {
    let world = World::start().await;
    let unknown = format!("sk_test_{}", "0".repeat(52));
    let headers: &[&[(&str, &str)]] = &[
        &[],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic c2s6")],
        &[("authorization", &world.app.key)],
        &[("authorization", "Bearer sk_test_short")],
        &[("authorization", &format!("Bearer {unknown}"))],
        &[("x-api-key", &world.app.key)],
    ];
    for headers in headers {
        let reply = world.app.ask_with(headers, Method::GET, &world.path(""), None).await;
        assert_eq!((reply.problem().as_str(), reply.header("www-authenticate")), ("401 unauthorized", Some("Bearer")));
    }
    let lower = format!("bearer {}", world.app.key);
    let reply = world.app.ask_with(&[("authorization", &lower)], Method::GET, &world.path(""), None).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn the_account_header_must_agree_with_the_path() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.app.key);
    let other = world.app.post("/v1/accounts", json!({"name": "B"})).await.id();
    for (header, status) in [(world.account.as_str(), 200), (&other, 400), ("acct_x", 400), ("", 400)] {
        let headers = [("authorization", bearer.as_str()), ("x-account-id", header)];
        let reply = world.app.ask_with(&headers, Method::GET, &world.path("/users"), None).await;
        assert_eq!(reply.status, status, "{header}");
        if status == 400 {
            assert_eq!(reply.problem(), "400 account_mismatch X-Account-ID:not_together");
        }
    }
}

#[tokio::test]
async fn a_revoked_key_dies_within_five_seconds() {
    let world = World::start().await;
    // A machine that stands still for seconds may do so once, and not each time.
    for _ in 0..5 {
        let (key, id) = world.app.new_key(world.app.organization_id, KeyKind::Secret, Mode::Test, &[]).await;
        let ask = async || world.app.ask_as(&key, Method::GET, &world.path(""), None).await;
        for _ in 0..3 {
            ask().await.expect(200);
        }
        assert!(world.app.store.revoke_key(id, START).await.expect("the store serves"));
        if came_true(Duration::from_secs(5), async || ask().await.status == 401).await {
            return;
        }
    }
    panic!("revoked keys live on");
}

#[tokio::test]
async fn a_publishable_key_reaches_public_event_types_only() {
    let world = World::start().await;
    let key = publishable(&world, &[ORIGIN]).await;
    let private = world.new_event_type("private", &[&world.user], json!({})).await;
    let public = world.event_type.clone();
    let dates = "start_date=2026-11-24&end_date=2026-11-24";
    let ask = async |method, path: &str, body| from_page(&world, &key, ORIGIN, method, &world.path(path), body).await;
    ask(Method::GET, &format!("/event-types/{public}"), None).await.expect(200);
    let slots = ask(Method::GET, &format!("/availability?event_type_id={public}&{dates}"), None).await.expect(200);
    assert_eq!(slots.header("access-control-allow-origin"), Some(ORIGIN));
    ask(Method::POST, "/bookings", Some(world.booking("2026-11-24T10:00:00+01:00"))).await.expect(201);
    let taken = ask(Method::POST, "/bookings", Some(world.booking("2026-11-24T10:00:00+01:00"))).await;
    assert_eq!(taken.problem(), "409 slot_unavailable");
    assert_eq!((taken.at("/reasons"), taken.at("/alternatives").is_array()), (json!(null), true));

    let mut hidden = world.booking("2026-11-24T11:00:00+01:00");
    hidden["event_type_id"] = json!(private);
    let ad_hoc = json!({"user_id": world.user, "duration_minutes": 30, "start_time": "2026-11-24T11:00:00+01:00",
        "attendee": {"name": "A"}});
    let user = world.user.clone();
    for (method, path, body) in [
        (Method::GET, format!("/event-types/{private}"), None),
        (Method::GET, format!("/event-types/{public}").replace(&public[4..], &"0".repeat(26)), None),
        (Method::GET, format!("/availability?event_type_id={private}&{dates}"), None),
        (Method::GET, format!("/availability?user_id={user}&duration_minutes=30&{dates}"), None),
        (Method::POST, "/bookings".into(), Some(hidden)),
        (Method::POST, "/bookings".into(), Some(ad_hoc)),
        (Method::GET, "/bookings".into(), None),
        (Method::GET, "/users".into(), None),
        (Method::GET, "/event-types".into(), None),
        (Method::GET, "/connections".into(), None),
        (Method::GET, String::new(), None),
        (Method::DELETE, String::new(), None),
        (Method::GET, format!("/event-types/{public}/availability-rules"), None),
    ] {
        let reply = ask(method.clone(), &path, body).await;
        assert_eq!(reply.problem(), "403 key_not_allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn a_publishable_key_works_from_its_origins_only() {
    let world = World::start().await;
    let path = world.path(&format!("/event-types/{}", world.event_type));
    let key = publishable(&world, &[ORIGIN]).await;
    let bearer = format!("Bearer {key}");
    for origin in ["https://evil.example", "http://shop.example", "null"] {
        let reply = from_page(&world, &key, origin, Method::GET, &path, None).await;
        assert_eq!(reply.problem(), "403 origin_not_allowed");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let none = world.app.ask_with(&[("authorization", &bearer)], Method::GET, &path, None).await;
    assert_eq!(none.problem(), "403 origin_not_allowed");
    let anywhere = publishable(&world, &["*"]).await;
    world.app.ask_as(&anywhere, Method::GET, &path, None).await.expect(200);
    from_page(&world, &anywhere, "https://evil.example", Method::GET, &path, None).await.expect(200);
}

#[tokio::test]
async fn a_publishable_key_is_never_shown_a_kept_answer() {
    let world = World::start().await;
    let key = publishable(&world, &["*"]).await;
    let bearer = format!("Bearer {key}");
    let ask = async || {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "guessable")];
        let body = Some(world.booking("2026-11-24T10:00:00+01:00"));
        world.app.ask_with(&headers, Method::POST, &world.path("/bookings"), body).await
    };
    ask().await.expect(201);
    assert_eq!(ask().await.problem(), "409 replay_withheld");
}

#[tokio::test]
async fn browsers_are_told_before_they_ask() {
    let world = World::start().await;
    let headers = [("origin", ORIGIN), ("access-control-request-method", "POST")];
    let reply = world.app.ask_with(&headers, Method::OPTIONS, &world.path("/bookings"), None).await.expect(204);
    assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(reply.header("access-control-allow-headers").is_some_and(|names| names.contains("idempotency-key")));
    let secret = from_page(&world, &world.app.key, ORIGIN, Method::GET, &world.path(""), None).await.expect(200);
    assert_eq!(secret.header("access-control-allow-origin"), None);
}
