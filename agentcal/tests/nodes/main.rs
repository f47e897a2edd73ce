//! Three nodes on one PostgreSQL and one Redis, killed, hung, drained and cut off from each other and from their servers,
//! while clients hold and book: nothing that was acknowledged is lost, nothing is sold twice, nobody writes what is
//! another's, no node offers what was sold, and the nodes that live go on booking.
//!
//! Lessons: a node that was asleep writes what is another's by now; a cache that forgot says that everybody is free; the
//! death of an owner is an outage for its accounts.

#![expect(clippy::unwrap_used, reason = "a failed test may say so")]

mod asker;
mod audit;
#[path = "../kills/client.rs"]
mod client;
mod cluster;
#[path = "../kills/draw.rs"]
mod draw;
mod finale;
mod keep;
mod lateness;
mod link;
mod nemesis;
mod origin;
mod person;
#[path = "../kills/rows.rs"]
mod rows;
mod superseded;
mod verdict;
#[path = "../kills/wire.rs"]
#[expect(dead_code, reason = "not all that another test asks is asked here")]
mod wire;
mod witness;
#[path = "../kills/world.rs"]
#[expect(dead_code, reason = "nothing is set aside here")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use agentcal_history::Event;
use agentcal_testkit::Node;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::asker::Asker;
use crate::client::{Client, Shared};
use crate::cluster::Cluster;
use crate::draw::Draw;
use crate::nemesis::{Act, Nemesis};
use crate::person::Person;
use crate::verdict::Run;
use crate::wire::Api;
use crate::witness::Witness;
use crate::world::World;

/// Names the seed, in place of 1.
const SEED_VARIABLE: &str = "AGENTCAL_NODES_SEED";
/// Names how long nodes are tormented, in seconds, in place of [`SECONDS`].
const SECONDS_VARIABLE: &str = "AGENTCAL_NODES_SECONDS";
const SECONDS: u64 = 120;
/// Accounts, which may have different owners.
const WORLDS: usize = 3;
/// Clients of each account; an even number, because two are on one call.
const CLIENTS: usize = 4;
/// Number of the first client. Two that follow each other are on one call, the even one first.
const FIRST: usize = 2;
/// How long a client asks one node before it turns to another.
const TURN: Duration = Duration::from_millis(300);

#[test]
fn nodes_that_die_and_hang_lose_nothing_and_sell_nothing_twice() {
    let (seconds, seed) = (number(SECONDS_VARIABLE, SECONDS), number(SEED_VARIABLE, 1));
    println!("three nodes, seed {seed}, {seconds} s, {}", verdict::BUILD);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let Some(cluster) = Cluster::start(&runtime) else { return };
    let worlds: Vec<Arc<World>> =
        (0..WORLDS).map(|_| Arc::new(runtime.block_on(World::make(&cluster.api())))).collect();
    let strangers = finale::strangers(cluster.postgres());
    let (stop, stopping) = watch::channel(false);
    let (apis, clients): (Vec<Api>, Vec<_>) =
        runtime.block_on(async { start_clients(&cluster, &worlds, seed, &stopping) });
    let people: Vec<_> = (0..)
        .zip(&worlds)
        .map(|(stream, world)| {
            Person::of(world, cluster.postgres(), Draw::of(seed, 4000 + stream)).live(stopping.clone())
        })
        .collect();
    let mut nemesis = Nemesis::new(cluster, &runtime, &worlds, apis, Draw::of(seed, 0));
    nemesis.torment(Duration::from_secs(seconds));
    stop.send_replace(true);
    let histories = clients.into_iter().map(|client| runtime.block_on(client).expect("no client panics"));
    let mut history: Vec<Event> = histories.flatten().collect();
    history.sort_by_key(|event| event.invoked_at);
    let truth = people.into_iter().flat_map(|person| person.join().expect("nobody panics")).collect();
    let (cluster, acts): (Cluster, Vec<Act>) = nemesis.end();
    finale::wait_for_writebacks(cluster.postgres());
    let logs: Vec<String> = cluster.nodes.iter().map(Node::said).collect();
    let finale = finale::read(cluster.postgres(), &worlds, truth, &audit::troubles(&acts, &logs));
    let wrong = finale::counts(cluster.postgres(), strangers);
    let run = Run { seed, seconds, history: &history, finale: &finale, acts: &acts, wrong };
    verdict::judge(&run, &cluster);
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
        for number in index * CLIENTS + FIRST..(index + 1) * CLIENTS + FIRST {
            let number = u64::try_from(number).unwrap();
            let api = roaming(cluster, Draw::of(seed, 1000 + number));
            apis.push(api.clone());
            let client = Client::new(number, seed, api, Arc::clone(world), Arc::clone(&bookings));
            tasks.push(tokio::spawn(client.run(stopping.clone())));
        }
        let stream = 2000 + u64::try_from(index).unwrap();
        let api = roaming(cluster, Draw::of(seed, stream));
        let asker = Asker::new(index, Draw::of(seed, stream + 1000), api, Arc::clone(world));
        tasks.push(tokio::spawn(asker.run(stopping.clone())));
        let api = roaming(cluster, Draw::of(seed, stream + 3000));
        let draw = Draw::of(seed, stream + 5000);
        let witness = Witness::new(index, draw, api, Arc::clone(world), (cluster.secret_key(), cluster.living()));
        tasks.push(tokio::spawn(witness.run(stopping.clone())));
    }
    (apis, tasks)
}

/// Which account a client is of.
fn world_of(client: &str) -> usize {
    let number: usize = client[1..].parse().unwrap();
    if client.starts_with('c') { (number - FIRST) / CLIENTS } else { number }
}

/// A client's way to the nodes: to one that lives, and to another after a while.
fn roaming(cluster: &Cluster, mut draw: Draw) -> Api {
    let mut living = cluster.living();
    let (steer, base_url) = watch::channel(living.borrow().first().cloned());
    tokio::spawn(async move {
        let mut turns = tokio::time::interval(TURN);
        while !steer.is_closed() {
            let now = living.borrow_and_update().clone();
            let other: Vec<String> = now.into_iter().filter(|url| steer.borrow().as_ref() != Some(url)).collect();
            if let Some(url) = draw.pick(&other) {
                steer.send_replace(Some(url.clone()));
            }
            tokio::select! {
                _ = turns.tick() => {}
                // Nobody changes them any more when the nodes are gone; what is under way needs them no more then.
                Ok(()) = living.changed() => {}
                () = steer.closed() => {}
            }
        }
    });
    Api::new(cluster.secret_key(), base_url)
}
