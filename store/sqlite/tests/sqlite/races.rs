//! Lesson: the check is far from the insert, and two guests a second apart both book. Racers on real threads, and in two
//! programs that share the file.

use std::sync::Arc;

use agentcal_engine::commit::Outcome;
use agentcal_engine::ports::{CommitStore as _, FactStore as _};
use agentcal_store_conformance::{TestClock, World};
use tokio::task::JoinSet;

use crate::common::make;

const RACERS: usize = 64;
const ROUNDS: i64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_racers_for_one_slot_one_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agentcal.db");
    let clock = Arc::new(TestClock::at(agentcal_store_conformance::world::MORNING));
    let first = crate::common::open(&path, Arc::clone(&clock)).await;
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
