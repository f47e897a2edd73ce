//! Freshness in the caller's hands.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{Behaviour, World, caldav};

const DATES: &str = "start_date=2026-11-24&end_date=2026-11-24";
/// Far beyond any deadline asked for here, and far below those not to be waited for.
const PATIENCE: Duration = Duration::from_secs(18);

/// A user whose calendar never had a sync, because its provider never answers.
async fn hanging_user(world: &World) -> String {
    world.app.provider.behave(Behaviour::Hanging);
    let connection = world.app.post(&world.path("/connections"), caldav("https://dav.example")).await;
    let calendar = connection.expect(201).text_at("/calendars/0/id");
    world.new_user("Tom", json!({"calendar_id": calendar})).await
}

/// A world whose user has a calendar that was synced.
async fn synced_world() -> (World, String) {
    let world = World::start().await;
    let calendar = world.connect().await.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    let query = format!("event_type_id={}&{DATES}", world.event_type);
    assert_eq!(world.availability(&query).await.expect(200).text_at("/freshness/state"), "complete");
    (world, query)
}

/// Lesson: every page load asks the provider, and the caller waits for the slowest.
#[tokio::test]
async fn a_deadline_leaves_out_whoever_cannot_be_had_by_then() {
    let world = World::start().await;
    let tom = hanging_user(&world).await;
    let both = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    // Sarah's facts are at hand; a loaded machine may need longer than the deadline to wake them.
    world.starts_on("2026-11-24").await;
    let begun = Instant::now();
    let reply = world.availability(&format!("event_type_id={both}&{DATES}&deadline_ms=40")).await.expect(200);
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(reply.text_at("/freshness/state"), "partial");
    assert_eq!(reply.at("/freshness/users"), json!([{"user_id": tom, "reason": "deadline_exceeded"}]));
    assert_eq!(reply.at("/slots/0/user_ids"), json!([world.user]));
}

#[tokio::test]
async fn a_deadline_with_nobody_left_is_a_503() {
    let world = World::start().await;
    let tom = hanging_user(&world).await;
    let alone = world.new_event_type("alone", &[&tom], json!({})).await;
    let team = world.new_event_type("team", &[&world.user, &tom], json!({"scheduling_mode": "collective"})).await;
    world.starts_on("2026-11-24").await;
    let questions = [
        format!("event_type_id={alone}"),
        format!("event_type_id={team}"),
        format!("user_id={tom}&duration_minutes=30"),
    ];
    for question in questions {
        let reply = world.availability(&format!("{question}&{DATES}&deadline_ms=40")).await;
        assert_eq!(reply.problem(), "503 availability_unavailable", "{question}");
        let users = json!([{"user_id": tom, "reason": "deadline_exceeded"}]);
        assert_eq!(reply.at("/freshness/users"), users, "{question}");
    }
}

#[tokio::test]
async fn facts_too_old_at_the_deadline_come_as_they_are_and_say_so() {
    let (world, query) = synced_world().await;
    world.app.provider.behave(Behaviour::Hanging);
    world.app.clock.advance(Duration::from_secs(5));
    let begun = Instant::now();
    let old = world.availability(&format!("{query}&max_staleness_ms=4999&deadline_ms=40")).await.expect(200);
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(old.text_at("/freshness/state"), "stale");
    assert_eq!(old.text_at("/freshness/as_of"), "2026-11-23T08:00:00+01:00");
    let content = world.availability(&format!("{query}&max_staleness_ms=5000&deadline_ms=40")).await.expect(200);
    assert_eq!(content.text_at("/freshness/state"), "complete");
}

/// The clock runs while the provider is asked, so what comes is some time old when it arrives. It was renewed for this
/// question, and that is as fresh as can be.
#[tokio::test]
async fn who_accepts_no_age_gets_facts_renewed_and_does_not_wait_for_younger_ones() {
    let (world, query) = synced_world().await;
    world.app.clock.advance(Duration::from_secs(5));
    let begun = Instant::now();
    let question = format!("{query}&max_staleness_ms=0&deadline_ms=20000");
    let ticking = async {
        loop {
            world.app.clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
    };
    let reply = tokio::select! {
        reply = world.availability(&question) => reply.expect(200),
        () = ticking => unreachable!("it ticks for ever"),
    };
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(reply.text_at("/freshness/state"), "complete");
    assert!(reply.text_at("/freshness/as_of").as_str() >= "2026-11-23T08:00:05+01:00", "{}", reply.shown());
}

#[tokio::test]
async fn ages_and_deadlines_have_bounds() {
    let world = World::start().await;
    let query = format!("event_type_id={}&{DATES}", world.event_type);
    world.availability(&query).await.expect(200);
    let check = async |more: &str, expected: &str| {
        let reply = world.availability(&format!("{query}&{more}")).await;
        let found = if reply.status == 200 { "200".to_owned() } else { reply.problem() };
        assert_eq!(found, expected, "{more}");
    };
    check("deadline_ms=1", "200").await;
    check("deadline_ms=20000", "200").await;
    check("deadline_ms=0", "422 validation_failed deadline_ms:out_of_range").await;
    check("deadline_ms=20001", "422 validation_failed deadline_ms:out_of_range").await;
    check("deadline_ms=soon", "400 invalid_request deadline_ms:wrong_type").await;
    check("max_staleness_ms=0", "200").await;
    check("max_staleness_ms=86400000", "200").await;
    check("max_staleness_ms=86400001", "422 validation_failed max_staleness_ms:out_of_range").await;
}
