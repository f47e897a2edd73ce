use insta::assert_snapshot;
use serde_json::json;

use crate::support::{World, caldav};

#[tokio::test]
async fn a_user_is_made_read_changed_and_deleted() {
    let world = World::start().await;
    let body = json!({"name": "Tom", "email": "tom@example.com", "timezone": "America/New_York"});
    let made = world.app.post(&world.path("/users"), body).await;
    assert_snapshot!(made.shown(), @r#"
    201
    {
      "busy_calendar_ids": [],
      "calendar_id": null,
      "created_at": "2026-11-23T02:00:00-05:00",
      "email": "tom@example.com",
      "id": "user_1",
      "name": "Tom",
      "timezone": "America/New_York"
    }
    "#);
    let path = world.path(&format!("/users/{}", made.id()));
    assert_eq!(world.app.get(&path).await.json(), made.json());
    let changed = world.app.patch(&path, json!({"name": "Thomas", "timezone": "Asia/Kolkata"})).await.expect(200);
    assert_eq!((changed.text_at("/name"), changed.text_at("/timezone")), ("Thomas".into(), "Asia/Kolkata".into()));
    assert_eq!(changed.text_at("/email"), "tom@example.com");
    let deleted = world.app.delete(&path).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(world.app.get(&path).await.problem(), "404 not_found");
}

#[tokio::test]
async fn calendars_are_taken_given_back_and_left_alone() {
    let world = World::start().await;
    let connection = world.connect().await;
    let (mine, theirs) = (connection.text_at("/calendars/0/id"), connection.text_at("/calendars/1/id"));
    let path = world.path(&format!("/users/{}", world.user));
    let set = json!({"calendar_id": mine, "busy_calendar_ids": [mine, theirs]});
    let changed = world.app.patch(&path, set).await.expect(200);
    assert_eq!(changed.text_at("/calendar_id"), mine);
    assert_eq!(changed.at("/busy_calendar_ids"), json!([mine, theirs]));
    let renamed = world.app.patch(&path, json!({"name": "Sara"})).await.expect(200);
    assert_eq!(renamed.text_at("/calendar_id"), mine);
    let cleared = world.app.patch(&path, json!({"calendar_id": null, "busy_calendar_ids": null})).await.expect(200);
    assert_eq!((cleared.at("/calendar_id"), cleared.at("/busy_calendar_ids")), (json!(null), json!([])));
    for (body, problem) in [
        (json!({"calendar_id": theirs}), "422 validation_failed calendar_id:not_writable"),
        (json!({"calendar_id": world.user}), "422 validation_failed calendar_id:invalid_format"),
        (json!({"busy_calendar_ids": [mine, mine]}), "422 validation_failed busy_calendar_ids[1]:not_unique"),
    ] {
        assert!(world.app.patch(&path, body).await.problem().starts_with(problem));
    }
}

#[tokio::test]
async fn deleting_a_connection_takes_its_calendars_from_users() {
    let world = World::start().await;
    let connection = world.connect().await;
    let mine = connection.text_at("/calendars/0/id");
    let user = world.new_user("Tom", json!({"calendar_id": mine, "busy_calendar_ids": [mine]})).await;
    let path = world.path(&format!("/connections/{}", connection.id()));
    world.app.delete(&path).await.expect(204);
    assert_eq!(world.app.get(&path).await.problem(), "404 not_found");
    let left = world.app.get(&world.path(&format!("/users/{user}"))).await.expect(200);
    assert_eq!((left.at("/calendar_id"), left.at("/busy_calendar_ids")), (json!(null), json!([])));
    let again = world.app.post(&world.path("/connections"), caldav("https://dav.example")).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn a_user_with_bookings_to_come_stays_unless_they_are_cancelled() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let only = world.app.delete(&world.path(&format!("/users/{}", world.user))).await;
    assert_eq!(only.problem(), "409 user_in_use");
    let mut body = json!({"user_id": tom, "duration_minutes": 30, "attendee": {"name": "A"}});
    body["start_time"] = json!("2026-11-24T10:00:00+01:00");
    let booking = world.app.post(&world.path("/bookings"), body).await.expect(201);
    let path = world.path(&format!("/users/{tom}"));
    assert_eq!(world.app.delete(&path).await.problem(), "409 future_bookings");
    assert_eq!(world.app.delete(&format!("{path}?cancel_bookings=yes")).await.status, 400);
    world.app.delete(&format!("{path}?cancel_bookings=true")).await.expect(204);
    let booking = world.app.get(&world.path(&format!("/bookings/{}", booking.id()))).await.expect(200);
    assert_eq!(booking.text_at("/status"), "cancelled");
}
