mod explain;
mod freshness;
mod offered;
mod slot_ids;

use std::time::Duration;

use agentcal_engine::time::{HOUR_US, TimeRange};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Behaviour, START, World, eventually, starts};

#[tokio::test]
async fn an_answer_names_slots_freshness_and_zone() {
    let world = World::start().await;
    let query = format!("event_type_id={}&start_date=2026-11-23&end_date=2026-11-24&limit=2", world.event_type);
    assert_snapshot!(world.availability(&query).await.shown(), @r#"
    200
    {
      "event_type_id": "evt_1",
      "freshness": {
        "as_of": "2026-11-23T08:00:00+01:00",
        "state": "complete",
        "users": []
      },
      "next_available": null,
      "slots": [
        {
          "end_time": "2026-11-23T09:30:00+01:00",
          "slot_id": "slot_2",
          "start_time": "2026-11-23T09:00:00+01:00",
          "user_ids": [
            "user_3"
          ]
        },
        {
          "end_time": "2026-11-23T10:00:00+01:00",
          "slot_id": "slot_4",
          "start_time": "2026-11-23T09:30:00+01:00",
          "user_ids": [
            "user_3"
          ]
        }
      ],
      "timezone": "Europe/Berlin"
    }
    "#);
}

#[tokio::test]
async fn the_zone_asked_for_decides_dates_and_offsets() {
    let world = World::start().await;
    let check = async |zone: &str, expected: &str| {
        let id = &world.event_type;
        let query = format!("event_type_id={id}&start_date=2026-11-24&end_date=2026-11-24&limit=1&timezone={zone}");
        assert_eq!(starts(&world.availability(&query).await.expect(200)), [expected], "{zone}");
    };
    check("Europe/Berlin", "2026-11-24T09:00:00+01:00").await;
    check("America/New_York", "2026-11-24T03:00:00-05:00").await;
    check("Asia/Kathmandu", "2026-11-24T13:45:00+05:45").await;
    check("Pacific/Auckland", "2026-11-24T00:00:00+13:00").await;
    check("UTC", "2026-11-24T08:00:00+00:00").await;
}

#[tokio::test]
async fn a_user_and_a_duration_do_without_an_event_type() {
    let world = World::start().await;
    let kolkata = world.new_user("Asha", json!({"timezone": "Asia/Kolkata"})).await;
    let query = format!("user_id={kolkata}&duration_minutes=60&start_date=2026-11-24&end_date=2026-11-24");
    let reply = world.availability(&query).await.expect(200);
    assert_eq!(reply.text_at("/timezone"), "Asia/Kolkata");
    assert_eq!(reply.at("/event_type_id"), json!(null));
    assert_eq!(starts(&reply).len(), 8);
    assert_eq!(starts(&reply)[0], "2026-11-24T09:00:00+05:30");
}

#[tokio::test]
async fn an_empty_window_says_what_comes_next() {
    let world = World::start().await;
    let query = format!("event_type_id={}&start_date=2026-11-28&end_date=2026-11-29", world.event_type);
    let weekend = world.availability(&query).await.expect(200);
    assert_eq!(weekend.at("/slots"), json!([]));
    assert_eq!(weekend.text_at("/next_available"), "2026-11-30T09:00:00+01:00");
    assert_eq!(weekend.text_at("/freshness/state"), "complete");
    let past = format!("event_type_id={}&start_date=2020-01-01&end_date=2020-01-02", world.event_type);
    let past = world.availability(&past).await.expect(200);
    assert_eq!((past.at("/slots"), past.text_at("/next_available")), (json!([]), "2026-11-23T09:00:00+01:00".into()));
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_by_field() {
    let world = World::start().await;
    let event = format!("event_type_id={}", world.event_type);
    let dates = "start_date=2026-11-24&end_date=2026-11-24";
    let tom = world.new_user("Tom", json!({})).await;
    let team = world.new_event_type("team", &[&world.user, &tom], json!({"scheduling_mode": "collective"})).await;
    let user = &world.user;
    let check = async |query: String, problem: &str| {
        assert_eq!(world.availability(&query).await.problem(), problem, "{query}");
    };
    check(event.clone(), "422 validation_failed start_date:required end_date:required").await;
    check(format!("{event}&start_date=tomorrow&end_date=2026-11-24"), "400 invalid_request start_date:wrong_type")
        .await;
    check(format!("{event}&start_date=2026-11-24&end_date=2026-11-23"), "422 validation_failed end_date:out_of_range")
        .await;
    check(format!("{event}&start_date=2026-11-24&end_date=2027-01-25"), "422 validation_failed end_date:out_of_range")
        .await;
    check(format!("{event}&start_date=2026-11-24&end_date=2054-04-11"), "422 validation_failed end_date:out_of_range")
        .await;
    check(
        format!("{event}&start_date=0001-01-01&end_date=9999-12-31"),
        "422 validation_failed start_date:out_of_range end_date:out_of_range",
    )
    .await;
    check(format!("{event}&{dates}&timezone=Mars%2FOlympus"), "422 validation_failed timezone:unknown_value").await;
    check(format!("{event}&{dates}&limit=0"), "422 validation_failed limit:out_of_range").await;
    check(format!("{event}&{dates}&limit=many"), "400 invalid_request limit:wrong_type").await;
    check(format!("{event}&{dates}&max_staleness_ms=-1"), "422 validation_failed max_staleness_ms:out_of_range").await;
    check(format!("{event}&{dates}&{dates}"), "400 invalid_request start_date:duplicate").await;
    check(format!("{event}&{dates}&slot=1"), "400 invalid_request slot:unknown_field").await;
    check(format!("{event}&{dates}&duration_minutes=30"), "422 validation_failed duration_minutes:not_together").await;
    check(dates.to_owned(), "422 validation_failed event_type_id:required").await;
    check(format!("{dates}&user_id={user}"), "422 validation_failed duration_minutes:required").await;
    check(format!("{dates}&duration_minutes=30"), "422 validation_failed user_id:required").await;
    check(format!("{dates}&event_type_id={user}"), "400 invalid_request event_type_id:wrong_type").await;
    check(format!("{event}&{dates}&user_id={tom}"), "422 validation_failed user_id:not_a_host").await;
    check(format!("event_type_id={team}&{dates}&user_id={tom}"), "422 validation_failed user_id:not_together").await;
}

#[tokio::test]
async fn sixty_two_days_and_every_zone_are_fine() {
    let world = World::start().await;
    let query = format!("event_type_id={}&start_date=2026-11-24&end_date=2027-01-24", world.event_type);
    let reply = world.availability(&query).await.expect(200);
    assert!(starts(&reply).len() > 600);
    for zone in chrono_tz::TZ_VARIANTS {
        let reply = world.availability(&format!("{query}&timezone={}&limit=3", zone.name())).await;
        assert_eq!(reply.status, 200, "{zone} {}", reply.text);
    }
}

#[tokio::test]
async fn a_collective_offers_common_time_and_names_everybody() {
    let world = World::start().await;
    let york = world.new_user("York", json!({"timezone": "America/New_York"})).await;
    let team = world.new_event_type("team", &[&world.user, &york], json!({"scheduling_mode": "collective"})).await;
    let query = format!("event_type_id={team}&start_date=2026-11-24&end_date=2026-11-24");
    let reply = world.availability(&query).await.expect(200);
    let expected = ["2026-11-24T15:00:00+01:00", "2026-11-24T15:30:00+01:00", "2026-11-24T16:00:00+01:00"];
    assert_eq!(starts(&reply)[..3], expected);
    assert_eq!(reply.at("/slots/0/user_ids"), json!([world.user, york]));
}

/// Lesson: provider time-out shown as "no slots", provider error counted as free.
#[tokio::test]
async fn unknown_is_never_free_and_never_an_empty_list() {
    let world = World::start().await;
    world.app.provider.behave(Behaviour::Failing);
    let connection = world.app.post(&world.path("/connections"), crate::support::caldav("https://dav.example")).await;
    let mine = connection.expect(201).text_at("/calendars/0/id");
    let tom = world.new_user("Tom", json!({"calendar_id": mine})).await;
    let alone = world.new_event_type("alone", &[&tom], json!({})).await;
    let both = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let team = world.new_event_type("team", &[&world.user, &tom], json!({"scheduling_mode": "collective"})).await;
    let dates = "start_date=2026-11-24&end_date=2026-11-24";
    for id in [alone, team] {
        let reply = world.availability(&format!("event_type_id={id}&{dates}")).await;
        assert_eq!(reply.problem(), "503 availability_unavailable");
        assert!(reply.header("retry-after").is_some());
        assert_eq!(reply.text_at("/freshness/state"), "unavailable");
        assert_eq!(reply.at("/freshness/users/0/user_id"), json!(tom));
    }
    let reply = world.availability(&format!("event_type_id={both}&{dates}")).await.expect(200);
    assert_eq!(reply.text_at("/freshness/state"), "partial");
    assert_eq!(reply.at("/freshness/users/0/user_id"), json!(tom));
    assert_eq!(reply.at("/slots/0/user_ids"), json!([world.user]));
    let mut booking = world.booking("2026-11-24T10:00:00+01:00");
    booking["event_type_id"] = json!(both);
    booking["user_id"] = json!(tom);
    let refused = world.app.post(&world.path("/bookings"), booking).await;
    assert_eq!(refused.problem(), "503 availability_unavailable");
}

#[tokio::test]
async fn busy_time_of_a_calendar_is_taken_away_and_its_age_told() {
    let world = World::start().await;
    let ten = START.plus_micros(26 * HOUR_US);
    let busy = TimeRange::new(ten, ten.plus_micros(HOUR_US)).expect("an hour");
    world.app.provider.behave(Behaviour::Busy(vec![busy]));
    let connection = world.connect().await;
    let calendar = connection.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    let offered = world.starts_on("2026-11-24").await;
    assert!(!offered.iter().any(|start| start.starts_with("2026-11-24T10:")), "{offered:?}");
    assert_eq!(offered.len(), 14);

    world.app.provider.behave(Behaviour::Slow);
    world.app.clock.advance(Duration::from_secs(3_600));
    let query = format!("event_type_id={}&start_date=2026-11-24&end_date=2026-11-24", world.event_type);
    let old = world.availability(&format!("{query}&deadline_ms=500")).await.expect(200);
    assert_eq!(old.text_at("/freshness/state"), "stale");
    assert_eq!(old.text_at("/freshness/as_of"), "2026-11-23T08:00:00+01:00");
    let content = world.availability(&format!("{query}&max_staleness_ms=7200000")).await.expect(200);
    assert_eq!(content.text_at("/freshness/state"), "complete");

    world.app.provider.behave(Behaviour::Free);
    eventually("fresh facts", async || {
        world.app.clock.advance(Duration::from_secs(5));
        world.availability(&query).await.at("/freshness/state") == "complete"
    })
    .await;
}

/// Lesson: every page load asks the provider. Here a warm question does not even ask the store.
#[tokio::test]
async fn a_warm_question_needs_neither_store_nor_provider() {
    let world = World::start().await;
    let before = world.starts_on("2026-11-24").await;
    eventually("a look at the counters", async || world.starts_on("2026-11-24").await.len() == before.len()).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(world.starts_on("2026-11-24").await, before);
    world.app.store.close().await;
    assert_eq!(world.starts_on("2026-11-24").await, before);
    let cold = world.app.get(&world.path("/bookings")).await;
    assert_eq!(cold.problem(), "503 store_unavailable");
}
