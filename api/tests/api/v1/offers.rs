//! Booking, holding and moving by slot id. Lesson: signed slot ids that the booking does not insist on.

use serde_json::{Value, json};

use crate::support::{Reply, World, merged};

const TEN: &str = "2026-11-24T10:00:00+01:00";

/// The slot id offered for a start.
async fn slot_id(world: &World, question: &str, start: &str) -> Value {
    let date = &start[..10];
    let reply = world.availability(&format!("{question}&start_date={date}&end_date={date}")).await.expect(200);
    let slots = reply.at("/slots");
    let slot = slots.as_array().into_iter().flatten().find(|slot| slot["start_time"] == start);
    slot.unwrap_or_else(|| panic!("{start} is not offered"))["slot_id"].clone()
}

async fn book(world: &World, more: Value) -> Reply {
    world.app.post(&world.path("/bookings"), merged(json!({"attendee": {"name": "Tom"}}), more)).await
}

async fn hold(world: &World, body: Value) -> Reply {
    world.app.post(&world.path("/holds"), body).await
}

#[tokio::test]
async fn what_is_said_beside_a_slot_id_must_agree() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let both = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let offered = slot_id(&world, &format!("event_type_id={both}&user_id={tom}"), TEN).await;
    for (field, value) in [
        ("event_type_id", json!(world.event_type)),
        ("user_id", json!(world.user)),
        ("start_time", json!("2026-11-24T10:30:00+01:00")),
        ("duration_minutes", json!(31)),
    ] {
        let refused = book(&world, json!({"slot_id": offered, field: value})).await;
        assert_eq!(refused.problem(), format!("422 validation_failed {field}:not_together"));
        let refused = hold(&world, json!({"slot_id": offered, field: value})).await;
        assert_eq!(refused.problem(), format!("422 validation_failed {field}:not_together"));
    }
    let agreed = json!({"slot_id": offered, "event_type_id": both, "user_id": tom, "duration_minutes": 30,
        "start_time": "2026-11-24T09:00:00Z"});
    let placed = hold(&world, agreed.clone()).await.expect(201);
    assert_eq!(placed.at("/user_ids"), json!([tom]));
    world.app.delete(&world.path(&format!("/holds/{}", placed.id()))).await.expect(204);
    assert_eq!(book(&world, agreed).await.expect(201).at("/user_ids"), json!([tom]));
}

/// A slot is of those who were offered in it: nobody else takes it, though the event type has more hosts.
#[tokio::test]
async fn an_offer_is_of_those_who_were_offered() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let both = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let of_tom = slot_id(&world, &format!("event_type_id={both}&user_id={tom}"), TEN).await;
    let of_both = slot_id(&world, &format!("event_type_id={both}"), TEN).await;
    let first = book(&world, json!({"slot_id": of_tom})).await.expect(201);
    assert_eq!(first.at("/user_ids"), json!([tom]));
    assert_eq!(book(&world, json!({"slot_id": of_tom})).await.problem(), "409 slot_unavailable");
    let narrowed = book(&world, json!({"slot_id": of_both, "user_id": tom})).await;
    assert_eq!(narrowed.problem(), "409 slot_unavailable");
    let second = book(&world, json!({"slot_id": of_both})).await.expect(201);
    assert_eq!(second.at("/user_ids"), json!([world.user]));
}

#[tokio::test]
async fn a_collective_is_offered_whole() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let hosts = [world.user.as_str(), tom.as_str()];
    let team = world.new_event_type("team", &hosts, json!({"scheduling_mode": "collective"})).await;
    let offered = slot_id(&world, &format!("event_type_id={team}"), TEN).await;
    let narrowed = book(&world, json!({"slot_id": offered, "user_id": tom})).await;
    assert_eq!(narrowed.problem(), "422 validation_failed user_id:not_together");
    assert_eq!(book(&world, json!({"slot_id": offered})).await.expect(201).at("/user_ids"), json!(hosts));
}

/// The strict mode: what nobody offered is neither held nor booked, nor is anything moved there.
#[tokio::test]
async fn a_strict_event_type_refuses_a_bare_start() {
    let world = World::start().await;
    let strict = world.new_event_type("strict", &[&world.user], json!({"require_slot_id": true})).await;
    let bare = json!({"event_type_id": strict, "start_time": TEN});
    let question = format!("event_type_id={strict}");
    let offered = slot_id(&world, &question, TEN).await;
    let check = |refused: Reply| {
        assert_eq!(refused.problem(), "422 validation_failed slot_id:required");
        assert_eq!(refused.at("/alternatives").as_array().map(Vec::len), Some(5), "{}", refused.text);
        refused.at("/alternatives/0/slot_id")
    };
    let instead = check(book(&world, bare.clone()).await);
    check(hold(&world, bare.clone()).await);
    check(book(&world, merged(bare, json!({"dry_run": true}))).await);
    let booked = book(&world, json!({"slot_id": offered})).await.expect(201);
    let path = world.path(&format!("/bookings/{}", booked.id()));
    check(world.app.patch(&path, json!({"start_time": "2026-11-24T14:00:00+01:00"})).await);
    let placed = hold(&world, json!({"slot_id": slot_id(&world, &question, "2026-11-24T11:00:00+01:00").await})).await;
    book(&world, json!({"hold_id": placed.expect(201).id()})).await.expect(201);
    let elsewhere = slot_id(&world, &question, "2026-11-24T14:00:00+01:00").await;
    let moved = world.app.patch(&path, json!({"slot_id": elsewhere})).await.expect(200);
    assert_eq!(moved.text_at("/start_time"), "2026-11-24T14:00:00+01:00");
    let instead = book(&world, json!({"slot_id": instead})).await.expect(201);
    assert_eq!(instead.text_at("/start_time"), TEN, "the time asked for is offered first");
}

#[tokio::test]
async fn a_booking_is_moved_to_what_was_offered_for_it() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let both = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let booking = book(&world, json!({"event_type_id": both, "user_id": tom, "start_time": TEN})).await.expect(201);
    let path = world.path(&format!("/bookings/{}", booking.id()));
    let eleven = "2026-11-24T11:00:00+01:00";
    let of_another = slot_id(&world, &format!("event_type_id={}", world.event_type), eleven).await;
    let of_another_host = slot_id(&world, &format!("event_type_id={both}&user_id={}", world.user), eleven).await;
    for slot_id in [of_another, of_another_host] {
        let refused = world.app.patch(&path, json!({"slot_id": slot_id})).await;
        assert_eq!(refused.problem(), "422 validation_failed slot_id:not_offered");
    }
    let offered = slot_id(&world, &format!("event_type_id={both}"), eleven).await;
    let twice = json!({"slot_id": offered, "start_time": TEN});
    let refused = world.app.patch(&path, twice).await;
    assert_eq!(refused.problem(), "422 validation_failed start_time:not_together");
    let moved = world.app.patch(&path, json!({"slot_id": offered, "start_time": eleven})).await.expect(200);
    assert_eq!((moved.text_at("/start_time"), moved.at("/user_ids")), (eleven.to_owned(), json!([tom])));
    let neither = world.app.patch(&path, json!({})).await;
    assert_eq!(neither.problem(), "422 validation_failed start_time:required");
}
