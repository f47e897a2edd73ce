//! Whatever is sent: a problem that names the field, nothing stored, nothing broken.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{World, caldav, exchange, serve};

/// The routes that take a body, each with one that is accepted.
async fn routes(world: &World) -> Vec<(Method, String, Value)> {
    let booking = world.book("2026-11-25T16:00:00+01:00").await.expect(201).id();
    let rules = json!({
        "timezone": "Europe/Berlin",
        "rules": [{"day_of_week": 1, "start_time": "09:00", "end_time": "17:00"}],
        "overrides": [{"date": "2026-12-24", "windows": [{"start_time": "09:00", "end_time": "12:00"}]}],
    });
    let user = json!({"name": "A", "email": "a@example.com", "timezone": "UTC", "busy_calendar_ids": []});
    let event = json!({
        "name": "E", "slug": "e", "duration_minutes": 30, "slot_interval_minutes": 30, "buffer_before": 0,
        "buffer_after": 0, "buffer_mode": "larger", "min_notice_hours": 0, "booking_window_days": 60,
        "max_bookings_per_day": 5, "user_ids": [world.user], "scheduling_mode": "individual", "public": false,
        "location": "Room", "require_slot_id": false, "on_stale": "verify",
    });
    let made = json!({
        "event_type_id": world.event_type, "user_id": world.user, "start_time": "2026-11-25T10:00:00+01:00",
        "attendee": {"name": "A", "email": "a@example.com", "phone": "+49301", "timezone": "UTC"}, "metadata": {"a": 1},
    });
    let account = json!({"name": "A", "timezone": "UTC", "metadata": {"a": 1}});
    vec![
        (Method::POST, "/v1/accounts".into(), account.clone()),
        (Method::PATCH, world.path(""), account),
        (Method::POST, world.path("/users"), user.clone()),
        (Method::PATCH, world.path(&format!("/users/{}", world.user)), user),
        (Method::POST, world.path("/event-types"), event.clone()),
        (Method::PATCH, world.path(&format!("/event-types/{}", world.event_type)), event),
        (Method::PUT, world.path(&format!("/users/{}/availability-rules", world.user)), rules.clone()),
        (Method::PUT, world.path(&format!("/event-types/{}/availability-rules", world.event_type)), rules),
        (Method::POST, world.path("/connections"), caldav("https://dav.example")),
        (Method::POST, world.path("/bookings"), made),
        (
            Method::PATCH,
            world.path(&format!("/bookings/{booking}")),
            json!({"start_time": "2026-11-25T11:00:00+01:00"}),
        ),
    ]
}

/// Values that fit almost nowhere.
fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1_000_000_000),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("x\ny"),
        json!("\u{202e}\u{1f600}"),
        json!("x".repeat(5_000)),
        json!("2026-13-45T99:99:99Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("1969-12-31T23:59:59Z"),
        json!("user_00000000000000000000000000"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"a": {"b": "\u{0}"}}),
    ]
}

/// Every field of every route, wrong in turn: it is taken, or refused by its name; and what is refused is not stored.
#[tokio::test]
async fn every_field_wrong_in_turn_is_named() {
    let world = World::start().await;
    let routes = routes(&world).await;
    let mut before = stored(&world).await;
    for (method, path, body) in routes {
        for field in fields(&body) {
            for value in strange() {
                let mut wrong = body.clone();
                *wrong.pointer_mut(&field.pointer).expect("a field of the body") = value.clone();
                let reply = world.app.ask(method.clone(), &path, Some(wrong)).await;
                if reply.status < 300 || reply.status == 409 {
                    before = stored(&world).await;
                    continue;
                }
                let shown = value.to_string().chars().take(40).collect::<String>();
                let case = format!("{method} {path} {} = {shown}: {}", field.name, reply.problem());
                assert!(matches!(reply.status, 400 | 422), "{case}");
                let errors = reply.at("/errors");
                let named = errors.as_array().into_iter().flatten().filter_map(|error| error["field"].as_str());
                let related = |name: &str| {
                    // Without an event type, it is the fields of a meeting without one that are missing.
                    let instead = field.name == "event_type_id" && value.is_null();
                    instead || name.starts_with(&field.name) || field.name.starts_with(name)
                };
                assert!(named.into_iter().any(related), "{case}");
                assert_eq!(stored(&world).await, before, "{case}");
            }
        }
    }
}

/// Every field left out, and one too many.
#[tokio::test]
async fn missing_and_unknown_fields_are_named() {
    let world = World::start().await;
    for (method, path, body) in routes(&world).await {
        let mut more = body.clone();
        more["colour"] = json!("red");
        let reply = world.app.ask(method.clone(), &path, Some(more)).await;
        assert_eq!(reply.problem(), "400 invalid_request colour:unknown_field", "{method} {path}");
        for name in body.as_object().expect("an object").keys() {
            let mut less = body.clone();
            less.as_object_mut().expect("an object").remove(name);
            let reply = world.app.ask(method.clone(), &path, Some(less)).await;
            if reply.status >= 300 && reply.status != 409 {
                let (problem, code) = (reply.problem(), format!("{name}:required"));
                assert!(
                    problem.starts_with("422") && (problem.contains(&code) || name == "event_type_id"),
                    "{method} {path} {problem}"
                );
            }
        }
        for name in fields(&body).iter().filter(|field| field.name.contains('.')) {
            let (parent, _) = name.pointer.rsplit_once('/').expect("a nested field");
            let mut more = body.clone();
            let Some(object) = more.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
            if parent.starts_with("/metadata") {
                continue;
            }
            object.insert("colour".into(), json!("red"));
            let problem = world.app.ask(method.clone(), &path, Some(more)).await.problem();
            assert!(problem.ends_with(".colour:unknown_field"), "{method} {path} {problem}");
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let world = World::start().await;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "400 malformed_body"),
        (b"{".to_vec(), "400 malformed_body"),
        (b"{}{}".to_vec(), "400 malformed_body"),
        (b"{\"name\":\"\xff\xfe\"}".to_vec(), "400 malformed_body"),
        (b"\xff".to_vec(), "400 malformed_body"),
        (b"{\"name\":\"\\ud800\"}".to_vec(), "400 malformed_body"),
        (b"{\"name\":NaN}".to_vec(), "400 malformed_body"),
        (b"{\"name\":\"a\",\"name\":\"b\"}".to_vec(), "400 invalid_request name:duplicate"),
        (b"[]".to_vec(), "400 invalid_request body:wrong_type"),
        (b"null".to_vec(), "400 invalid_request body:wrong_type"),
        (
            format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000)).into_bytes(),
            "400 malformed_body",
        ),
        (vec![b' '; 70_000], "413 body_too_large"),
        (format!("{{\"name\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes(), "413 body_too_large"),
    ];
    for (method, path, _) in routes(&world).await {
        let before = stored(&world).await;
        for (body, problem) in &cases {
            let reply = raw(&world, method.clone(), &path, "application/json", body.clone()).await;
            let is_unknown = reply.problem().contains("unknown_field") && problem.starts_with("400");
            assert!(reply.problem() == *problem || is_unknown, "{method} {path} {} {problem}", reply.problem());
        }
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let reply = raw(&world, method.clone(), &path, media_type, b"{}".to_vec()).await;
            assert_eq!(reply.problem(), "415 unsupported_media_type", "{media_type}");
        }
        assert_eq!(stored(&world).await, before);
    }
}

#[tokio::test]
async fn ids_in_paths_that_are_none_are_not_there() {
    let world = World::start().await;
    let zeros = "0".repeat(26);
    for id in [
        "x",
        "user_",
        "user_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "%ff",
        "%00",
        "..%2f",
        &format!("acct_{zeros}"),
        &format!("user_{zeros}"),
    ] {
        for tail in ["/users/{}", "/users/{}/availability-rules", "/event-types/{}", "/connections/{}", "/bookings/{}"]
        {
            let reply = world.app.get(&world.path(&tail.replace("{}", id))).await;
            assert_eq!(reply.problem(), "404 not_found", "{tail} {id}");
        }
        assert_eq!(world.app.get(&format!("/v1/accounts/{id}")).await.problem(), "404 not_found", "{id}");
    }
}

#[tokio::test]
async fn queries_are_refused_by_name_everywhere() {
    let world = World::start().await;
    let user = world.path(&format!("/users/{}", world.user));
    for path in [
        "/v1/accounts".to_owned(),
        world.path("/users"),
        world.path("/event-types"),
        world.path("/connections"),
        world.path("/bookings"),
    ] {
        for (query, problem) in [
            ("colour=red", "400 invalid_request colour:unknown_field"),
            ("limit=0", "422 validation_failed limit:out_of_range"),
            ("limit=101", "422 validation_failed limit:out_of_range"),
            ("limit=x", "400 invalid_request limit:wrong_type"),
            ("cursor=x", "400 invalid_request cursor:wrong_type"),
            ("limit=1&limit=1", "400 invalid_request limit:duplicate"),
            ("limit=%ff", "400 invalid_request limit:wrong_type"),
        ] {
            assert_eq!(world.app.get(&format!("{path}?{query}")).await.problem(), problem, "{path}");
        }
    }
    for path in [world.path(""), user.clone(), format!("{user}/availability-rules")] {
        assert_eq!(world.app.get(&format!("{path}?a=1")).await.problem(), "400 invalid_request a:unknown_field");
    }
    for (query, problem) in [
        ("status=done", "422 validation_failed status:unknown_value"),
        ("user_id=x", "400 invalid_request user_id:wrong_type"),
        ("starts_after=today", "400 invalid_request starts_after:wrong_type"),
        ("starts_before=2026-11-24", "400 invalid_request starts_before:wrong_type"),
        ("attendee_email=x", "422 validation_failed attendee_email:invalid_format"),
        ("attendee_phone=x", "422 validation_failed attendee_phone:invalid_format"),
    ] {
        assert_eq!(world.app.get(&world.path(&format!("/bookings?{query}"))).await.problem(), problem);
    }
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

struct Field {
    pointer: String,
    name: String,
}

/// Every field of a body, nested ones too.
fn fields(body: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(body, "", "", &mut found);
    found
}

fn collect(value: &Value, pointer: &str, name: &str, found: &mut Vec<Field>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                let pointer = format!("{pointer}/{key}");
                found.push(Field { pointer: pointer.clone(), name: name.clone() });
                collect(member, &pointer, &name, found);
            }
        }
        Value::Array(values) => {
            for (index, member) in values.iter().enumerate() {
                let (pointer, name) = (format!("{pointer}/{index}"), format!("{name}[{index}]"));
                found.push(Field { pointer: pointer.clone(), name: name.clone() });
                collect(member, &pointer, &name, found);
            }
        }
        _ => {}
    }
}

/// How many of everything there are.
async fn stored(world: &World) -> Vec<usize> {
    let mut counts = Vec::new();
    for path in ["/users", "/event-types", "/connections", "/bookings"].map(|tail| world.path(tail)) {
        counts.push(count(world, &path).await);
    }
    counts.push(count(world, "/v1/accounts").await);
    counts
}

async fn count(world: &World, path: &str) -> usize {
    let list = world.app.get(&format!("{path}?limit=100")).await.expect(200);
    list.at("/data").as_array().map_or(0, Vec::len)
}

async fn raw(world: &World, method: Method, path: &str, media_type: &str, body: Vec<u8>) -> crate::support::Reply {
    let mut request =
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", world.app.key));
    if !media_type.is_empty() {
        request = request.header("content-type", media_type);
    }
    world.app.send(request.body(Body::from(body)).expect("a request")).await
}
