//! How often a key may ask, and what its answers say about that.

use std::time::Duration;

use agentcal_api::ApiSettings;
use agentcal_engine::limits::Rate;
use agentcal_engine::model::{KeyKind, Mode};
use http::Method;
use serde_json::json;

use crate::support::{Reply, TestApp};

const ACCOUNTS: &str = "/v1/accounts";

async fn limited(rate: Option<Rate>) -> TestApp {
    TestApp::start_with(ApiSettings { key_rate: rate, ..ApiSettings::default() }).await
}

/// What an answer says of the limit: policy, what is left, when to come again.
fn told(reply: &Reply) -> [Option<&str>; 3] {
    ["ratelimit-policy", "ratelimit", "retry-after"].map(|name| reply.header(name))
}

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_again() {
    let app = limited(Some(Rate::per_minute(30, 3))).await;
    let policy = Some("\"burst\";q=3, \"sustained\";q=30;w=60");
    for left in ["\"burst\";r=2;t=2", "\"burst\";r=1;t=4", "\"burst\";r=0;t=6"] {
        let reply = app.get(ACCOUNTS).await.expect(200);
        assert_eq!(told(&reply), [policy, Some(left), None]);
    }
    let refused = app.get(ACCOUNTS).await;
    assert_eq!(refused.problem(), "429 too_many_requests");
    assert_eq!(told(&refused), [policy, Some("\"burst\";r=0;t=6"), Some("2")]);
    app.clock.advance(Duration::from_millis(1_999));
    assert_eq!(told(&app.get(ACCOUNTS).await.expect(429))[2], Some("1"));
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(told(&app.get(ACCOUNTS).await.expect(200)), [policy, Some("\"burst\";r=0;t=6"), None]);
    app.get(ACCOUNTS).await.expect(429);
}

#[tokio::test]
async fn refusals_of_all_kinds_cost_a_request_and_say_what_is_left() {
    let app = limited(Some(Rate::per_minute(1, 5))).await;
    let nowhere = "/v1/accounts/acct_00000000000000000000000000";
    for (left, (method, path, body, status)) in [
        (Method::GET, nowhere, None, 404),
        (Method::POST, ACCOUNTS, Some(json!({"nom": "A"})), 400),
        (Method::POST, ACCOUNTS, Some(json!({"name": ""})), 422),
        (Method::POST, ACCOUNTS, Some(json!({"name": "A"})), 201),
        (Method::GET, nowhere, None, 404),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = app.ask(method, path, body).await.expect(status);
        assert!(told(&reply)[1].is_some_and(|told| told.starts_with(&format!("\"burst\";r={};", 4 - left))));
    }
    let refused = app.post(ACCOUNTS, json!({"name": "B"})).await;
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("429 too_many_requests", Some("60")));
    app.clock.advance(Duration::from_secs(60));
    let accounts = app.get(ACCOUNTS).await.expect(200);
    assert_eq!(accounts.at("/data").as_array().map(Vec::len), Some(1), "what was refused was not done");
}

#[tokio::test]
async fn keys_have_limits_of_their_own() {
    let app = limited(Some(Rate::per_minute(1, 1))).await;
    let (sibling, _) = app.new_key(app.organization_id, KeyKind::Secret, Mode::Test, &[]).await;
    app.get(ACCOUNTS).await.expect(200);
    app.get(ACCOUNTS).await.expect(429);
    app.ask_as(&sibling, Method::GET, ACCOUNTS, None).await.expect(200);
    app.ask_as(&sibling, Method::GET, ACCOUNTS, None).await.expect(429);
    let (page, _) = app.new_key(app.organization_id, KeyKind::Publishable, Mode::Test, &["*"]).await;
    app.ask_as(&page, Method::GET, ACCOUNTS, None).await.expect(403);
    app.ask_as(&page, Method::GET, ACCOUNTS, None).await.expect(429);
}

#[tokio::test]
async fn what_needs_no_key_has_no_limit() {
    let app = limited(Some(Rate::per_minute(1, 1))).await;
    for _ in 0..3 {
        for path in ["/healthz", "/v1/openapi.json", "/v1/nowhere"] {
            assert_eq!(told(&app.get(path).await)[..2], [None, None], "{path}");
        }
        let unknown = format!("sk_test_{}", "0".repeat(52));
        assert_eq!(told(&app.ask_as(&unknown, Method::GET, ACCOUNTS, None).await.expect(401))[..2], [None, None]);
    }
    app.get(ACCOUNTS).await.expect(200);
}

#[tokio::test]
async fn a_limit_can_be_switched_off() {
    let app = limited(None).await;
    for _ in 0..300 {
        assert_eq!(told(&app.get(ACCOUNTS).await.expect(200)), [None, None, None]);
    }
}

#[tokio::test]
async fn pages_may_read_what_is_left() {
    let app = limited(Some(Rate::per_minute(60, 10))).await;
    let (key, _) = app.new_key(app.organization_id, KeyKind::Publishable, Mode::Test, &["https://a.example"]).await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("origin", "https://a.example")];
    let reply = app.ask_with(&headers, Method::GET, ACCOUNTS, None).await;
    let exposed = reply.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("ratelimit, ratelimit-policy, retry-after"), "{exposed}");
}
