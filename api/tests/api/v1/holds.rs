//! Slots kept for a caller who thinks. Lessons: a hold keyed on event type only; a team hold that holds one host; a hold
//! two visitors both get.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::model::{KeyKind, Mode};
use futures::future::join_all;
use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Reply, World, eventually, merged};

const TEN: &str = "2026-11-24T10:00:00+01:00";

/// Places a hold at a time of the world's event type.
async fn hold(world: &World, start: &str, more: Value) -> Reply {
    let body = json!({"event_type_id": world.event_type, "start_time": start});
    world.app.post(&world.path("/holds"), merged(body, more)).await
}

async fn read(world: &World, hold_id: &str) -> Reply {
    world.app.get(&world.path(&format!("/holds/{hold_id}"))).await.expect(200)
}

async fn confirm(world: &World, hold_id: &str) -> Reply {
    world.app.post(&world.path("/bookings"), json!({"hold_id": hold_id, "attendee": {"name": "Tom"}})).await
}

async fn release(world: &World, hold_id: &str) -> Reply {
    world.app.delete(&world.path(&format!("/holds/{hold_id}"))).await
}

async fn extend(world: &World, hold_id: &str, body: Option<Value>) -> Reply {
    world.app.ask(Method::POST, &world.path(&format!("/holds/{hold_id}/extend")), body).await
}

async fn is_offered(world: &World, start: &str) -> bool {
    world.starts_on(&start[..10]).await.contains(&start.to_owned())
}

#[tokio::test]
async fn a_hold_is_placed_read_and_released() {
    let world = World::start().await;
    let placed = hold(&world, TEN, json!({"session_id": "call-1"})).await;
    assert_snapshot!(placed.shown(), @r#"
    201
    {
      "booking_id": null,
      "created_at": "2026-11-23T08:00:00+01:00",
      "end_time": "2026-11-24T10:30:00+01:00",
      "event_type_id": "evt_1",
      "expires_at": "2026-11-23T08:02:00+01:00",
      "id": "hold_2",
      "session_id": "call-1",
      "start_time": "2026-11-24T10:00:00+01:00",
      "status": "active",
      "user_ids": [
        "user_3"
      ]
    }
    "#);
    assert_eq!(read(&world, &placed.id()).await.json(), placed.json());
    assert!(!is_offered(&world, TEN).await);
    let refused = world.book(TEN).await;
    assert_eq!(refused.problem(), "409 slot_unavailable");
    assert_eq!(refused.at("/reasons"), json!([{"user_id": world.user, "reasons": ["held"]}]));
    assert_eq!(hold(&world, TEN, json!({})).await.problem(), "409 slot_unavailable");

    release(&world, &placed.id()).await.expect(204);
    release(&world, &placed.id()).await.expect(204);
    assert_eq!(read(&world, &placed.id()).await.text_at("/status"), "released");
    assert!(is_offered(&world, TEN).await);
    assert_eq!(extend(&world, &placed.id(), None).await.problem(), "409 hold_expired");
    let late = confirm(&world, &placed.id()).await;
    assert_eq!(late.problem(), "409 hold_expired");
    assert_eq!(late.text_at("/alternatives/0/start_time"), TEN);
    let slot_id = late.text_at("/alternatives/0/slot_id");
    world.app.post(&world.path("/bookings"), json!({"slot_id": slot_id, "attendee": {"name": "T"}})).await.expect(201);
}

#[tokio::test]
async fn a_confirmed_hold_is_a_booking_and_gone_from_sale_at_once() {
    let world = World::start().await;
    let hold_id = hold(&world, TEN, json!({})).await.expect(201).id();
    let booking = confirm(&world, &hold_id).await.expect(201);
    assert_eq!(booking.text_at("/start_time"), TEN);
    assert!(!is_offered(&world, TEN).await);
    let held = read(&world, &hold_id).await;
    assert_eq!((held.text_at("/status"), held.text_at("/booking_id")), ("confirmed".to_owned(), booking.id()));
    for again in
        [confirm(&world, &hold_id).await, release(&world, &hold_id).await, extend(&world, &hold_id, None).await]
    {
        assert_eq!(again.problem(), "409 hold_confirmed");
        assert_eq!(again.text_at("/booking_id"), booking.id());
    }
    world.app.clock.advance(Duration::from_secs(1_000));
    assert_eq!(read(&world, &hold_id).await.text_at("/status"), "confirmed", "a booking does not expire");
    assert!(!is_offered(&world, TEN).await);
    world.app.delete(&world.path(&format!("/bookings/{}", booking.id()))).await.expect(200);
    assert!(is_offered(&world, TEN).await);
}

/// Lesson: a hold confirmed and its slot sold to another at the moment of expiry.
#[tokio::test]
async fn an_expired_hold_blocks_nobody_and_is_never_confirmed() {
    let world = World::start().await;
    let hold_id = hold(&world, TEN, json!({"ttl_seconds": 60})).await.expect(201).id();
    world.app.clock.advance(Duration::from_millis(59_999));
    assert_eq!(read(&world, &hold_id).await.text_at("/status"), "active");
    assert!(!is_offered(&world, TEN).await);
    world.app.clock.advance(Duration::from_millis(1));
    assert_eq!(read(&world, &hold_id).await.text_at("/status"), "expired");
    assert!(is_offered(&world, TEN).await);
    assert_eq!(confirm(&world, &hold_id).await.problem(), "409 hold_expired");
    assert_eq!(extend(&world, &hold_id, None).await.problem(), "409 hold_expired");
    let second = hold(&world, TEN, json!({})).await.expect(201).id();
    assert_eq!(confirm(&world, &hold_id).await.problem(), "409 hold_expired");
    confirm(&world, &second).await.expect(201);
    release(&world, &hold_id).await.expect(204);
    assert_eq!(read(&world, &hold_id).await.text_at("/status"), "expired");
}

#[tokio::test]
async fn an_extension_counts_from_now_and_takes_nothing_away() {
    let world = World::start().await;
    let hold_id = hold(&world, TEN, json!({"ttl_seconds": 60})).await.expect(201).id();
    world.app.clock.advance(Duration::from_secs(50));
    let extended = extend(&world, &hold_id, Some(json!({"ttl_seconds": 100}))).await.expect(200);
    assert_eq!(extended.text_at("/expires_at"), "2026-11-23T08:02:30+01:00");
    world.app.clock.advance(Duration::from_secs(99));
    assert!(!is_offered(&world, TEN).await);
    for (body, expires_at) in [
        (None, "2026-11-23T08:04:29+01:00"),
        (Some(json!({})), "2026-11-23T08:04:29+01:00"),
        (Some(json!({"ttl_seconds": 30})), "2026-11-23T08:04:29+01:00"),
    ] {
        let extended = extend(&world, &hold_id, body).await.expect(200);
        assert_eq!(extended.text_at("/expires_at"), expires_at);
        assert_eq!(read(&world, &hold_id).await.json(), extended.json());
    }
    world.app.clock.advance(Duration::from_secs(120));
    assert!(is_offered(&world, TEN).await);
}

#[tokio::test]
async fn a_call_gives_back_all_its_holds() {
    let world = World::start().await;
    let place =
        async |start: &str, session: &str| hold(&world, start, json!({"session_id": session})).await.expect(201).id();
    let first = place(TEN, "call-1").await;
    let second = place("2026-11-24T11:00:00+01:00", "call-1").await;
    let other = place("2026-11-24T12:00:00+01:00", "call-2").await;
    let without = hold(&world, "2026-11-24T13:00:00+01:00", json!({})).await.expect(201).id();
    let confirmed = place("2026-11-24T14:00:00+01:00", "call-1").await;
    confirm(&world, &confirmed).await.expect(201);
    for _ in 0..2 {
        world.app.delete(&world.path("/holds?session_id=call-1")).await.expect(204);
    }
    let states = [
        (&first, "released"),
        (&second, "released"),
        (&other, "active"),
        (&without, "active"),
        (&confirmed, "confirmed"),
    ];
    for (hold_id, state) in states {
        assert_eq!(read(&world, hold_id).await.text_at("/status"), state);
    }
    assert!(is_offered(&world, TEN).await && is_offered(&world, "2026-11-24T11:00:00+01:00").await);
    assert!(!is_offered(&world, "2026-11-24T12:00:00+01:00").await);
    world.app.delete(&world.path("/holds?session_id=nobody")).await.expect(204);
    let all = world.app.delete(&world.path("/holds")).await;
    assert_eq!(all.problem(), "422 validation_failed session_id:required");
}

/// A runaway agent cannot block a calendar.
#[tokio::test]
async fn holds_have_limits() {
    let world = World::start().await;
    let at = |place: usize| format!("2026-11-24T{:02}:{:02}:00+01:00", 9 + place / 2, place % 2 * 30);
    for place in 0..10 {
        hold(&world, &at(place), json!({"session_id": "wild"})).await.expect(201);
    }
    let over = hold(&world, &at(10), json!({"session_id": "wild"})).await;
    assert_eq!((over.problem().as_str(), over.header("retry-after")), ("429 hold_limit_reached", Some("30")));
    for place in 10..16 {
        hold(&world, &at(place), json!({})).await.expect(201);
    }
    for place in 0..4 {
        hold(&world, &at(place).replace("11-24", "11-25"), json!({})).await.expect(201);
    }
    let over = hold(&world, "2026-11-26T09:00:00+01:00", json!({})).await;
    assert_eq!((over.problem().as_str(), over.header("retry-after")), ("429 hold_limit_reached", Some("30")));
    assert!(over.text_at("/detail").contains(&world.user));
    world.app.clock.advance(Duration::from_secs(120));
    hold(&world, "2026-11-26T09:00:00+01:00", json!({"session_id": "wild"})).await.expect(201);
}

/// Lesson: voice platforms repeat a failed tool call twice.
#[tokio::test]
async fn repeating_a_hold_or_its_confirmation_repeats_the_answer() {
    let world = World::start().await;
    let ask = async |key: &str, tail: &str, body: Value| {
        world.app.ask_keyed(key, Method::POST, &world.path(tail), Some(body)).await
    };
    let body = json!({"event_type_id": world.event_type, "start_time": TEN});
    let first = ask("a", "/holds", body.clone()).await.expect(201);
    let again =
        ask("a", "/holds", merged(body.clone(), json!({"start_time": "2026-11-24T09:00:00Z", "ttl_seconds": 120})));
    let again = again.await.expect(201);
    assert_eq!((&again.text, again.header("idempotent-replayed")), (&first.text, Some("true")));
    let other = ask("a", "/holds", merged(body.clone(), json!({"ttl_seconds": 60}))).await;
    assert_eq!(other.problem(), "409 idempotency_mismatch");

    let person = json!({"hold_id": first.id(), "attendee": {"name": "Tom"}});
    let booked = ask("b", "/bookings", person.clone()).await.expect(201);
    let again = ask("b", "/bookings", person.clone()).await.expect(201);
    assert_eq!((&again.text, again.header("idempotent-replayed")), (&booked.text, Some("true")));
    assert_eq!(ask("c", "/bookings", person.clone()).await.problem(), "409 hold_confirmed");
    let other = ask("b", "/bookings", merged(person, json!({"attendee": {"name": "Ann"}}))).await;
    assert_eq!(other.problem(), "409 idempotency_mismatch");

    world.app.clock.advance(Duration::from_secs(600));
    let kept = ask("a", "/holds", body).await.expect(201);
    assert_eq!(kept.text, first.text, "as it was answered then");
    world.app.delete(&world.path("/holds?session_id=call")).await.expect(204);
}

/// Lesson: of 50 concurrent requests for one slot 12 to 33 succeeded in a two-step flow.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_callers_one_holds() {
    let world = Arc::new(World::start().await);
    for start in [TEN, "2026-11-24T11:00:00+01:00", "2026-11-24T12:00:00+01:00"] {
        let race = |_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let placed = hold(&world, start, json!({})).await;
                let is_offered = is_offered(&world, start).await;
                (placed, is_offered)
            })
        };
        let answers: Vec<_> =
            join_all((0..50).map(race)).await.into_iter().map(|answer| answer.expect("no panic")).collect();
        let won: Vec<&Reply> = answers.iter().map(|(placed, _)| placed).filter(|placed| placed.status == 201).collect();
        let lost = answers.iter().filter(|(placed, _)| placed.status == 409).count();
        assert_eq!((won.len(), lost), (1, 49), "{start}");
        assert!(answers.iter().all(|(_, is_offered)| !is_offered), "{start}");
        let hold_id = Arc::new(won[0].id());
        let confirm_one = |_| {
            let (world, hold_id) = (Arc::clone(&world), Arc::clone(&hold_id));
            tokio::spawn(async move { confirm(&world, &hold_id).await })
        };
        let confirmed = join_all((0..20).map(confirm_one)).await;
        let statuses: Vec<u16> = confirmed.into_iter().map(|reply| reply.expect("no panic").status).collect();
        assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|&&status| status == 409).count(), 19, "{statuses:?}");
    }
    assert_eq!(world.app.get(&world.path("/bookings")).await.at("/data").as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_hold_of_a_team_holds_everybody() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let hosts = [world.user.as_str(), tom.as_str()];
    let team = world.new_event_type("team", &hosts, json!({"scheduling_mode": "collective"})).await;
    let placed = hold(&world, TEN, json!({"event_type_id": team})).await.expect(201);
    assert_eq!(placed.at("/user_ids"), json!(hosts));
    for user in hosts {
        let body = json!({"user_id": user, "duration_minutes": 60, "start_time": TEN, "attendee": {"name": "A"}});
        let refused = world.app.post(&world.path("/bookings"), body).await;
        assert_eq!(refused.at("/reasons/0/reasons"), json!(["held"]), "{user}");
    }
    let booked = confirm(&world, &placed.id()).await.expect(201);
    assert_eq!(booked.at("/user_ids"), json!(hosts));
    let named = hold(&world, "2026-11-24T11:00:00+01:00", json!({"event_type_id": team, "user_id": tom})).await;
    assert_eq!(named.problem(), "422 validation_failed user_id:not_together");
}

#[tokio::test]
async fn a_hold_needs_no_event_type() {
    let world = World::start().await;
    let body = json!({"user_id": world.user, "duration_minutes": 20, "start_time": "2026-11-24T09:20:00+01:00"});
    let placed = world.app.post(&world.path("/holds"), body).await.expect(201);
    assert_eq!(placed.at("/event_type_id"), json!(null));
    assert_eq!(placed.text_at("/end_time"), "2026-11-24T09:40:00+01:00");
    let booked = confirm(&world, &placed.id()).await.expect(201);
    assert_eq!((booked.at("/event_type_id"), booked.at("/user_ids")), (json!(null), json!([world.user])));
}

#[tokio::test]
async fn what_a_confirmation_says_besides_must_agree() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let other = world.new_event_type("other", &[&world.user], json!({})).await;
    let hold_id = hold(&world, TEN, json!({})).await.expect(201).id();
    let ask = async |more: Value| {
        let body = json!({"hold_id": hold_id, "attendee": {"name": "Tom"}});
        world.app.post(&world.path("/bookings"), merged(body, more)).await
    };
    for (field, value) in [
        ("event_type_id", json!(other)),
        ("user_id", json!(tom)),
        ("start_time", json!("2026-11-24T11:00:00+01:00")),
        ("duration_minutes", json!(45)),
        ("slot_id", json!("slot_x")),
    ] {
        let refused = ask(json!({field: value})).await;
        assert_eq!(refused.problem(), format!("422 validation_failed {field}:not_together"));
    }
    let agreed = json!({"event_type_id": world.event_type, "user_id": world.user, "duration_minutes": 30,
        "start_time": "2026-11-24T09:00:00Z"});
    ask(agreed).await.expect(201);
}

#[tokio::test]
async fn a_hold_outlives_neither_its_event_type_nor_its_host() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let event_type = world.new_event_type("brief", &[&tom], json!({})).await;
    let of_type = hold(&world, TEN, json!({"event_type_id": event_type})).await.expect(201).id();
    let of_host = json!({"user_id": tom, "duration_minutes": 30, "start_time": "2026-11-24T11:00:00+01:00"});
    let of_host = world.app.post(&world.path("/holds"), of_host).await.expect(201).id();
    world.app.delete(&world.path(&format!("/event-types/{event_type}"))).await.expect(204);
    assert_eq!(confirm(&world, &of_type).await.problem(), "422 validation_failed hold_id:not_found");
    world.app.delete(&world.path(&format!("/users/{tom}"))).await.expect(204);
    assert_eq!(read(&world, &of_host).await.text_at("/status"), "released");
    assert_eq!(confirm(&world, &of_host).await.problem(), "409 hold_expired");
}

#[tokio::test]
async fn publishable_keys_hold_public_event_types_only() {
    let world = World::start().await;
    let (key, _) = world.app.new_key(world.app.organization_id, KeyKind::Publishable, Mode::Test, &["*"]).await;
    let bearer = format!("Bearer {key}");
    let ask = async |method: Method, tail: &str, body: Option<Value>| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", tail)];
        world.app.ask_with(&headers, method, &world.path(tail), body).await
    };
    let private = world.new_event_type("private", &[&world.user], json!({})).await;
    let public = json!({"event_type_id": world.event_type, "start_time": TEN});
    let placed = ask(Method::POST, "/holds", Some(public.clone())).await.expect(201);
    assert_eq!(ask(Method::POST, "/holds", Some(public.clone())).await.problem(), "409 replay_withheld");
    let path = format!("/holds/{}", placed.id());
    ask(Method::GET, &path, None).await.expect(200);
    ask(Method::POST, &format!("{path}/extend"), Some(json!({"ttl_seconds": 300}))).await.expect(200);
    let taken = world.app.ask_as(&key, Method::POST, &world.path("/holds"), Some(public)).await;
    assert_eq!(taken.problem(), "409 slot_unavailable");
    assert_eq!((taken.at("/reasons"), taken.at("/decision_id")), (json!(null), json!(null)));
    assert!(taken.at("/alternatives/0/slot_id").is_string());
    let person = json!({"hold_id": placed.id(), "attendee": {"name": "Tom"}});
    ask(Method::POST, "/bookings", Some(person)).await.expect(201);

    let hidden = hold(&world, "2026-11-24T11:00:00+01:00", json!({"event_type_id": private})).await.expect(201).id();
    let nowhere = hidden.replace(&hidden[5..12], "0000000");
    for hold_id in [&hidden, &nowhere] {
        let path = format!("/holds/{hold_id}");
        assert_eq!(ask(Method::GET, &path, None).await.problem(), "404 not_found");
        assert_eq!(ask(Method::DELETE, &path, None).await.problem(), "404 not_found");
        assert_eq!(ask(Method::POST, &format!("{path}/extend"), None).await.problem(), "404 not_found");
        let body = json!({"hold_id": hold_id, "attendee": {"name": "Tom"}});
        let confirmed = world.app.ask_as(&key, Method::POST, &world.path("/bookings"), Some(body)).await;
        assert_eq!(confirmed.problem(), "422 validation_failed hold_id:not_found");
    }
    for body in [
        json!({"event_type_id": private, "start_time": "2026-11-24T12:00:00+01:00"}),
        json!({"user_id": world.user, "duration_minutes": 30, "start_time": "2026-11-24T12:00:00+01:00"}),
    ] {
        let refused = world.app.ask_as(&key, Method::POST, &world.path("/holds"), Some(body)).await;
        assert_eq!(refused.problem(), "403 key_not_allowed");
    }
    let session = world.app.ask_as(&key, Method::DELETE, &world.path("/holds?session_id=a"), None).await;
    assert_eq!(session.problem(), "403 key_not_allowed");
    assert_eq!(read(&world, &hidden).await.text_at("/status"), "active");
}

/// What came from outside meanwhile stands against a confirmation, and the hold stays for another try.
#[tokio::test]
async fn a_meeting_put_into_the_calendar_meanwhile_is_not_booked_over() {
    use crate::support::Behaviour;
    use agentcal_engine::time::{TimeRange, Timestamp};
    let world = World::start().await;
    let calendar = world.connect().await.text_at("/calendars/0/id");
    world.app.patch(&world.path(&format!("/users/{}", world.user)), json!({"calendar_id": calendar})).await.expect(200);
    let hold_id = hold(&world, TEN, json!({"ttl_seconds": 900})).await.expect(201).id();
    let start = Timestamp::from_seconds(1_795_510_800);
    let range = TimeRange::new(start, start + Duration::from_secs(1_800)).expect("a range");
    world.app.provider.behave(Behaviour::Busy(vec![range]));
    world.app.clock.advance(Duration::from_secs(300));
    eventually("the meeting to be seen", async || {
        let refused = confirm(&world, &hold_id).await;
        refused.problem() == "409 slot_unavailable" && refused.at("/reasons/0/reasons") == json!(["busy"])
    })
    .await;
    assert_eq!(read(&world, &hold_id).await.text_at("/status"), "active");
}
