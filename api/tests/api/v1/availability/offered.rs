//! What is offered can be had by its slot id, and nothing else can.

use std::time::Duration;

use agentcal_engine::model::{KeyKind, Mode};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, World};

const DATES: &str = "start_date=2026-11-24&end_date=2026-11-24";

async fn slots(world: &World, question: &str) -> Vec<Value> {
    let reply = world.availability(&format!("{question}&{DATES}")).await.expect(200);
    reply.at("/slots").as_array().cloned().expect("slots")
}

async fn book(world: &World, slot_id: &Value) -> Reply {
    world.app.post(&world.path("/bookings"), json!({"slot_id": slot_id, "attendee": {"name": "Tom"}})).await
}

/// The slot with another start, as whoever guesses would write it.
fn tampered(slot_id: &Value) -> Value {
    let text = slot_id.as_str().expect("a slot id");
    let (head, tail) = text.split_at(18);
    let digit = if tail.starts_with('A') { 'B' } else { 'A' };
    json!(format!("{head}{digit}{}", &tail[1..]))
}

#[tokio::test]
async fn what_is_offered_is_booked_by_its_slot_id() {
    let world = World::start().await;
    let tom = world.new_user("Tom", json!({})).await;
    let event = world.new_event_type("both", &[&world.user, &tom], json!({})).await;
    let questions = [
        format!("event_type_id={event}&user_id={tom}"),
        format!("event_type_id={event}"),
        format!("user_id={tom}&duration_minutes=45"),
    ];
    for (index, question) in questions.iter().enumerate() {
        let slot = slots(&world, question).await[3 + 2 * index].clone();
        let offered = slot["user_ids"].as_array().expect("people");
        assert_eq!(offered.len(), if index == 1 { 2 } else { 1 }, "{question}");
        for user_id in offered {
            let booking = book(&world, &slot["slot_id"]).await.expect(201);
            let taken = (booking.at("/start_time"), booking.at("/end_time"), booking.at("/user_id"));
            assert_eq!(taken, (slot["start_time"].clone(), slot["end_time"].clone(), user_id.clone()), "{question}");
        }
        assert_eq!(book(&world, &slot["slot_id"]).await.problem(), "409 slot_unavailable", "{question}");
    }
}

#[tokio::test]
async fn a_slot_id_nobody_offered_is_refused_with_fresh_ones() {
    let world = World::start().await;
    let question = format!("event_type_id={}", world.event_type);
    let slot = slots(&world, &question).await[4].clone();
    let refused = book(&world, &tampered(&slot["slot_id"])).await;
    assert_eq!(refused.problem(), "422 slot_id_invalid slot_id:not_offered");
    assert_eq!(refused.at("/alternatives").as_array().map(Vec::len), Some(5));
    book(&world, &refused.at("/alternatives/0/slot_id")).await.expect(201);
    for text in ["slot_", "slot_AAAA", "evt_01kaj2wz5rfv8t6xg3m9c1nq4d"] {
        let refused = book(&world, &json!(text)).await;
        assert_eq!(refused.problem(), "422 slot_id_invalid slot_id:not_offered", "{text:?}");
        assert_eq!(refused.at("/alternatives"), json!([]), "{text:?}");
    }
}

#[tokio::test]
async fn an_old_offer_is_refused_and_made_anew() {
    let world = World::start().await;
    let question = format!("event_type_id={}", world.event_type);
    let slot = slots(&world, &question).await[4].clone();
    world.app.clock.advance(Duration::from_secs(1_799));
    let dry = json!({"slot_id": slot["slot_id"], "attendee": {"name": "Tom"}, "dry_run": true});
    world.app.post(&world.path("/bookings"), dry).await.expect(200);
    world.app.clock.advance(Duration::from_secs(1));
    let refused = book(&world, &slot["slot_id"]).await;
    assert_eq!(refused.problem(), "422 slot_id_expired slot_id:expired");
    // Nobody took it: the very same time comes first.
    assert_eq!(refused.at("/alternatives/0/start_time"), slot["start_time"]);
    let booking = book(&world, &refused.at("/alternatives/0/slot_id")).await.expect(201);
    assert_eq!(booking.at("/start_time"), slot["start_time"]);
}

#[tokio::test]
async fn an_offer_ends_with_the_terms_it_was_made_on() {
    let world = World::start().await;
    let question = format!("event_type_id={}", world.event_type);
    let slot = slots(&world, &question).await[4].clone();
    let event_type = world.path(&format!("/event-types/{}", world.event_type));
    world.app.patch(&event_type, json!({"duration_minutes": 60})).await.expect(200);
    let refused = book(&world, &slot["slot_id"]).await;
    assert_eq!(refused.problem(), "422 slot_id_invalid slot_id:not_offered");
    assert_eq!(refused.at("/alternatives/0/start_time"), slot["start_time"]);
    assert_eq!(refused.at("/alternatives/0/end_time"), json!("2026-11-24T12:00:00+01:00"));
}

#[tokio::test]
async fn an_offer_of_another_account_is_none_of_this_one() {
    let world = World::start().await;
    let slot = slots(&world, &format!("event_type_id={}", world.event_type)).await[0].clone();
    let made = world.app.post("/v1/accounts", json!({"name": "Other"})).await.expect(201);
    let body = json!({"slot_id": slot["slot_id"], "attendee": {"name": "Tom"}});
    let refused = world.app.post(&format!("/v1/accounts/{}/bookings", made.id()), body).await;
    assert_eq!(refused.problem(), "422 slot_id_invalid slot_id:not_offered");
    assert_eq!(refused.at("/alternatives"), json!([]));
}

/// An offer of what is not public looks to a publishable key like one nobody made.
#[tokio::test]
async fn publishable_keys_learn_nothing_from_offers() {
    let world = World::start().await;
    let private = world.new_event_type("private", &[&world.user], json!({})).await;
    let (key, _) = world.app.new_key(world.app.organization_id, KeyKind::Publishable, Mode::Test, &["*"]).await;
    let book = async |slot_id: &Value| {
        let body = json!({"slot_id": slot_id, "attendee": {"name": "Tom"}});
        world.app.ask_as(&key, Method::POST, &world.path("/bookings"), Some(body)).await
    };
    let hidden = slots(&world, &format!("event_type_id={private}")).await[0].clone();
    for slot_id in [&hidden["slot_id"], &tampered(&hidden["slot_id"])] {
        let refused = book(slot_id).await;
        assert_eq!(refused.problem(), "422 slot_id_invalid slot_id:not_offered");
        assert_eq!(refused.at("/alternatives"), json!([]));
    }
    let open = slots(&world, &format!("event_type_id={}", world.event_type)).await[0].clone();
    book(&open["slot_id"]).await.expect(201);
}

/// Lesson: signed slot ids that the booking does not insist on.
#[tokio::test]
async fn the_alternatives_of_a_refusal_are_offers() {
    let world = World::start().await;
    let event = world.new_event_type("strict", &[&world.user], json!({"require_slot_id": true})).await;
    let slot = slots(&world, &format!("event_type_id={event}")).await[4].clone();
    book(&world, &slot["slot_id"]).await.expect(201);
    let refused = book(&world, &slot["slot_id"]).await;
    assert_eq!(refused.problem(), "409 slot_unavailable");
    let alternatives = refused.at("/alternatives").as_array().cloned().expect("alternatives");
    assert_eq!(alternatives.len(), 5);
    for alternative in alternatives {
        let booking = book(&world, &alternative["slot_id"]).await.expect(201);
        assert_eq!(booking.at("/start_time"), alternative["start_time"]);
    }
}
