//! Three nodes on one PostgreSQL and one Redis, killed, hung, drained and cut off while clients hold and book: nothing
//! that was acknowledged is lost, nothing is sold twice, and the nodes that live go on booking.
//!
//! Lessons: a node that was asleep writes what is another's by now; a cache that forgot says that everybody is free; the
//! death of an owner is an outage for its accounts.

#![expect(clippy::unwrap_used, reason = "a failed test may say so")]

mod asker;
#[path = "../kills/client.rs"]
mod client;
mod cluster;
#[path = "../kills/draw.rs"]
mod draw;
mod finale;
mod nemesis;
#[path = "../kills/rows.rs"]
mod rows;
mod verdict;
#[path = "../kills/wire.rs"]
#[expect(dead_code, reason = "not all that another test asks is asked here")]
mod wire;
#[path = "../kills/world.rs"]
#[expect(dead_code, reason = "nothing is set aside here")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use agentcal_history::Event;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::asker::Asker;
use crate::client::{Client, Shared};
use crate::cluster::Cluster;
use crate::draw::Draw;
use crate::nemesis::{Act, Nemesis};
use crate::wire::Api;
use crate::world::World;

/// Names the seed, in place of 1.
const SEED_VARIABLE: &str = "AGENTCAL_NODES_SEED";
/// Names how long nodes are tormented, in seconds, in place of [`SECONDS`].
const SECONDS_VARIABLE: &str = "AGENTCAL_NODES_SECONDS";
const SECONDS: u64 = 60;
/// Accounts, which may have different owners.
const WORLDS: usize = 2;
/// Clients of each account.
const CLIENTS: usize = 5;
/// How long a client asks one node before it turns to another.
const TURN: Duration = Duration::from_millis(300);

#[test]
fn nodes_that_die_and_hang_lose_nothing_and_sell_nothing_twice() {
    let (seconds, seed) = (number(SECONDS_VARIABLE, SECONDS), number(SEED_VARIABLE, 1));
    let Some(cluster) = Cluster::start() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let worlds: Vec<Arc<World>> =
        (0..WORLDS).map(|_| Arc::new(runtime.block_on(World::make(&cluster.api())))).collect();
    let strangers = finale::strangers(cluster.postgres());
    let (stop, stopping) = watch::channel(false);
    let (apis, clients): (Vec<Api>, Vec<_>) =
        runtime.block_on(async { start_clients(&cluster, &worlds, seed, &stopping) });
    let mut nemesis = Nemesis::new(cluster, &runtime, &worlds, apis, Draw::of(seed, 0));
    nemesis.torment(Duration::from_secs(seconds));
    stop.send_replace(true);
    let histories = clients.into_iter().map(|client| runtime.block_on(client).expect("no client panics"));
    let mut history: Vec<Event> = histories.flatten().collect();
    history.sort_by_key(|event| event.invoked_at);
    let (cluster, acts): (Cluster, Vec<Act>) = nemesis.end();
    finale::wait_for_writebacks(cluster.postgres());
    let finale = finale::read(cluster.postgres(), &worlds);
    let counts = finale::counts(cluster.postgres(), strangers);
    verdict::judge(&history, &finale, &acts, counts, &cluster, seed);
}

fn number(variable: &str, default: u64) -> u64 {
    let said = std::env::var(variable).ok();
    said.map_or(default, |said| said.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

type Clients = (Vec<Api>, Vec<JoinHandle<Vec<Event>>>);

/// Clients of one account follow each other in number, so that those on one call are of one account.
fn start_clients(cluster: &Cluster, worlds: &[Arc<World>], seed: u64, stopping: &watch::Receiver<bool>) -> Clients {
    let (mut apis, mut tasks) = (Vec::new(), Vec::new());
    for (index, world) in worlds.iter().enumerate() {
        let bookings = Shared::default();
        for number in index * CLIENTS + 1..=(index + 1) * CLIENTS {
            let number = u64::try_from(number).unwrap();
            let api = roaming(cluster, Draw::of(seed, 1000 + number), stopping);
            apis.push(api.clone());
            let client = Client::new(number, seed, api, Arc::clone(world), Arc::clone(&bookings));
            tasks.push(tokio::spawn(client.run(stopping.clone())));
        }
        let stream = 2000 + u64::try_from(index).unwrap();
        let api = roaming(cluster, Draw::of(seed, stream), stopping);
        let asker = Asker::new(index, Draw::of(seed, stream + 1000), api, Arc::clone(world));
        tasks.push(tokio::spawn(asker.run(stopping.clone())));
    }
    (apis, tasks)
}

/// Which account a client is of.
fn world_of(client: &str) -> usize {
    let number: usize = client[1..].parse().unwrap();
    if client.starts_with('a') { number } else { (number - 1) / CLIENTS }
}

/// A client's way to the nodes: to one that lives, and to another after a while.
fn roaming(cluster: &Cluster, mut draw: Draw, stopping: &watch::Receiver<bool>) -> Api {
    let (mut living, mut stopping) = (cluster.living(), stopping.clone());
    let (steer, base_url) = watch::channel(living.borrow().first().cloned());
    tokio::spawn(async move {
        let mut turns = tokio::time::interval(TURN);
        while !*stopping.borrow() {
            let now = living.borrow_and_update().clone();
            let other: Vec<String> = now.into_iter().filter(|url| steer.borrow().as_ref() != Some(url)).collect();
            if let Some(url) = draw.pick(&other) {
                steer.send_replace(Some(url.clone()));
            }
            tokio::select! {
                _ = turns.tick() => {}
                _ = living.changed() => {}
                _ = stopping.changed() => {}
            }
        }
        // What is under way is waited for, and may need somebody to turn to.
        steer.closed().await;
    });
    Api::new(cluster.secret_key(), base_url)
}
