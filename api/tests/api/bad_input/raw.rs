//! Bodies that are no JSON, too much of it, or break what reads them.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{Desk, bodies};
use crate::support::{Operation, Reply, World, address, caldav, exchange, serve};

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let desk = Desk::open().await;
    let deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "400 malformed_body"),
        (b"{".to_vec(), "400 malformed_body"),
        (b"{}{}".to_vec(), "400 malformed_body"),
        (b"{\"name\":\"\xff\xfe\"}".to_vec(), "400 malformed_body"),
        (b"\xff".to_vec(), "400 malformed_body"),
        (b"{\"name\":\"\\ud800\"}".to_vec(), "400 malformed_body"),
        (b"{\"name\":NaN}".to_vec(), "400 malformed_body"),
        (b"[]".to_vec(), "400 invalid_request body:wrong_type"),
        (b"null".to_vec(), "400 invalid_request body:wrong_type"),
        (b"7".to_vec(), "400 invalid_request body:wrong_type"),
        (deep.into_bytes(), "400 malformed_body"),
        (vec![b' '; 70_000], "413 body_too_large"),
        (format!("{{\"name\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes(), "413 body_too_large"),
    ];
    for (operation, schema, _) in &bodies::bodies(&desk) {
        let may_be_missing = |body: &[u8]| schema.nullable && matches!(body, b"" | b"null");
        for (body, problem) in cases.iter().filter(|(body, _)| !may_be_missing(body)) {
            let reply = send(&desk, operation, "application/json", body.clone()).await;
            assert_eq!(reply.problem(), *problem, "{}", operation.id);
            assert!(operation.statuses.contains(&reply.status), "{}: {} is not documented", operation.id, reply.status);
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let reply = send(&desk, operation, media_type, b"{}".to_vec()).await;
            assert_eq!(reply.problem(), "415 unsupported_media_type", "{media_type}");
        }
    }
    desk.assert_untouched("no JSON").await;
}

/// A caller that writes its whole body before it reads must still see the refusal.
#[tokio::test]
async fn a_body_of_a_megabyte_is_refused_over_a_socket_too() {
    let world = World::start().await;
    let address = serve(&world).await;
    let body = json!({"name": "x".repeat(1_000_000)}).to_string();
    let (status, problem) = exchange(&world, address, "POST", "/v1/accounts", &body).await;
    assert_eq!((status, &problem["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_next_request_is_served() {
    let world = World::start().await;
    let address = serve(&world).await;
    let body = caldav("https://panics.example").to_string();
    let (status, problem) = exchange(&world, address, "POST", &world.path("/connections"), &body).await;
    assert_eq!((status, &problem["code"]), (500, &json!("internal_error")));
    assert!(!problem.to_string().contains("scripted"));
    world.app.get(&world.path("/connections")).await.expect(200);
}

/// Sends a body as it is.
pub(super) async fn send(desk: &Desk, operation: &Operation, media_type: &str, body: Vec<u8>) -> Reply {
    let path = address(&[], operation, |name| desk.things.id(name).to_owned());
    let mut request = Request::builder()
        .method(operation.method.clone())
        .uri(path)
        .header("authorization", format!("Bearer {}", desk.app.key));
    if !media_type.is_empty() {
        request = request.header("content-type", media_type);
    }
    desk.app.send(request.body(Body::from(body)).expect("a request")).await
}
