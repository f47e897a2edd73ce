//! Trying without doing.

use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{World, merged};

const TEN: &str = "2026-11-24T10:00:00+01:00";

/// Everything a dry run could leave behind.
async fn picture(world: &World) -> Vec<Value> {
    let date = "2026-11-24";
    let mut all = vec![json!(world.starts_on(date).await)];
    for tail in ["/bookings", "/decisions"] {
        all.push(world.app.get(&world.path(tail)).await.expect(200).json());
    }
    all
}

#[tokio::test]
async fn a_booking_is_tried_and_nothing_kept() {
    let world = World::start().await;
    let before = picture(&world).await;
    let body = merged(world.booking(TEN), json!({"dry_run": true, "metadata": {"call": 1}}));
    let tried = world.app.post(&world.path("/bookings"), body.clone()).await;
    assert_snapshot!(tried.shown(), @r#"
    200
    {
      "attendee": {
        "email": null,
        "name": "Tom",
        "phone": null,
        "timezone": null
      },
      "calendar_event_id": null,
      "conference": null,
      "created_at": "2026-11-23T08:00:00+01:00",
      "end_time": "2026-11-24T10:30:00+01:00",
      "event_type_id": "evt_1",
      "external_state": null,
      "hosts": [
        {
          "calendar_event_id": null,
          "external_state": null,
          "user_id": "user_2",
          "writeback": null
        }
      ],
      "id": null,
      "manage_url": null,
      "metadata": {
        "call": 1
      },
      "start_time": "2026-11-24T10:00:00+01:00",
      "status": "confirmed",
      "timezone": "Europe/Berlin",
      "user_id": "user_2",
      "user_ids": [
        "user_2"
      ],
      "writeback": null
    }
    "#);
    let path = world.path("/bookings");
    let keyed = async || world.app.ask_keyed("key", Method::POST, &path, Some(body.clone())).await;
    for _ in 0..2 {
        assert_eq!(keyed().await.expect(200).header("idempotent-replayed"), None);
    }
    assert_eq!(picture(&world).await, before);

    let real = merged(body.clone(), json!({"dry_run": false}));
    let made = world.app.ask_keyed("key", Method::POST, &path, Some(real)).await.expect(201);
    for name in ["/start_time", "/end_time", "/user_ids", "/timezone", "/hosts", "/metadata", "/attendee", "/status"] {
        assert_eq!(made.at(name), tried.at(name), "{name}");
    }
    let before = picture(&world).await;
    let refused = keyed().await;
    assert_eq!(refused.problem(), "409 slot_unavailable", "a key is nothing to a dry run");
    assert_eq!(refused.at("/reasons/0/reasons"), json!(["booked"]));
    assert_eq!(refused.at("/decision_id"), json!(null));
    assert!(refused.at("/alternatives/0/slot_id").is_string());
    assert_eq!(picture(&world).await, before);
}

#[tokio::test]
async fn a_confirmation_is_tried_and_the_hold_stays() {
    let world = World::start().await;
    let body = json!({"event_type_id": world.event_type, "start_time": TEN});
    let hold = world.app.post(&world.path("/holds"), body).await.expect(201);
    let before = picture(&world).await;
    let body = json!({"hold_id": hold.id(), "attendee": {"name": "Tom"}, "dry_run": true});
    let tried = world.app.post(&world.path("/bookings"), body).await.expect(200);
    assert_eq!((tried.at("/id"), tried.text_at("/start_time")), (json!(null), TEN.to_owned()));
    assert_eq!(picture(&world).await, before);
    let path = world.path(&format!("/holds/{}", hold.id()));
    assert_eq!(world.app.get(&path).await.json(), hold.json());
}

#[tokio::test]
async fn a_move_and_a_cancellation_are_tried() {
    let world = World::start().await;
    let booking = world.book(TEN).await.expect(201);
    world.book("2026-11-24T15:00:00+01:00").await.expect(201);
    let path = world.path(&format!("/bookings/{}", booking.id()));
    let before = picture(&world).await;
    let elsewhere = json!({"start_time": "2026-11-24T14:00:00+01:00", "dry_run": true});
    let moved = world.app.ask_keyed("key", Method::PATCH, &path, Some(elsewhere)).await.expect(200);
    assert_eq!((moved.id(), moved.text_at("/start_time")), (booking.id(), "2026-11-24T14:00:00+01:00".to_owned()));
    let taken = world.app.patch(&path, json!({"start_time": "2026-11-24T15:00:00+01:00", "dry_run": true})).await;
    assert_eq!((taken.problem().as_str(), taken.at("/decision_id")), ("409 slot_unavailable", json!(null)));
    let cancelled = format!("{path}?dry_run=true&reason=ill");
    let cancelled = world.app.ask_keyed("key", Method::DELETE, &cancelled, None).await.expect(200);
    assert_eq!((cancelled.id(), cancelled.text_at("/status")), (booking.id(), "cancelled".to_owned()));
    assert_eq!(picture(&world).await, before);

    let gone = world.app.ask_keyed("key", Method::DELETE, &path, None).await.expect(200);
    assert_eq!(gone.header("idempotent-replayed"), None);
    let late = world.app.patch(&path, json!({"start_time": TEN, "dry_run": true})).await;
    assert_eq!(late.problem(), "409 booking_cancelled");
}
