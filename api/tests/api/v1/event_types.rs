use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn an_event_type_has_defaults_and_is_changed_field_by_field() {
    let world = World::start().await;
    let body = json!({"name": "Intro", "slug": "intro", "duration_minutes": 45, "user_ids": [world.user]});
    let made = world.app.post(&world.path("/event-types"), body.clone()).await;
    assert_snapshot!(made.shown(), @r#"
    201
    {
      "booking_window_days": 60,
      "buffer_after": 0,
      "buffer_before": 0,
      "buffer_mode": "larger",
      "cancel_notice_hours": 0,
      "conference": null,
      "created_at": "2026-11-23T08:00:00+01:00",
      "duration_minutes": 45,
      "id": "evt_1",
      "location": null,
      "mail": {
        "attendee": true,
        "hosts": false
      },
      "max_bookings_per_day": null,
      "min_notice_hours": 0,
      "name": "Intro",
      "on_stale": "verify",
      "public": false,
      "reminders": [],
      "require_slot_id": false,
      "reschedule_notice_hours": 0,
      "reschedules_max": null,
      "scheduling_mode": "individual",
      "slot_interval_minutes": 45,
      "slug": "intro",
      "user_ids": [
        "user_2"
      ]
    }
    "#);
    let path = world.path(&format!("/event-types/{}", made.id()));
    assert_eq!(world.app.get(&path).await.json(), made.json());
    let changes = [
        json!({"duration_minutes": 60}),
        json!({"slot_interval_minutes": 15, "buffer_before": 5, "buffer_after": 10, "buffer_mode": "sum"}),
        json!({"min_notice_hours": 2, "booking_window_days": 30, "max_bookings_per_day": 4}),
        json!({"scheduling_mode": "round_robin", "public": true, "location": "Room 1", "on_stale": "accept"}),
        json!({"reminders": [{"minutes_before": 1440}, {"minutes_before": 5}], "mail": {"attendee": false, "hosts": true}}),
        json!({"max_bookings_per_day": null, "location": null, "slug": "intro-2", "name": "Intro 2"}),
    ];
    let mut expected = made.json();
    for change in changes {
        let changed = world.app.patch(&path, change.clone()).await.expect(200);
        expected.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        assert_eq!(changed.json(), expected);
    }
    assert_eq!(world.app.post(&world.path("/event-types"), body.clone()).await.status, 201);
    let taken = world.app.post(&world.path("/event-types"), body).await;
    assert_eq!(taken.problem(), "409 slug_taken slug:taken");
    world.app.delete(&path).await.expect(204);
    assert_eq!(world.app.get(&path).await.problem(), "404 not_found");
}

#[tokio::test]
async fn every_fault_is_told_at_once() {
    let world = World::start().await;
    let stranger = world.user.replace(&world.user[10..], "0000000000000000000000");
    let body = json!({
        "name": "", "slug": "Not A Slug", "duration_minutes": 0, "user_ids": [world.user, world.user, stranger],
        "buffer_before": -1, "max_bookings_per_day": 0, "booking_window_days": 366,
    });
    let reply = world.app.post(&world.path("/event-types"), body).await;
    assert_snapshot!(reply.problem(), @"422 validation_failed name:too_short slug:invalid_format duration_minutes:out_of_range buffer_before:out_of_range booking_window_days:out_of_range max_bookings_per_day:out_of_range user_ids[1]:not_unique user_ids[2]:invalid_format user_ids[2]:not_found");
    let missing = world.app.post(&world.path("/event-types"), json!({})).await;
    assert_snapshot!(missing.problem(), @"422 validation_failed name:required slug:required duration_minutes:required user_ids:required");
}

#[tokio::test]
async fn reminders_are_few_bounded_and_none_twice() {
    let world = World::start().await;
    let path = world.path(&format!("/event-types/{}", world.event_type));
    let check = async |minutes: &[i64], expected: &str| {
        let reminders: Vec<Value> = minutes.iter().map(|minutes| json!({"minutes_before": minutes})).collect();
        let reply = world.app.patch(&path, json!({"reminders": reminders})).await;
        assert_eq!(if reply.status == 200 { String::new() } else { reply.problem() }, expected, "{minutes:?}");
    };
    check(&[5, 40_320, 60, 61, 62], "").await;
    check(&[], "").await;
    let fault = |fault: &str| format!("422 validation_failed {fault}");
    check(&[60, 4], &fault("reminders[1].minutes_before:out_of_range")).await;
    check(&[40_321], &fault("reminders[0].minutes_before:out_of_range")).await;
    check(&[60, 30, 60], &fault("reminders[2]:not_unique")).await;
    check(&[10, 20, 30, 40, 50, 60], &fault("reminders:too_long")).await;
    let half = world.app.patch(&path, json!({"mail": {"hosts": true}})).await.expect(200);
    assert_eq!(half.at("/mail"), json!({"attendee": true, "hosts": true}));
}

#[tokio::test]
async fn lists_hold_every_event_type() {
    let world = World::start().await;
    let second = world.new_event_type("second", &[&world.user], json!({})).await;
    let list = world.app.get(&world.path("/event-types")).await.expect(200);
    let ids: Vec<_> = list.at("/data").as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
    assert!(ids.contains(&json!(second)) && ids.contains(&json!(world.event_type)) && ids.len() == 2);
    assert_eq!(list.at("/next_cursor"), json!(null));
}

/// What attendees may do by themselves. Null is an answer of its own, not the same as leaving the field out.
#[tokio::test]
async fn the_policy_for_attendees_is_set_field_by_field() {
    let world = World::start().await;
    let path = world.path(&format!("/event-types/{}", world.event_type));
    let check = async |body: Value, expected: Value| {
        let changed = world.app.patch(&path, body).await.expect(200);
        let policy =
            ["/cancel_notice_hours", "/reschedule_notice_hours", "/reschedules_max"].map(|name| changed.at(name));
        assert_eq!(json!(policy), expected);
        assert_eq!(world.app.get(&path).await.json(), changed.json());
    };
    check(json!({}), json!([0, 0, null])).await;
    check(json!({"cancel_notice_hours": 24, "reschedules_max": 0}), json!([24, 0, 0])).await;
    check(json!({"cancel_notice_hours": null, "reschedule_notice_hours": 8760}), json!([null, 8760, 0])).await;
    check(json!({"reschedules_max": 100, "name": "Other"}), json!([null, 8760, 100])).await;
    check(json!({"reschedules_max": null, "reschedule_notice_hours": null}), json!([null, null, null])).await;
}

/// A conference is made in a calendar at its provider, so hosts need one there. The sandbox can do anything.
#[tokio::test]
async fn a_conference_needs_a_calendar_that_can_have_it() {
    let world = World::start().await;
    let connection = world.app.post(&world.path("/connections"), json!({"provider": "sandbox"})).await.expect(201);
    let work = connection.text_at("/calendars/0/id");
    let able = world.new_user("Able", json!({"calendar_id": work})).await;
    let make = async |user_ids: &[&str], more: Value| {
        let mut body = json!({"name": "M", "slug": "m", "duration_minutes": 30, "user_ids": user_ids});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        world.app.post(&world.path("/event-types"), body).await
    };
    let refused = make(&[&world.user], json!({"conference": "google_meet"})).await;
    assert_eq!(refused.problem(), "422 validation_failed conference:conference_not_possible");
    let detail = refused.text_at("/errors/0/detail");
    assert!(
        detail.contains("google_meet") && detail.contains(&world.user) && detail.contains("calendar_id"),
        "{detail}"
    );
    let unknown = make(&[&able], json!({"conference": "zoom"})).await;
    assert_eq!(unknown.problem(), "422 validation_failed conference:unknown_value");
    let both = [able.as_str(), world.user.as_str()];
    let one_cannot = make(&both, json!({"conference": "microsoft_teams"})).await;
    assert_eq!(one_cannot.problem(), "422 validation_failed conference:conference_not_possible");
    let one_can = json!({"conference": "microsoft_teams", "scheduling_mode": "collective", "slug": "all"});
    make(&both, one_can).await.expect(201);

    let made = make(&[&able], json!({"conference": "google_meet"})).await.expect(201);
    assert_eq!(made.at("/conference"), json!("google_meet"));
    let path = world.path(&format!("/event-types/{}", made.id()));
    let other = world.app.patch(&path, json!({"user_ids": both})).await;
    assert_eq!(other.problem(), "422 validation_failed conference:conference_not_possible");
    let none = world.app.patch(&path, json!({"conference": null})).await.expect(200);
    assert_eq!(none.at("/conference"), json!(null));
}
