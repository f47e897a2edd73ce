//! Lesson: of 50 concurrent requests for one slot 50 succeeded; two guests a second apart both book.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;

use crate::support::{World, exchange, serve};

const RACERS: usize = 50;
const ROUNDS: u32 = 10;

/// Fifty callers, ten rounds, over sockets: one books, the others are told the slot is gone, and from the winner's answer
/// on nobody is offered it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_slot_is_sold_once_and_never_offered_again() {
    let world = Arc::new(World::start().await);
    let address = serve(&world).await;
    for round in 0..ROUNDS {
        let start = format!("2026-11-24T{:02}:{:02}:00+01:00", 9 + round / 2, round % 2 * 30);
        let racers = (0..RACERS).map(|_| tokio::spawn(race(Arc::clone(&world), address, start.clone())));
        let answers: Vec<_> = join_all(racers).await.into_iter().map(|answer| answer.expect("no panic")).collect();
        let won = answers.iter().filter(|(status, _)| *status == 201).count();
        let lost = answers.iter().filter(|(status, body)| *status == 409 && body["code"] == "slot_unavailable").count();
        assert_eq!((won, lost), (1, RACERS - 1), "round {round}: {answers:?}");
    }
}

async fn race(world: Arc<World>, address: SocketAddr, start: String) -> (u16, Value) {
    let body = world.booking(&start).to_string();
    let answer = exchange(&world, address, "POST", &world.path("/bookings"), &body).await;
    if answer.0 == 201 {
        let query =
            format!("/availability?event_type_id={}&start_date=2026-11-24&end_date=2026-11-24", world.event_type);
        let (status, offered) = exchange(&world, address, "GET", &world.path(&query), "").await;
        assert_eq!(status, 200);
        let slots = offered["slots"].as_array().expect("slots");
        assert!(
            !slots.is_empty() && slots.iter().all(|slot| slot["start_time"] != start.as_str()),
            "{start} is offered"
        );
    }
    answer
}
