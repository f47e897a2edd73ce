//! The record of every decision: what was asked, what it rested on, what was said.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{World, eventually};

const TEN: &str = "2026-11-24T10:00:00+01:00";

/// Records of refusals are written a moment after the answer.
async fn records(world: &World, query: &str, count: usize) -> Vec<Value> {
    let path = world.path(&format!("/decisions?{query}"));
    eventually("the records", async || world.app.get(&path).await.at("/data").as_array().map(Vec::len) == Some(count))
        .await;
    world.app.get(&path).await.at("/data").as_array().cloned().expect("rows")
}

#[tokio::test]
async fn every_decision_leaves_a_record() {
    let world = World::start().await;
    let calendar = world.connect().await.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    let later = || world.app.clock.advance(Duration::from_secs(1));
    let body = json!({"event_type_id": world.event_type, "start_time": TEN});
    let hold = world.app.post(&world.path("/holds"), body).await.expect(201).id();
    later();
    let body = json!({"hold_id": hold, "attendee": {"name": "Tom", "email": "tom@example.com"}});
    let booking = world.app.post(&world.path("/bookings"), body).await.expect(201).id();
    later();
    let refused = world.book(TEN).await;
    later();
    let path = world.path(&format!("/bookings/{booking}"));
    world.app.patch(&path, json!({"start_time": "2026-11-24T12:00:00+01:00"})).await.expect(200);
    later();
    world.app.patch(&path, json!({"start_time": "2026-11-24T20:00:00+01:00"})).await.expect(409);
    later();
    world.book(TEN).await.expect(201);

    let all = records(&world, "", 6).await;
    let short =
        |row: &Value| format!("{} {}", row["kind"].as_str().expect("a kind"), row["verdict"].as_str().expect("one"));
    let told: Vec<String> = all.iter().map(short).collect();
    let newest_first = [
        "book accepted",
        "reschedule refused",
        "reschedule accepted",
        "book refused",
        "confirm accepted",
        "hold accepted",
    ];
    assert_eq!(told, newest_first);
    let of_booking: Vec<String> =
        records(&world, &format!("booking_id={booking}"), 3).await.iter().map(short).collect();
    assert_eq!(of_booking, ["reschedule refused", "reschedule accepted", "confirm accepted"]);
    let of_hold: Vec<String> = records(&world, &format!("hold_id={hold}"), 2).await.iter().map(short).collect();
    assert_eq!(of_hold, ["confirm accepted", "hold accepted"]);

    let named = world.app.get(&world.path(&format!("/decisions/{}", refused.text_at("/decision_id")))).await;
    assert_eq!(named.json(), all[3]);
    assert_snapshot!(named.shown(), @r#"
    200
    {
      "booking_id": null,
      "decided_at": "2026-11-23T08:00:02+01:00",
      "end_time": "2026-11-24T10:30:00+01:00",
      "event_type_id": "evt_1",
      "facts": [
        {
          "as_of": "2026-11-23T08:00:00+01:00",
          "calendar_id": "cal_2",
          "checked_at": null,
          "revision": 5
        }
      ],
      "hold_id": null,
      "hosts": [
        {
          "reasons": [
            "booked"
          ],
          "user_id": "user_3"
        }
      ],
      "id": "dec_4",
      "kind": "book",
      "rules_version": 5,
      "start_time": "2026-11-24T10:00:00+01:00",
      "user_ids": [],
      "verdict": "refused"
    }
    "#);
    let text = named.text + &json!(all).to_string();
    assert!(!text.contains("Tom") && !text.contains("tom@example.com"), "{text}");
}

#[tokio::test]
async fn records_come_in_pages() {
    let world = World::start().await;
    for hour in 9..14 {
        world.book(&format!("2026-11-24T{hour:02}:00:00+01:00")).await.expect(201);
        world.app.clock.advance(Duration::from_secs(1));
    }
    let whole = records(&world, "", 5).await;
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.app.get(&world.path(&format!("/decisions?limit=2{cursor}"))).await.expect(200);
        paged.extend(page.at("/data").as_array().cloned().expect("rows"));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, whole);
}
