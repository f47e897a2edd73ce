//! Every tenant alone. Lesson: another tenant's key reads slots and free-busy.

use http::Method;
use serde_json::{Value, json};

use crate::support::{World, caldav, merged};

/// Each route of the account with its own things, asked with the key of a stranger, and asked by the stranger inside its
/// own account with the first account's ids.
#[tokio::test]
async fn another_tenants_ids_look_like_missing_ones_everywhere() {
    let world = World::start().await;
    let connection = world.connect().await;
    let calendar = connection.text_at("/calendars/0/id");
    let booking = world.book("2026-11-24T10:00:00+01:00").await.expect(201).id();
    let stranger = world.app.stranger().await;
    let own = world.app.ask_as(&stranger, Method::POST, "/v1/accounts", Some(json!({"name": "S"}))).await.expect(201);
    let before = picture(&world).await;
    let (user, event_type) = (&world.user, &world.event_type);
    let name = json!({"name": "N"});
    let rules = json!({"timezone": "UTC", "rules": []});
    let start = json!({"start_time": "2026-11-24T12:00:00Z"});
    let new_user = json!({"name": "N", "email": "n@example.com", "timezone": "UTC"});
    let new_event = json!({"name": "N", "slug": "n", "duration_minutes": 30, "user_ids": [user]});
    let paths: Vec<(Method, String, Option<Value>)> = vec![
        (Method::GET, String::new(), None),
        (Method::PATCH, String::new(), Some(name.clone())),
        (Method::GET, "/users".into(), None),
        (Method::POST, "/users".into(), Some(new_user)),
        (Method::GET, format!("/users/{user}"), None),
        (Method::PATCH, format!("/users/{user}"), Some(name.clone())),
        (Method::GET, format!("/users/{user}/availability-rules"), None),
        (Method::PUT, format!("/users/{user}/availability-rules"), Some(rules.clone())),
        (Method::GET, "/event-types".into(), None),
        (Method::POST, "/event-types".into(), Some(new_event)),
        (Method::GET, format!("/event-types/{event_type}"), None),
        (Method::PATCH, format!("/event-types/{event_type}"), Some(name)),
        (Method::GET, format!("/event-types/{event_type}/availability-rules"), None),
        (Method::PUT, format!("/event-types/{event_type}/availability-rules"), Some(rules)),
        (Method::GET, "/connections".into(), None),
        (Method::POST, "/connections".into(), Some(caldav("https://dav.example"))),
        (Method::GET, format!("/connections/{}", connection.id()), None),
        (Method::GET, "/bookings".into(), None),
        (Method::POST, "/bookings".into(), Some(world.booking("2026-11-24T11:00:00+01:00"))),
        (Method::GET, format!("/bookings/{booking}"), None),
        (Method::PATCH, format!("/bookings/{booking}"), Some(start)),
        (Method::DELETE, format!("/bookings/{booking}"), None),
        (Method::DELETE, format!("/event-types/{event_type}"), None),
        (Method::DELETE, format!("/users/{user}?cancel_bookings=true"), None),
        (Method::DELETE, format!("/connections/{}", connection.id()), None),
        (
            Method::GET,
            format!("/availability?event_type_id={event_type}&start_date=2026-11-24&end_date=2026-11-24"),
            None,
        ),
        (Method::DELETE, String::new(), None),
    ];
    for (method, tail, body) in &paths {
        let reply = world.app.ask_as(&stranger, method.clone(), &world.path(tail), body.clone()).await;
        assert_eq!(reply.problem(), "404 not_found", "{method} {tail} by a stranger");
    }
    let inside = |tail: &str| format!("/v1/accounts/{}{tail}", own.id());
    for (method, tail, body) in paths.iter().filter(|(_, tail, _)| tail.matches('/').count() > 1) {
        let reply = world.app.ask_as(&stranger, method.clone(), &inside(tail), body.clone()).await;
        assert_eq!(reply.problem(), "404 not_found", "{method} {tail} inside another account");
    }
    let ids_in_bodies = [
        ("/users", json!({"calendar_id": calendar}), "calendar_id"),
        ("/users", json!({"busy_calendar_ids": [calendar]}), "busy_calendar_ids[0]"),
        ("/event-types", json!({"user_ids": [user]}), "user_ids[0]"),
        ("/bookings", world.booking("2026-11-24T11:00:00+01:00"), "event_type_id"),
        (
            "/bookings",
            json!({"user_id": user, "duration_minutes": 30, "start_time": "2026-11-24T10:00:00Z"}),
            "user_id",
        ),
    ];
    let valid = |tail: &str| match tail {
        "/users" => json!({"name": "N", "email": "n@example.com", "timezone": "UTC"}),
        "/event-types" => json!({"name": "N", "slug": "n", "duration_minutes": 30}),
        _ => json!({"attendee": {"name": "A"}}),
    };
    for (tail, more, field) in ids_in_bodies {
        let body = merged(valid(tail), more);
        let reply = world.app.ask_as(&stranger, Method::POST, &inside(tail), Some(body)).await;
        assert_eq!(reply.problem(), format!("422 validation_failed {field}:not_found"));
    }
    for query in [format!("event_type_id={event_type}"), format!("user_id={user}&duration_minutes=30")] {
        let tail = format!("/availability?{query}&start_date=2026-11-24&end_date=2026-11-24");
        let reply = world.app.ask_as(&stranger, Method::GET, &inside(&tail), None).await;
        assert!(reply.problem().starts_with("422 validation_failed") && reply.problem().ends_with(":not_found"));
    }
    let listed = world.app.ask_as(&stranger, Method::GET, &inside("/bookings"), None).await;
    assert_eq!(listed.at("/data"), json!([]));
    assert_eq!(picture(&world).await, before);
}

/// Everything an account lists.
async fn picture(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    for tail in ["", "/users", "/event-types", "/connections", "/bookings"] {
        all.push(world.app.get(&world.path(tail)).await.expect(200).json());
    }
    all
}
