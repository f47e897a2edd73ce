//! Every tenant alone. Lesson: another tenant's key reads slots and free-busy.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, World, caldav, merged};

/// A stranger's key, and the account it made for itself.
struct Stranger {
    key: String,
    account: String,
}

impl Stranger {
    async fn of(world: &World) -> Self {
        let key = world.app.stranger().await;
        let own = world.app.ask_as(&key, Method::POST, "/v1/accounts", Some(json!({"name": "S"}))).await.expect(201);
        Self { key, account: own.id() }
    }

    async fn ask_inside(&self, world: &World, method: Method, tail: &str, body: Option<Value>) -> Reply {
        let path = format!("/v1/accounts/{}{tail}", self.account);
        world.app.ask_as(&self.key, method, &path, body).await
    }
}

/// Each route of the account with its own things, asked with the key of a stranger, and asked by the stranger inside its
/// own account with the first account's ids.
#[tokio::test]
async fn another_tenants_ids_in_paths_look_like_missing_ones() {
    let world = World::start().await;
    let connection = world.connect().await.id();
    let booking = world.book("2026-11-24T10:00:00+01:00").await.expect(201).id();
    let stranger = Stranger::of(&world).await;
    let before = picture(&world).await;
    let routes = routes(&world, &connection, &booking);
    for (method, tail, body) in &routes {
        let reply = world.app.ask_as(&stranger.key, method.clone(), &world.path(tail), body.clone()).await;
        assert_eq!(reply.problem(), "404 not_found", "{method} {tail} by a stranger");
    }
    for (method, tail, body) in routes.iter().filter(|(_, tail, _)| tail.matches('/').count() > 1) {
        let reply = stranger.ask_inside(&world, method.clone(), tail, body.clone()).await;
        assert_eq!(reply.problem(), "404 not_found", "{method} {tail} inside another account");
    }
    assert_eq!(picture(&world).await, before);
}

/// Every route below an account, things that are there named.
fn routes(world: &World, connection: &str, booking: &str) -> Vec<(Method, String, Option<Value>)> {
    let (user, event_type) = (&world.user, &world.event_type);
    let name = json!({"name": "N"});
    let rules = json!({"timezone": "UTC", "rules": []});
    let start = json!({"start_time": "2026-11-24T12:00:00Z"});
    let new_user = json!({"name": "N", "email": "n@example.com", "timezone": "UTC"});
    let new_event = json!({"name": "N", "slug": "n", "duration_minutes": 30, "user_ids": [user]});
    let dates = "start_date=2026-11-24&end_date=2026-11-24";
    vec![
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
        (Method::GET, format!("/connections/{connection}"), None),
        (Method::GET, "/bookings".into(), None),
        (Method::POST, "/bookings".into(), Some(world.booking("2026-11-24T11:00:00+01:00"))),
        (Method::GET, format!("/bookings/{booking}"), None),
        (Method::PATCH, format!("/bookings/{booking}"), Some(start)),
        (Method::GET, format!("/availability?event_type_id={event_type}&{dates}"), None),
        (Method::DELETE, format!("/bookings/{booking}"), None),
        (Method::DELETE, format!("/event-types/{event_type}"), None),
        (Method::DELETE, format!("/users/{user}?cancel_bookings=true"), None),
        (Method::DELETE, format!("/connections/{connection}"), None),
        (Method::DELETE, String::new(), None),
    ]
}

#[tokio::test]
async fn another_tenants_ids_in_bodies_and_queries_look_like_missing_ones() {
    let world = World::start().await;
    let calendar = world.connect().await.text_at("/calendars/0/id");
    let stranger = Stranger::of(&world).await;
    let before = picture(&world).await;
    let (user, event_type) = (&world.user, &world.event_type);
    let person = json!({"name": "N", "email": "n@example.com", "timezone": "UTC"});
    let event = json!({"name": "N", "slug": "n", "duration_minutes": 30, "user_ids": [user]});
    let meeting = json!({"user_id": user, "duration_minutes": 30, "start_time": "2026-11-24T10:00:00Z",
        "attendee": {"name": "A"}});
    for (tail, body, field) in [
        ("/users", merged(person.clone(), json!({"calendar_id": calendar})), "calendar_id"),
        ("/users", merged(person, json!({"busy_calendar_ids": [calendar]})), "busy_calendar_ids[0]"),
        ("/event-types", event, "user_ids[0]"),
        ("/bookings", world.booking("2026-11-24T11:00:00+01:00"), "event_type_id"),
        ("/bookings", meeting, "user_id"),
    ] {
        let reply = stranger.ask_inside(&world, Method::POST, tail, Some(body)).await;
        assert_eq!(reply.problem(), format!("422 validation_failed {field}:not_found"));
    }
    for (query, field) in [
        (format!("event_type_id={event_type}"), "event_type_id"),
        (format!("user_id={user}&duration_minutes=30"), "user_id"),
    ] {
        let tail = format!("/availability?{query}&start_date=2026-11-24&end_date=2026-11-24");
        let reply = stranger.ask_inside(&world, Method::GET, &tail, None).await;
        assert_eq!(reply.problem(), format!("422 validation_failed {field}:not_found"));
    }
    for tail in ["/users", "/event-types", "/bookings"] {
        assert_eq!(stranger.ask_inside(&world, Method::GET, tail, None).await.at("/data"), json!([]), "{tail}");
    }
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
