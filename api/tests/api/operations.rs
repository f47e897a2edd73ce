//! Every operation of the document at its best; health, documentation, and routes that are not there.

use std::collections::BTreeSet;

use agentcal_engine::model::{KeyKind, Mode};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Example, Kind, Operation, TestApp, Things, World, examples};

/// What publishable keys may ask, of public event types.
const FOR_PUBLISHABLE_KEYS: [&str; 7] =
    ["create_booking", "create_hold", "extend_hold", "get_availability", "get_event_type", "get_hold", "release_hold"];

/// What is asked with a body and changes nothing, so that there is nothing to repeat.
const KEEPS_NOTHING: [&str; 2] = ["preview_mail", "preview_account_mail"];

#[tokio::test]
async fn every_operation_has_examples_that_name_every_field() {
    let app = TestApp::start().await;
    let things = Things::made(&app, &app.key).await;
    for operation in Operation::all() {
        let examples = examples(&operation, &things);
        assert!(!examples.is_empty(), "give `{}` an example in support/examples.rs", operation.id);
        let named = |names: &mut dyn Iterator<Item = String>| names.collect::<BTreeSet<_>>();
        let query = examples.iter().flat_map(|example| example.query.iter().map(|(name, _)| name.clone()));
        let documented = named(&mut operation.query.iter().map(|parameter| parameter.name.clone()));
        assert_eq!(named(&mut query.into_iter()), documented, "the query of `{}`", operation.id);
        let Some(body) = &operation.body else { continue };
        let Kind::Closed { members, .. } = &body.kind else { panic!("the body of `{}` is no object", operation.id) };
        let keys = |body: &Value| body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        let sent = examples.iter().filter_map(|example| example.body.as_ref()).flat_map(keys);
        assert_eq!(named(&mut sent.into_iter()), named(&mut members.keys().cloned()), "the body of `{}`", operation.id);
    }
}

/// Each example in an api of its own: accepted, documented, refused without a key, and, where it changes something,
/// repeated under one key, answered the same.
#[tokio::test]
async fn every_example_is_accepted_and_repeated() {
    for operation in Operation::all() {
        for place in 0.. {
            let app = TestApp::start().await;
            let things = Things::made(&app, &app.key).await;
            let Some(example) = examples(&operation, &things).into_iter().nth(place) else {
                app.scheduler.shutdown().await;
                break;
            };
            refused_without_key(&app, &operation, &example, &things).await;
            let address = example.address(&operation, &things);
            let ask = async || app.ask_keyed("key", operation.method.clone(), &address, example.body.clone()).await;
            let first = ask().await;
            assert!(first.status < 300, "{} {}", operation.id, first.shown());
            assert!(operation.statuses.contains(&first.status), "{} {}", operation.id, first.status);
            let second = ask().await;
            let changes = operation.method != Method::GET;
            let is_kept = changes && !KEEPS_NOTHING.contains(&operation.id.as_str());
            assert_eq!(second.header("idempotent-replayed"), is_kept.then_some("true"), "{}", operation.id);
            if changes {
                assert_eq!((second.status, &second.text), (first.status, &first.text), "{}", operation.id);
            }
            // Its sweeps would go on beside those of every api after it.
            app.scheduler.shutdown().await;
        }
    }
}

async fn refused_without_key(app: &TestApp, operation: &Operation, example: &Example, things: &Things) {
    let address = example.address(operation, things);
    let nobody = app.ask_with(&[], operation.method.clone(), &address, example.body.clone()).await;
    assert_eq!(nobody.problem(), "401 unauthorized", "{}", operation.id);
    if FOR_PUBLISHABLE_KEYS.contains(&operation.id.as_str()) {
        return;
    }
    let (key, _) = app.new_key(app.organization_id, KeyKind::Publishable, Mode::Test, &["*"]).await;
    let page = app.ask_as(&key, operation.method.clone(), &address, example.body.clone()).await;
    assert_eq!(page.problem(), "403 key_not_allowed", "{}", operation.id);
}

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
