use agentcal_engine::model::{KeyKind, Mode};
use agentcal_engine::time::{HOUR_US, TimeRange};
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Behaviour, Reply, START, World, caldav};

async fn explain(world: &World, query: &str) -> Reply {
    world.app.get(&world.path(&format!("/availability/explain?{query}"))).await
}

/// What a rule says of the first user.
fn rule(reply: &Reply, name: &str) -> Value {
    let rules = reply.at("/users/0/rules");
    rules.as_array().into_iter().flatten().find(|rule| rule["rule"] == name).cloned().unwrap_or(Value::Null)
}

#[tokio::test]
async fn an_explanation_tells_of_every_rule() {
    let world = World::start().await;
    let event = json!({"max_bookings_per_day": 2, "buffer_before": 15, "min_notice_hours": 2});
    let event_type = world.new_event_type("limited", &[&world.user], event).await;
    let mut booking = world.booking("2026-11-24T10:00:00+01:00");
    booking["event_type_id"] = json!(event_type);
    world.app.post(&world.path("/bookings"), booking).await.expect(201);
    let reply = explain(&world, &format!("event_type_id={event_type}&at=2026-11-24T10:30:00%2B01:00")).await;
    assert_snapshot!(reply.shown(), @r#"
    200
    {
      "bookable": false,
      "end_time": "2026-11-24T11:00:00+01:00",
      "event_type_id": "evt_1",
      "freshness": {
        "as_of": "2026-11-23T08:00:00+01:00",
        "state": "complete",
        "users": []
      },
      "start_time": "2026-11-24T10:30:00+01:00",
      "timezone": "Europe/Berlin",
      "users": [
        {
          "calendars": [
            {
              "age_seconds": null,
              "as_of": null,
              "calendar_id": null,
              "known": null,
              "revision": 2,
              "state": "internal",
              "unknown_reason": null
            }
          ],
          "reasons": [
            "buffer"
          ],
          "rules": [
            {
              "next": {
                "end_time": "2026-11-25T17:00:00+01:00",
                "start_time": "2026-11-25T09:00:00+01:00"
              },
              "previous": {
                "end_time": "2026-11-24T17:00:00+01:00",
                "start_time": "2026-11-24T09:00:00+01:00"
              },
              "reasons": [],
              "rule": "windows",
              "verdict": "for",
              "window": {
                "end_time": "2026-11-24T17:00:00+01:00",
                "start_time": "2026-11-24T09:00:00+01:00"
              }
            },
            {
              "counted_from": "2026-11-24T09:00:00+01:00",
              "next": "2026-11-24T11:00:00+01:00",
              "previous": "2026-11-24T10:30:00+01:00",
              "reasons": [],
              "rule": "slot_grid",
              "verdict": "for"
            },
            {
              "obstacles": [
                {
                  "end_time": "2026-11-24T10:30:00+01:00",
                  "kind": "booking",
                  "missed_buffer_minutes": 15,
                  "start_time": "2026-11-24T10:00:00+01:00"
                }
              ],
              "reasons": [
                "buffer"
              ],
              "rule": "busy",
              "verdict": "against"
            },
            {
              "earliest": "2026-11-23T10:00:00+01:00",
              "reasons": [],
              "rule": "notice",
              "verdict": "for"
            },
            {
              "latest": "2027-01-22T08:00:00+01:00",
              "reasons": [],
              "rule": "booking_window",
              "verdict": "for"
            },
            {
              "limit": 2,
              "reasons": [],
              "rule": "daily_limit",
              "used": 1,
              "verdict": "for"
            },
            {
              "reasons": [],
              "rule": "knowledge",
              "verdict": "for"
            }
          ],
          "unknown_reason": null,
          "user_id": "user_2",
          "verdict": "not_bookable"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn an_explanation_says_what_a_refusal_says() {
    let world = World::start().await;
    world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    for at in [
        "2026-11-24T10:00:00+01:00",
        "2026-11-24T10:10:00+01:00",
        "2026-11-24T06:00:00+01:00",
        "2026-11-22T10:00:00+01:00",
        "2027-06-01T10:00:00+01:00",
        "2026-11-28T10:00:00+01:00",
    ] {
        let query = format!("event_type_id={}&at={}", world.event_type, at.replace('+', "%2B"));
        let explained = explain(&world, &query).await.expect(200);
        let refused = world.book(at).await.expect(409);
        assert_eq!(explained.at("/users/0/reasons"), refused.at("/reasons/0/reasons"), "{at}");
        assert_eq!(explained.at("/bookable"), json!(false), "{at}");
        let rules = explained.at("/users/0/rules");
        let against = rules.as_array().expect("rules").iter().filter(|rule| rule["verdict"] == "against").count();
        assert!(against > 0, "{at}");
    }
    let query = format!("event_type_id={}&at=2026-11-24T11:00:00%2B01:00", world.event_type);
    let free = explain(&world, &query).await.expect(200);
    assert_eq!((free.at("/bookable"), free.at("/users/0/verdict")), (json!(true), json!("bookable")));
    world.book("2026-11-24T11:00:00+01:00").await.expect(201);
}

#[tokio::test]
async fn busy_time_is_told_with_its_age_and_without_a_title() {
    let world = World::start().await;
    let ten = START.plus_micros(26 * HOUR_US);
    world.app.provider.behave(Behaviour::Busy(vec![TimeRange { start: ten, end: ten.plus_micros(HOUR_US) }]));
    let calendar = world.connect().await.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    world.app.clock.advance(std::time::Duration::from_secs(7));
    let query = format!("user_id={}&duration_minutes=30&at=2026-11-24T10:30:00%2B01:00", world.user);
    let reply = explain(&world, &query).await.expect(200);
    assert_eq!(reply.at("/event_type_id"), json!(null));
    let obstacle = json!({
        "kind": "external_event",
        "start_time": "2026-11-24T10:00:00+01:00",
        "end_time": "2026-11-24T11:00:00+01:00",
        "missed_buffer_minutes": null,
    });
    assert_eq!(rule(&reply, "busy")["obstacles"], json!([obstacle]));
    let seen = reply.at("/users/0/calendars/0");
    assert_eq!(seen["calendar_id"], json!(calendar));
    assert_eq!((&seen["state"], &seen["age_seconds"]), (&json!("synced"), &json!(7)));
    assert_eq!(seen["as_of"], json!("2026-11-23T08:00:00+01:00"));
    assert_eq!(rule(&reply, "daily_limit"), Value::Null);
}

#[tokio::test]
async fn everybody_is_explained() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let check = async |slug: &str, mode: &str, bookable: bool| {
        let event = world.new_event_type(slug, &[&world.user, &tom], json!({"scheduling_mode": mode})).await;
        let reply = explain(&world, &format!("event_type_id={event}&at=2026-11-24T10:00:00%2B01:00")).await.expect(200);
        assert_eq!(reply.at("/bookable"), json!(bookable), "{mode}");
        let who = (reply.at("/users/0/user_id"), reply.at("/users/1/user_id"));
        assert_eq!(who, (json!(world.user), json!(tom)), "{mode}");
        let verdicts = (reply.at("/users/0/verdict"), reply.at("/users/1/verdict"));
        assert_eq!(verdicts, (json!("not_bookable"), json!("bookable")), "{mode}");
    };
    world.book("2026-11-24T10:00:00+01:00").await.expect(201);
    check("one", "individual", true).await;
    check("any", "round_robin", true).await;
    check("all", "collective", false).await;
}

/// Unknown is never free, and an explanation is where one asks why: it is told, not refused.
#[tokio::test]
async fn who_cannot_be_judged_is_unknown_with_the_reason() {
    let world = World::start().await;
    world.app.provider.behave(Behaviour::Hanging);
    let connection = world.app.post(&world.path("/connections"), caldav("https://dav.example")).await.expect(201);
    let calendar = connection.text_at("/calendars/0/id");
    let tom = world.new_user("Tom", json!({"calendar_id": calendar})).await;
    let query = format!("user_id={tom}&duration_minutes=30&deadline_ms=40");
    let reply = explain(&world, &format!("{query}&at=2026-11-24T10:00:00%2B01:00")).await.expect(200);
    assert_eq!((reply.at("/bookable"), reply.at("/users/0/verdict")), (json!(false), json!("unknown")));
    assert_eq!(reply.at("/users/0/unknown_reason"), json!("deadline_exceeded"));
    assert_eq!(rule(&reply, "knowledge")["verdict"], json!("against"));
    assert_eq!(reply.at("/users/0/calendars/0/state"), json!("unknown"));
    assert_eq!((reply.at("/freshness/state"), reply.at("/freshness/as_of")), (json!("unavailable"), json!(null)));
    let night = explain(&world, &format!("{query}&at=2026-11-24T03:00:00%2B01:00")).await.expect(200);
    assert_eq!(night.at("/users/0/verdict"), json!("not_bookable"));
    assert_eq!(night.at("/users/0/reasons"), json!(["outside_rules", "unknown"]));
}

#[tokio::test]
async fn explanations_are_for_secret_keys_and_good_questions() {
    let world = World::start().await;
    let event = format!("event_type_id={}", world.event_type);
    let path = world.path(&format!("/availability/explain?{event}&at=2026-11-24T10:00:00Z"));
    let (key, _) = world.app.new_key(world.app.organization_id, KeyKind::Publishable, Mode::Test, &["*"]).await;
    assert_eq!(world.app.ask_as(&key, Method::GET, &path, None).await.problem(), "403 key_not_allowed");
    let stranger = world.app.stranger().await;
    assert_eq!(world.app.ask_as(&stranger, Method::GET, &path, None).await.problem(), "404 not_found");
    let check = async |query: String, problem: &str| {
        assert_eq!(explain(&world, &query).await.problem(), problem, "{query}");
    };
    check(event.clone(), "422 validation_failed at:required").await;
    check(format!("{event}&at=soon"), "400 invalid_request at:wrong_type").await;
    check(format!("{event}&at=2300-01-01T00:00:00Z"), "422 validation_failed at:out_of_range").await;
    check(format!("{event}&at=2026-11-24T10:00:00Z&limit=1"), "400 invalid_request limit:unknown_field").await;
    check("at=2026-11-24T10:00:00Z".to_owned(), "422 validation_failed event_type_id:required").await;
}
