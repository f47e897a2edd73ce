//! Lesson: the check is far from the insert, and two guests a second apart both book. Racers on real threads, and in two
//! programs that share the file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentcal_engine::commit::Outcome;
use agentcal_engine::ports::{Clock, CommitStore as _, FactStore as _};
use agentcal_engine::time::Timestamp;
use agentcal_store_conformance::{TestClock, World, world};
use tokio::task::JoinSet;

use crate::common::make;

const RACERS: usize = 64;
const ROUNDS: i64 = 5;
/// Rounds of the race for an expiring hold.
const EXPIRIES: i64 = 150;
/// How long a hold lives that is raced for, in microseconds. Until a confirmation has won, everything is twice as slow in each
/// round: on a busy machine those who set out in time may be late otherwise, each time.
const LIFE_US: u64 = 12_000;
/// How often it is made twice as slow at most.
const SLOWER_MAX: i64 = 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_racers_for_one_slot_one_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agentcal.db");
    let clock = Arc::new(TestClock::at(agentcal_store_conformance::world::MORNING));
    let first = crate::common::open(&path, Arc::clone(&clock) as Arc<dyn Clock>).await;
    first.migrate().await.expect("migrated");
    let second = crate::common::open(&path, clock).await;
    let world = World::new({
        let first = first.clone();
        |_| async move { (first, ()) }
    })
    .await;
    let user = world.user().await;
    for round in 0..ROUNDS {
        let mut racers = JoinSet::new();
        for n in 0..RACERS {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            let (_, plan) = world.booking_plan(&[&user], world.minutes(round * 60, round * 60 + 30));
            racers.spawn(async move { store.commit(&plan).await.expect("the store answers") });
        }
        let outcomes = racers.join_all().await;
        let winners = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Committed { .. })).count();
        let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Overlap { user_id: user.id }).count();
        assert_eq!((winners, refused), (1, RACERS - 1), "round {round}: {outcomes:?}");
    }
    let facts = second.load_facts(world.tenant.account_id, user.home_calendar_id).await.expect("readable");
    assert_eq!(facts.expect("there").claims.len(), usize::try_from(ROUNDS).expect("small"));
}

/// A clock that runs, so that a hold expires while it is raced for.
struct RunningClock(Instant);

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        world::MORNING + self.0.elapsed()
    }
}

/// Lesson: a hold confirmed and its slot sold to another at the moment of expiry (11 of 1,200 natural races). Confirmations
/// and bookings meet at that moment, round after round, on threads and in two programs: one wins, ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_the_moment_of_expiry_one_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agentcal.db");
    let clock: Arc<dyn Clock> = Arc::new(RunningClock(Instant::now()));
    let first = crate::common::open(&path, Arc::clone(&clock)).await;
    first.migrate().await.expect("migrated");
    let second = crate::common::open(&path, Arc::clone(&clock)).await;
    let world = World::new({
        let first = first.clone();
        |_| async move { (first, ()) }
    })
    .await;
    let user = world.user().await;
    let mut wins = [0_usize; 2];
    for round in 0..EXPIRIES {
        let slower = if wins[1] == 0 { 1_i64 << round.min(SLOWER_MAX) } else { 1 };
        let range = world.minutes(round * 60, round * 60 + 30);
        let expires_at = clock.now() + Duration::from_micros(LIFE_US * slower.unsigned_abs());
        let hold = world.new_hold(&world.tenant, &[&user], range, expires_at);
        world.place(&[&user], &hold).await;
        let mut racers = JoinSet::new();
        for n in 0..6 {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            let confirms = n < 2;
            let (_, confirm) = world.confirm_plan(&hold, &[&user]);
            let (_, book) = world.booking_plan(&[&user], range);
            let (plan, clock) = (if confirms { confirm } else { book }, Arc::clone(&clock));
            // They set out around the moment, some before it and some after.
            let sets_out = expires_at.plus_micros(((n * 7 + round * 3) % 11 - 5) * 300 * slower);
            racers.spawn(async move {
                loop {
                    let began = clock.now();
                    if began < sets_out {
                        tokio::task::yield_now().await;
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
        let facts = first.load_facts(world.tenant.account_id, user.home_calendar_id).await.expect("readable");
        let claims = facts.expect("there").claims;
        let taken: Vec<_> = claims.iter().filter(|claim| claim.range == range).collect();
        assert_eq!((taken.len(), taken[0].expires_at), (1, None), "round {round}");
    }
    assert!(wins.iter().all(|&wins| wins > 0), "both sides must have won some rounds, or nothing was raced: {wins:?}");
}

/// A commit whose caller went away in the middle is done whole or not at all, and the next one finds its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_commit_blocks_nobody() {
    let world = World::new(make).await;
    let user = world.user().await;
    for n in 0..50u32 {
        let (_, plan) = world.booking_plan(&[&user], world.minutes(i64::from(n) * 60, i64::from(n) * 60 + 30));
        let store = Arc::clone(&world.store);
        let racing = tokio::spawn(async move { store.commit(&plan).await });
        for _ in 0..n {
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
