//! Lesson: the check is far from the insert, and two guests a second apart both book. Racers on real threads, through two
//! stores, as from two nodes.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::ports::{Clock, CommitStore as _, ConfigStore as _, FactStore as _, Write};
use agentcal_store_conformance::{TestClock, World, world};
use agentcal_store_postgres::{PostgresStore, StoreClock};
use tokio::task::JoinSet;

use crate::common::{Database, is_available, make};

const RACERS: usize = 64;
const ROUNDS: i64 = 5;
/// Rounds of the race for an expiring hold.
const EXPIRIES: i64 = 60;
/// How long a hold lives that is raced for, in microseconds. Until a confirmation has won, everything is twice as slow in each
/// round: on a busy machine those who set out in time may be late otherwise, each time.
const LIFE_US: u64 = 40_000;
/// How often it is made twice as slow at most.
const SLOWER_MAX: i64 = 7;

/// Commits as a caller does: when somebody was in the way, again.
async fn commit(store: &PostgresStore, plan: &CommitPlan) -> Outcome {
    loop {
        match store.commit(plan).await.expect("the store answers") {
            Outcome::Stale => {}
            outcome => return outcome,
        }
    }
}

async fn two_nodes(database: &Database, clock: impl Fn() -> StoreClock) -> (PostgresStore, PostgresStore, World) {
    let (first, second) = (database.open(clock()).await, database.open(clock()).await);
    let store = first.clone();
    (first, second, World::new(|_| async move { (store, ()) }).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_racers_for_one_slot_one_wins() {
    let Some(database) = Database::new() else { return };
    let clock = Arc::new(TestClock::at(world::MORNING));
    let (first, second, world) = two_nodes(&database, || StoreClock::Given(Arc::clone(&clock) as Arc<dyn Clock>)).await;
    let user = world.user().await;
    for round in 0..ROUNDS {
        let mut racers = JoinSet::new();
        for n in 0..RACERS {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            let (_, plan) = world.booking_plan(&[&user], world.minutes(round * 60, round * 60 + 30));
            // Half of them as after 300 ms without an owner.
            let plan = CommitPlan { epoch: plan.epoch.filter(|_| n % 4 < 2), is_shared: n % 4 >= 2, ..plan };
            racers.spawn(async move { commit(&store, &plan).await });
        }
        let outcomes = racers.join_all().await;
        let winners = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Committed { .. })).count();
        let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Overlap { user_id: user.id }).count();
        assert_eq!((winners, refused), (1, RACERS - 1), "round {round}: {outcomes:?}");
    }
    let facts = second.load_facts(world.tenant.account_id, user.home_calendar_id).await.expect("readable");
    assert_eq!(facts.expect("there").claims.len(), usize::try_from(ROUNDS).expect("small"));
}

/// Lesson: a hold confirmed and its slot sold to another at the moment of expiry (11 of 1,200 natural races). By the
/// database's clock, on two nodes: one wins, ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_the_moment_of_expiry_one_wins() {
    let Some(database) = Database::new() else { return };
    let (first, second, world) = two_nodes(&database, || StoreClock::Database).await;
    let user = world.user().await;
    let mut wins = [0_usize; 2];
    for round in 0..EXPIRIES {
        let slower = if wins[1] == 0 { 1_i64 << round.min(SLOWER_MAX) } else { 1 };
        let range = world.minutes(round * 60, round * 60 + 30);
        let life = Duration::from_micros(LIFE_US * slower.unsigned_abs());
        let expires_at = first.store_now().await.expect("answered") + life;
        let hold = world.new_hold(&world.tenant, &[&user], range, expires_at);
        world.place(&[&user], &hold).await;
        let mut racers = JoinSet::new();
        for n in 0..6 {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            let confirms = n < 2;
            let (_, confirm) = world.confirm_plan(&hold, &[&user]);
            let (_, book) = world.booking_plan(&[&user], range);
            let plan = if confirms { confirm } else { book };
            // They set out around the moment, some before it and some after.
            let sets_out = expires_at.plus_micros(((n * 7 + round * 3) % 11 - 7) * 1_000 * slower);
            racers.spawn(async move {
                loop {
                    let began = store.store_now().await.expect("answered");
                    if began < sets_out {
                        continue;
                    }
                    let outcome = store.commit(&plan).await.expect("the store answers");
                    // A booking is tried until the slot is somebody's: expired, it must be free.
                    if !matches!(outcome, Outcome::Overlap { .. }) || began >= expires_at {
                        return (confirms, outcome);
                    }
                }
            });
        }
        let outcomes = racers.join_all().await;
        let won = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Committed { .. }));
        let won: Vec<bool> = won.map(|(confirms, _)| *confirms).collect();
        assert_eq!(won.len(), 1, "round {round}: {outcomes:?}");
        wins[usize::from(won[0])] += 1;
    }
    assert!(wins.iter().all(|&wins| wins > 0), "both sides must have won some rounds, or nothing was raced: {wins:?}");
}

/// A commit whose caller went away in the middle is done whole or not at all, and the next one finds its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_commit_blocks_nobody() {
    if !is_available() {
        return;
    }
    let world = World::new(make).await;
    let user = world.user().await;
    for n in 0..50u32 {
        let (_, plan) = world.booking_plan(&[&user], world.minutes(i64::from(n) * 60, i64::from(n) * 60 + 30));
        let store = Arc::clone(&world.store);
        let racing = tokio::spawn(async move { store.commit(&plan).await });
        for _ in 0..n * 20 {
            tokio::task::yield_now().await;
        }
        racing.abort();
    }
    let booking = world.book(&[&user], world.minutes(10_000, 10_030)).await;
    let claims = world.facts(user.home_calendar_id).await.claims;
    for claim in &claims {
        let booking = claim.booking_id().expect("all are bookings");
        let item = world.store.booking(world.tenant.account_id, booking).await.expect("readable");
        assert_eq!(item.expect("a claim has its booking").claim_count, 1);
    }
    assert!(claims.iter().any(|claim| claim.booking_id() == Some(booking.id)));
}

/// People who are booked together in one order and in the other, with configuration written in between: everybody gets
/// through, because all lock in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_many_kinds_get_through() {
    let Some(database) = Database::new() else { return };
    let clock = Arc::new(TestClock::at(world::MORNING));
    let (first, second, world) = two_nodes(&database, || StoreClock::Given(Arc::clone(&clock) as Arc<dyn Clock>)).await;
    let users = [world.user().await, world.user().await, world.user().await];
    let mut writers = JoinSet::new();
    for n in 0..24i64 {
        let store = if n % 2 == 0 { first.clone() } else { second.clone() };
        if n % 6 == 5 {
            let (tenant, now, leaver) = (world.tenant, world.now(), world.user().await);
            writers.spawn(async move {
                let write = store.delete_user(&tenant, leaver.id, now, None).await.expect("the store answers");
                write == Write::Done
            });
        } else {
            let mut users = users.clone();
            users.rotate_left(usize::try_from(n % 3).expect("small"));
            let (_, plan) = world.booking_plan(&[&users[0], &users[1]], world.minutes(n * 60, n * 60 + 30));
            writers.spawn(async move { matches!(commit(&store, &plan).await, Outcome::Committed { .. }) });
        }
    }
    assert_eq!(writers.join_all().await, [true; 24]);
    let deadlocks = database.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    assert_eq!(deadlocks, "0");
}
