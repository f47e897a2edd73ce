//! Health, documentation, and routes that are not there.

use http::Method;
use serde_json::json;

use crate::support::{TestApp, World};

#[tokio::test]
async fn health_needs_no_key_and_readiness_follows_the_flag() {
    let app = TestApp::start().await;
    let ask = async |path| app.ask_with(&[], Method::GET, path, None).await;
    assert_eq!(ask("/healthz").await.expect(200).json(), json!({"status": "ok"}));
    assert_eq!(ask("/readyz").await.problem(), "503 not_ready");
    app.readiness.set(true);
    assert_eq!(ask("/readyz").await.expect(200).json(), json!({"status": "ready"}));
    assert_eq!(ask("/metrics").await.problem(), "404 route_not_found");
}

#[tokio::test]
async fn the_documentation_needs_no_network() {
    let app = TestApp::start().await;
    let ask = async |path: &str| app.ask_with(&[], Method::GET, path, None).await;
    let description = ask("/v1/openapi.json").await.expect(200);
    assert_eq!(description.text_at("/info/title"), "AgentCal");
    assert_eq!(ask("/docs").await.header("location"), Some("/docs/"));
    let page = ask("/docs/").await.expect(200);
    assert!(page.text.contains("swagger-ui"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'self'")));
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js", "index.html"] {
        ask(&format!("/docs/{file}")).await.expect(200);
    }
    let initializer = ask("/docs/swagger-initializer.js").await;
    assert!(initializer.text.contains("/v1/openapi.json"));
    assert_eq!(ask("/docs/nothing.js").await.problem(), "404 route_not_found");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::start().await;
    let check = async |method: Method, path: &str, problem: &str| {
        let reply = world.app.ask(method.clone(), path, None).await;
        assert_eq!(reply.problem(), problem, "{method} {path}");
        reply
    };
    check(Method::GET, "/", "404 route_not_found").await;
    check(Method::GET, "/v2/accounts", "404 route_not_found").await;
    check(Method::GET, "/v1/accounts/", "404 route_not_found").await;
    check(Method::GET, &world.path("/users/"), "404 route_not_found").await;
    check(Method::GET, &world.path("/webhooks"), "404 route_not_found").await;
    let put = check(Method::PUT, "/v1/accounts", "405 method_not_allowed").await;
    assert!(put.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("POST")));
    check(Method::POST, "/healthz", "405 method_not_allowed").await;
    check(Method::TRACE, "/v1/accounts", "405 method_not_allowed").await;
}

#[tokio::test]
async fn every_answer_has_its_own_request_id() {
    let app = TestApp::start().await;
    let first = app.get("/v1/accounts").await;
    let second = app.get("/v1/accounts").await;
    let (first, second) = (first.header("x-request-id"), second.header("x-request-id"));
    assert!(first.is_some_and(|id| id.starts_with("req_")) && first != second);
}
