use http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, World, merged};

#[tokio::test]
async fn repeating_repeats_the_answer_on_every_route_that_changes_something() {
    let world = World::start().await;
    let booking = world.book("2026-11-24T09:00:00+01:00").await.expect(201).id();
    let other = world.book("2026-11-24T09:30:00+01:00").await.expect(201).id();
    let connection = world.connect().await.id();
    let tom = world.new_user("Tom", json!({})).await;
    let extra = world.new_event_type("extra", &[&world.user], json!({})).await;
    let user = json!({"name": "A", "email": "a@example.com", "timezone": "UTC"});
    let event = json!({"name": "E", "slug": "e", "duration_minutes": 30, "user_ids": [world.user]});
    let rules = json!({"timezone": "UTC", "rules": [{"day_of_week": 1, "start_time": "00:00", "end_time": "24:00"}]});
    let moved = json!({"start_time": "2026-11-24T11:00:00+01:00"});
    let name = json!({"name": "N"});
    let cases: Vec<(Method, String, Option<Value>)> = vec![
        (Method::POST, "/v1/accounts".into(), Some(json!({"name": "Second"}))),
        (Method::PATCH, world.path(""), Some(name.clone())),
        (Method::POST, world.path("/users"), Some(user)),
        (Method::PATCH, world.path(&format!("/users/{}", world.user)), Some(name.clone())),
        (Method::POST, world.path("/event-types"), Some(event)),
        (Method::PATCH, world.path(&format!("/event-types/{}", world.event_type)), Some(name)),
        (Method::POST, world.path("/connections"), Some(crate::support::caldav("https://dav.example"))),
        (Method::POST, world.path("/bookings"), Some(world.booking("2026-11-24T10:00:00+01:00"))),
        (Method::PATCH, world.path(&format!("/bookings/{booking}")), Some(moved)),
        (Method::DELETE, world.path(&format!("/bookings/{other}")), None),
        (Method::PUT, world.path(&format!("/users/{}/availability-rules", world.user)), Some(rules.clone())),
        (Method::PUT, world.path(&format!("/event-types/{}/availability-rules", world.event_type)), Some(rules)),
        (Method::DELETE, world.path(&format!("/connections/{connection}")), None),
        (Method::DELETE, world.path(&format!("/event-types/{extra}")), None),
        (Method::DELETE, world.path(&format!("/users/{tom}")), None),
    ];
    for (index, (method, path, body)) in cases.into_iter().enumerate() {
        let key = format!("key-{index}");
        let ask = async || world.app.ask_keyed(&key, method.clone(), &path, body.clone()).await;
        let first = ask().await;
        assert!(first.status < 300, "{method} {path} {}", first.text);
        assert_eq!(first.header("idempotent-replayed"), None, "{method} {path}");
        let second = ask().await;
        assert_eq!(second.header("idempotent-replayed"), Some("true"), "{method} {path} {}", second.text);
        assert_eq!((second.status, &second.text), (first.status, &first.text), "{method} {path}");
        if let Some(body) = &body {
            let changed = merged(body.clone(), json!({"name": "Quite another"}));
            let changed =
                if path.ends_with("rules") { merged(body.clone(), json!({"timezone": "Asia/Tokyo"})) } else { changed };
            let changed = if path.contains("bookings") { another_time(body) } else { changed };
            let changed = if path.ends_with("connections") {
                merged(body.clone(), json!({"password": "other"}))
            } else {
                changed
            };
            let third = world.app.ask_keyed(&key, method.clone(), &path, Some(changed)).await;
            assert_eq!(third.problem(), "409 idempotency_mismatch", "{method} {path}");
        }
    }
}

fn another_time(body: &Value) -> Value {
    merged(body.clone(), json!({"start_time": "2026-11-24T15:00:00+01:00"}))
}

/// Lesson: the same instant in another spelling counted as another body.
#[tokio::test]
async fn another_spelling_of_the_same_request_is_the_same_request() {
    let world = World::start().await;
    let path = world.path("/bookings");
    let ask =
        async |start: &str| world.app.ask_keyed("k", Method::POST, &path, Some(world.booking(start))).await.expect(201);
    let first = ask("2026-11-24T10:00:00+01:00").await;
    for spelling in ["2026-11-24T09:00:00Z", "2026-11-24T14:45:00.000+05:45", "2026-11-24t09:00:00z"] {
        let again = ask(spelling).await;
        assert_eq!((again.id(), again.header("idempotent-replayed")), (first.id(), Some("true")));
    }
    let null = merged(world.booking("2026-11-24T09:00:00Z"), json!({"metadata": {}, "user_id": null}));
    let again = world.app.ask_keyed("k", Method::POST, &path, Some(null)).await.expect(201);
    assert_eq!(again.id(), first.id());
}

/// Lesson: an idempotency key poisoned by a failure.
#[tokio::test]
async fn refusals_are_decided_afresh() {
    let world = World::start().await;
    let path = world.path("/bookings");
    let taken = world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    let ask =
        async || world.app.ask_keyed("k", Method::POST, &path, Some(world.booking("2026-11-24T10:00:00+01:00"))).await;
    assert_eq!(ask().await.problem(), "409 slot_unavailable");
    world.app.delete(&world.path(&format!("/bookings/{}", taken.id()))).await.expect(200);
    assert_eq!(ask().await.status, 201);
}

/// What is as was asked already needs nothing done. Repeated later, it must not be done on what others have made of things since.
#[tokio::test]
async fn a_success_that_changed_nothing_is_repeated_like_any_other() {
    let world = World::start().await;
    let (ten, eleven) =
        (json!({"start_time": "2026-11-24T10:00:00+01:00"}), json!({"start_time": "2026-11-24T11:00:00+01:00"}));
    let booking = world.path(&format!("/bookings/{}", world.book("2026-11-24T10:00:00+01:00").await.expect(201).id()));
    let stay = async |body: &Value| world.app.ask_keyed("stay", Method::PATCH, &booking, Some(body.clone())).await;
    let first = stay(&ten).await.expect(200);
    assert_eq!(first.header("idempotent-replayed"), None);
    world.app.patch(&booking, eleven.clone()).await.expect(200);
    let again = stay(&ten).await.expect(200);
    assert_eq!((&again.text, again.header("idempotent-replayed")), (&first.text, Some("true")));
    assert_eq!(stay(&eleven).await.problem(), "409 idempotency_mismatch");
    let present = world.app.get(&booking).await.expect(200);
    assert_eq!(present.text_at("/start_time"), "2026-11-24T11:00:00+01:00", "it was moved by somebody else");

    let session = world.path("/holds?session_id=call");
    let hang_up = async || world.app.ask_keyed("hang-up", Method::DELETE, &session, None).await.expect(204);
    assert_eq!(hang_up().await.header("idempotent-replayed"), None);
    let body =
        json!({"event_type_id": world.event_type, "start_time": "2026-11-24T14:00:00+01:00", "session_id": "call"});
    let hold = world.app.post(&world.path("/holds"), body).await.expect(201).id();
    assert_eq!(hang_up().await.header("idempotent-replayed"), Some("true"));
    let hold = world.app.get(&world.path(&format!("/holds/{hold}"))).await.expect(200);
    assert_eq!(hold.text_at("/status"), "active", "it was not there when the call hung up");
}

/// Lesson: voice platforms repeat a failed tool call twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_duplicates_make_one_booking_and_the_rest_replay_it() {
    let world = std::sync::Arc::new(World::start().await);
    let tasks = (0..12).map(|_| {
        let world = std::sync::Arc::clone(&world);
        tokio::spawn(async move {
            let body = world.booking("2026-11-24T10:00:00+01:00");
            world.app.ask_keyed("once", Method::POST, &world.path("/bookings"), Some(body)).await
        })
    });
    let replies: Vec<Reply> =
        futures::future::join_all(tasks).await.into_iter().map(|r| r.expect("no panic")).collect();
    let first = replies[0].id();
    assert!(replies.iter().all(|reply| reply.status == 201 && reply.id() == first));
    let fresh = replies.iter().filter(|reply| reply.header("idempotent-replayed").is_none()).count();
    assert_eq!(fresh, 1);
}

#[tokio::test]
async fn keys_must_be_printable_and_short() {
    let world = World::start().await;
    let path = world.path("/users");
    for key in ["", &"k".repeat(256), "k\u{e9}"] {
        let reply = world.app.ask_keyed(key, Method::POST, &path, Some(json!({}))).await;
        assert_eq!(reply.problem(), "400 invalid_request Idempotency-Key:invalid_format");
    }
    let longest = world.app.ask_keyed(&"k".repeat(255), Method::POST, &path, Some(json!({}))).await;
    assert_eq!(longest.status, 422);
}
