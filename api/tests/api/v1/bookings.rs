use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{World, eventually, merged};

#[tokio::test]
async fn a_booking_is_made_moved_and_cancelled() {
    let world = World::start().await;
    let body = json!({
        "event_type_id": world.event_type, "start_time": "2026-11-24T10:00:00+01:00",
        "attendee": {"name": "Tom", "email": "tom@example.com", "phone": "+1 212 555 0100", "timezone": "America/New_York"},
        "metadata": {"call": "c-1"},
    });
    let made = world.app.post(&world.path("/bookings"), body).await;
    assert_snapshot!(made.shown(), @r#"
    201
    {
      "attendee": {
        "email": "tom@example.com",
        "name": "Tom",
        "phone": "+1 212 555 0100",
        "timezone": "America/New_York"
      },
      "calendar_event_id": null,
      "conference": null,
      "created_at": "2026-11-23T02:00:00-05:00",
      "end_time": "2026-11-24T04:30:00-05:00",
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
      "id": "book_3",
      "manage_url": "http://127.0.0.1:8080/manage/..",
      "metadata": {
        "call": "c-1"
      },
      "start_time": "2026-11-24T04:00:00-05:00",
      "status": "confirmed",
      "timezone": "America/New_York",
      "user_id": "user_2",
      "user_ids": [
        "user_2"
      ],
      "writeback": null
    }
    "#);
    let path = world.path(&format!("/bookings/{}", made.id()));
    assert_eq!(world.app.get(&path).await.json(), made.json());
    assert!(!world.starts_on("2026-11-24").await.contains(&"2026-11-24T10:00:00+01:00".to_owned()));

    let moved = world.app.patch(&path, json!({"start_time": "2026-11-24T12:00:00Z"})).await.expect(200);
    assert_eq!(moved.text_at("/start_time"), "2026-11-24T07:00:00-05:00");
    assert!(world.starts_on("2026-11-24").await.contains(&"2026-11-24T10:00:00+01:00".to_owned()));
    assert!(!world.starts_on("2026-11-24").await.contains(&"2026-11-24T13:00:00+01:00".to_owned()));

    let cancelled = world.app.delete(&format!("{path}?reason=ill")).await.expect(200);
    assert_eq!(cancelled.text_at("/status"), "cancelled");
    assert_eq!(world.app.delete(&path).await.expect(200).json(), cancelled.json());
    assert_eq!(world.starts_on("2026-11-24").await.len(), 16);
    let late = world.app.patch(&path, json!({"start_time": "2026-11-24T14:00:00Z"})).await;
    assert_eq!(late.problem(), "409 booking_cancelled");
}

#[tokio::test]
async fn a_refusal_says_why_and_what_else() {
    let world = World::start().await;
    world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    let refused = world.book("2026-11-24T10:00:00+01:00").await;
    assert_snapshot!(refused.shown(), @r#"
    409
    {
      "alternatives": [
        {
          "end_time": "2026-11-24T10:00:00+01:00",
          "slot_id": "slot_1",
          "start_time": "2026-11-24T09:30:00+01:00",
          "user_ids": [
            "user_2"
          ]
        },
        {
          "end_time": "2026-11-24T12:30:00+01:00",
          "slot_id": "slot_3",
          "start_time": "2026-11-24T12:00:00+01:00",
          "user_ids": [
            "user_2"
          ]
        },
        {
          "end_time": "2026-11-23T17:00:00+01:00",
          "slot_id": "slot_4",
          "start_time": "2026-11-23T16:30:00+01:00",
          "user_ids": [
            "user_2"
          ]
        },
        {
          "end_time": "2026-11-23T12:00:00+01:00",
          "slot_id": "slot_5",
          "start_time": "2026-11-23T11:30:00+01:00",
          "user_ids": [
            "user_2"
          ]
        },
        {
          "end_time": "2026-11-25T09:30:00+01:00",
          "slot_id": "slot_6",
          "start_time": "2026-11-25T09:00:00+01:00",
          "user_ids": [
            "user_2"
          ]
        }
      ],
      "code": "slot_unavailable",
      "decision_id": "dec_7",
      "detail": "this time cannot be booked; offer one of the `alternatives`",
      "errors": [],
      "reasons": [
        {
          "reasons": [
            "booked"
          ],
          "user_id": "user_2"
        }
      ],
      "request_id": "req_8",
      "status": 409,
      "title": "The time is not available",
      "type": "urn:agentcal:problem:slot_unavailable"
    }
    "#);
}

#[tokio::test]
async fn every_reason_has_its_name() {
    let world = World::start().await;
    world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    let check = async |start: &str, reasons: Value| {
        let refused = world.book(start).await;
        assert_eq!(refused.problem(), "409 slot_unavailable", "{start}");
        assert_eq!(refused.at("/reasons/0/reasons"), reasons, "{start}");
    };
    check("2026-11-24T10:10:00+01:00", json!(["not_on_slot_grid", "booked"])).await;
    check("2026-11-24T17:00:00+01:00", json!(["outside_rules"])).await;
    check("2026-11-20T10:00:00+01:00", json!(["too_soon"])).await;
    check("2027-11-24T10:00:00+01:00", json!(["beyond_booking_window"])).await;
}

#[tokio::test]
async fn a_host_is_found_by_mode() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let hosts = [world.user.as_str(), tom.as_str()];
    let any = world.new_event_type("any", &hosts, json!({})).await;
    let robin = world.new_event_type("robin", &hosts, json!({"scheduling_mode": "round_robin"})).await;
    let team = world.new_event_type("team", &hosts, json!({"scheduling_mode": "collective"})).await;
    let book = async |event_type: &str, start: &str, more: Value| {
        let body = json!({"event_type_id": event_type, "start_time": start, "attendee": {"name": "A"}});
        world.app.post(&world.path("/bookings"), merged(body, more)).await
    };
    let first = book(&any, "2026-11-24T09:00:00+01:00", json!({})).await.expect(201);
    assert_eq!(first.at("/user_ids"), json!([world.user]));
    let second = book(&any, "2026-11-24T09:00:00+01:00", json!({})).await.expect(201);
    assert_eq!(second.at("/user_ids"), json!([tom]));
    book(&any, "2026-11-24T09:00:00+01:00", json!({})).await.expect(409);
    book(&any, "2026-11-24T10:00:00+01:00", json!({"user_id": world.user})).await.expect(201);
    let fewest = book(&robin, "2026-11-24T11:00:00+01:00", json!({})).await.expect(201);
    assert_eq!(fewest.at("/user_ids"), json!([tom]));
    let named = book(&team, "2026-11-24T12:00:00+01:00", json!({"user_id": tom})).await;
    assert_eq!(named.problem(), "422 validation_failed user_id:not_together");
    let all = book(&team, "2026-11-24T12:00:00+01:00", json!({})).await.expect(201);
    assert_eq!(all.at("/user_ids"), json!(hosts));
    assert_eq!(all.at("/hosts").as_array().map(Vec::len), Some(2));
    book(&team, "2026-11-24T11:00:00+01:00", json!({})).await.expect(409);
    let stranger = book(&world.event_type, "2026-11-24T14:00:00+01:00", json!({"user_id": tom})).await;
    assert_eq!(stranger.problem(), "422 validation_failed user_id:not_a_host");
}

#[tokio::test]
async fn a_meeting_needs_no_event_type() {
    let world = World::start().await;
    let body = json!({"user_id": world.user, "duration_minutes": 20, "attendee": {"name": "A"}});
    let body = merged(body, json!({"start_time": "2026-11-24T09:20:00+01:00"}));
    let made = world.app.post(&world.path("/bookings"), body.clone()).await.expect(201);
    assert_eq!(made.at("/event_type_id"), json!(null));
    assert_eq!(made.text_at("/end_time"), "2026-11-24T09:40:00+01:00");
    let check = async |more: Value, without: &str, problem: &str| {
        let mut body = merged(body.clone(), more);
        body.as_object_mut().expect("an object").remove(without);
        assert_eq!(world.app.post(&world.path("/bookings"), body).await.problem(), problem);
    };
    check(json!({}), "user_id", "422 validation_failed user_id:required").await;
    check(json!({}), "duration_minutes", "422 validation_failed duration_minutes:required").await;
    let both = json!({"event_type_id": world.event_type});
    check(both, "metadata", "422 validation_failed duration_minutes:not_together").await;
}

/// The link is of the booking alone, and the same wherever the booking is shown.
#[tokio::test]
async fn a_booking_has_its_link() {
    let world = World::start().await;
    let made = world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    let other = world.book("2026-11-24T11:00:00+01:00").await.expect(201);
    let link = made.text_at("/manage_url");
    assert!(link.starts_with("http://127.0.0.1:8080/manage/"), "{link}");
    assert_ne!(link, other.text_at("/manage_url"));
    let path = world.path(&format!("/bookings/{}", made.id()));
    let listed = world.app.get(&world.path("/bookings")).await.text_at("/data/0/manage_url");
    let moved = world.app.patch(&path, json!({"start_time": "2026-11-24T12:00:00+01:00"})).await.expect(200);
    let cancelled = world.app.delete(&path).await.expect(200);
    let read = world.app.get(&path).await.text_at("/manage_url");
    for shown in [listed, moved.text_at("/manage_url"), cancelled.text_at("/manage_url"), read] {
        assert_eq!(shown, link);
    }
}

#[tokio::test]
async fn lists_are_filtered() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let make = async |user: &str, start: &str, attendee: Value| {
        let body = json!({"user_id": user, "duration_minutes": 30, "start_time": start, "attendee": attendee});
        world.app.post(&world.path("/bookings"), body).await.expect(201).id()
    };
    let ann = json!({"name": "Ann", "email": "Ann@Example.com", "phone": "+49 (30) 901820"});
    let a = make(&world.user, "2026-11-24T10:00:00+01:00", ann).await;
    let b = make(&tom, "2026-11-24T09:00:00+01:00", json!({"name": "B"})).await;
    let c = make(&world.user, "2026-11-25T09:00:00+01:00", json!({"name": "C"})).await;
    world.app.delete(&world.path(&format!("/bookings/{c}"))).await.expect(200);
    let check = async |query: &str, expected: &[&String]| {
        let list = world.app.get(&world.path(&format!("/bookings?{query}"))).await.expect(200);
        let ids: Vec<_> = list.at("/data").as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
        assert_eq!(json!(ids), json!(expected), "{query}");
    };
    check("", &[&b, &a, &c]).await;
    check("status=confirmed", &[&b, &a]).await;
    check("status=cancelled", &[&c]).await;
    check(&format!("user_id={tom}"), &[&b]).await;
    check("starts_after=2026-11-24T10:00:00%2B01:00", &[&a, &c]).await;
    check("starts_after=2026-11-24T10:00:00+01:00", &[&a, &c]).await;
    check("starts_before=2026-11-24T09:00:00Z", &[&b]).await;
    check("attendee_email=ann@example.com", &[&a]).await;
    check("attendee_phone=%2B4930901820", &[&a]).await;
    check("attendee_phone=+4930901820", &[&a]).await;
    check("limit=1", &[&b]).await;
    world.app.clock.advance(Duration::from_secs(30 * 3_600));
    eventually("the clock to be seen", async || {
        world.app.get(&world.path("/bookings?status=completed")).await.at("/data/0/id") == json!(b)
    })
    .await;
    check("status=completed", &[&b, &a]).await;
    let over =
        world.app.patch(&world.path(&format!("/bookings/{a}")), json!({"start_time": "2026-11-26T09:00:00Z"})).await;
    assert_eq!(over.problem(), "409 booking_completed");
}

#[tokio::test]
async fn a_booking_reaches_the_calendar() {
    let world = World::start().await;
    let calendar = world.connect().await.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    let made = world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    assert_eq!(made.text_at("/external_state"), "in_sync");
    let path = world.path(&format!("/bookings/{}", made.id()));
    eventually("the writeback", async || world.app.get(&path).await.at("/writeback/state") == "written").await;
    let written = world.app.get(&path).await;
    assert_eq!(written.text_at("/calendar_event_id"), format!("{}.ics", made.id()));
    assert_eq!(written.at("/hosts/0/calendar_event_id"), written.at("/calendar_event_id"));
}

#[tokio::test]
async fn a_booking_of_an_event_type_with_a_conference_gets_a_link() {
    let world = World::start().await;
    let connection = world.app.post(&world.path("/connections"), json!({"provider": "sandbox"})).await.expect(201);
    let calendar = json!({"calendar_id": connection.text_at("/calendars/0/id")});
    let host = world.new_user("Host", calendar).await;
    let event_type = world.new_event_type("meet", &[&host], json!({"conference": "google_meet"})).await;
    // A Sunday evening, when nobody has anything in the sandbox.
    let rules = json!({"timezone": "UTC", "rules": [{"day_of_week": 0, "start_time": "18:00", "end_time": "22:00"}]});
    world.app.put(&world.path(&format!("/users/{host}/availability-rules")), rules).await.expect(200);
    let body = json!({"event_type_id": event_type, "start_time": "2026-11-29T20:00:00Z", "attendee": {"name": "Tom"}});
    let made = world.app.post(&world.path("/bookings"), body).await.expect(201);
    assert_eq!(made.at("/conference"), json!({"type": "google_meet", "state": "pending", "join_url": null}));
    let path = world.path(&format!("/bookings/{}", made.id()));
    let ready = async || world.app.get(&path).await.at("/conference/state") == json!("ready");
    eventually("the link is there", ready).await;
    let link = world.app.get(&path).await.text_at("/conference/join_url");
    assert!(link.starts_with("https://meet.example.com/"), "{link}");
}
