//! What a booking costs: statements, which are round trips; and, by hand, bookings a second.

#[path = "../postgres/common.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::model::User;
use agentcal_engine::ports::CommitStore as _;
use agentcal_store_conformance::{Statements, World, world::idempotent};
use agentcal_store_postgres::{OpenOptions, PostgresStore, StoreClock};
use agentcal_testkit::{Durability, Postgres, postgres};
use tokio::task::JoinSet;

use common::{is_available, make, options};

/// However many hosts there are, and whether the caller sent a key, the commit is shared, or a hold becomes the booking.
#[tokio::test]
async fn a_booking_is_one_call() {
    if !is_available() {
        return;
    }
    let world = World::new(make).await;
    let users = [world.user().await, world.user().await, world.user().await];
    let statements = Statements::listen();
    let check = async |plan: CommitPlan, expected: usize| {
        statements.take();
        let outcome = world.commit(&plan).await;
        let heard = statements.take();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        assert_eq!(heard.len(), expected, "{heard:#?}");
    };
    let (_, plan) = world.booking_plan(&[&users[0]], world.minutes(0, 30));
    check(plan, 1).await;
    let everybody = [&users[0], &users[1], &users[2]];
    let (_, plan) = world.booking_plan(&everybody, world.minutes(60, 90));
    // The first answer of an account to be kept asks for the account's key.
    check(CommitPlan { idempotency: Some(idempotent(1, 1, "yes")), is_shared: true, ..plan }, 2).await;
    let (_, plan) = world.booking_plan(&everybody, world.minutes(120, 150));
    check(CommitPlan { idempotency: Some(idempotent(2, 2, "yes")), is_shared: true, ..plan }, 1).await;
    let hold =
        world.new_hold(&world.tenant, &everybody, world.minutes(180, 210), world.now() + Duration::from_secs(60));
    world.place(&everybody, &hold).await;
    let (_, plan) = world.confirm_plan(&hold, &everybody);
    check(plan, 1).await;
}

const CLIENTS: usize = 16;
const MEASURED_FOR: Duration = Duration::from_secs(5);

/// `cargo test --release -p agentcal-store-postgres --test costs -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and says nothing of right and wrong"]
async fn bookings_a_second() {
    let Some(server) = postgres(Durability::Full) else { return };
    server.create_database("measured");
    let open = OpenOptions { clock: StoreClock::Database, connections_max: 16, ..options(&server.url("measured")) };
    let store = PostgresStore::open(open).await.expect("opened");
    store.migrate().await.expect("migrated");
    let same = store.clone();
    let world = World::new(|_| async move { (same, ()) }).await;
    let mut users = Vec::new();
    for _ in 0..CLIENTS {
        users.push(world.user().await);
    }
    let one_client = rate(&store, &world, &users[..1], 1, 0).await;
    let hot = rate(&store, &world, &users[..1], CLIENTS, 1_000_000).await;
    let spread = rate(&store, &world, &users, CLIENTS, 2_000_000).await;
    println!(
        "one client {one_client:.0}/s, {CLIENTS} clients on one person {hot:.0}/s, on {CLIENTS} people {spread:.0}/s"
    );
    for clients in [1, CLIENTS] {
        println!("pgbench -c {clients}: {}", forced_to_disk(&server, clients));
    }
}

async fn rate(store: &PostgresStore, world: &World, users: &[User], clients: usize, from: i64) -> f64 {
    let done = Arc::new(AtomicUsize::new(0));
    let plans: Arc<Mutex<Vec<CommitPlan>>> = Arc::default();
    for n in 0..20_000i64 {
        let user = &users[usize::try_from(n).expect("small") % users.len()];
        let start = from + n * 30;
        plans.lock().expect("unpoisoned").push(world.booking_plan(&[user], world.minutes(start, start + 30)).1);
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (store, plans, done) = (store.clone(), Arc::clone(&plans), Arc::clone(&done));
        tasks.spawn(async move {
            while began.elapsed() < MEASURED_FOR {
                let Some(plan) = plans.lock().expect("unpoisoned").pop() else { break };
                while !matches!(store.commit(&plan).await.expect("the store answers"), Outcome::Committed { .. }) {}
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.join_all().await;
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// What the server can do at most: a single row written and forced to disk.
fn forced_to_disk(server: &Postgres, clients: usize) -> String {
    server.execute(
        "measured",
        "CREATE TABLE IF NOT EXISTS forced (id bigserial PRIMARY KEY); GRANT ALL ON forced TO PUBLIC",
    );
    let script = std::env::temp_dir().join("agentcal-forced.sql");
    std::fs::write(&script, "INSERT INTO forced DEFAULT VALUES;").expect("written");
    let mut command = server.program("pgbench");
    command.args(["-n", "-M", "prepared", "-T", "3", "-c", &clients.to_string(), "-f"]).arg(&script);
    let output = command.arg(server.superuser_url("measured")).output().expect("pgbench starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find(|line| line.starts_with("tps")).unwrap_or("no answer").to_owned()
}
