//! Guarantees broken on purpose: each shows, and the others stand.

use std::time::Duration;

use agentcal_engine::commit::{Access, CommitPlan, ExpectedRevision, Outcome, RevisionKey};
use agentcal_engine::invariants::no_double_booking;
use agentcal_sim_store::Planted;
use agentcal_store_conformance::World;
use agentcal_store_conformance::world::idempotent;

use crate::common::{is_committed, world_on_disk, world_with};

const EACH: [Option<Planted>; 6] = [
    None,
    Some(Planted::AckBeforeDurable),
    Some(Planted::IgnoreConstraint),
    Some(Planted::SkipRevisionCheck),
    Some(Planted::ConfirmExpired),
    Some(Planted::ForgetIdempotency),
];

/// What happens under each fault must happen under that fault alone.
async fn shows_only(fault: Planted, shows: impl AsyncFn(&World, &agentcal_sim_store::Disk) -> bool) {
    for planted in EACH {
        let (world, disk) = match planted {
            Some(planted) => world_with(planted).await,
            None => world_on_disk().await,
        };
        assert_eq!(shows(&world, &disk).await, planted == Some(fault), "with {planted:?}");
    }
}

#[tokio::test]
async fn ack_before_durable_loses_what_was_acknowledged() {
    shows_only(Planted::AckBeforeDurable, async |world, disk| {
        let user = world.user().await;
        world.clock.advance(Duration::from_secs(5));
        world.book(&[&user], world.minutes(0, 30)).await;
        disk.crash();
        let view = disk.view();
        assert_eq!(view.config(world.tenant.account_id).unwrap().users.len(), 1, "what is old enough is kept");
        view.bookings(world.tenant.account_id).is_empty()
    })
    .await;
}

#[tokio::test]
async fn ignore_constraint_sells_twice() {
    shows_only(Planted::IgnoreConstraint, async |world, disk| {
        let user = world.user().await;
        world.book(&[&user], world.minutes(0, 30)).await;
        let (_, plan) = world.booking_plan(&[&user], world.minutes(15, 45));
        let is_sold = is_committed(&world.commit(&plan).await);
        assert_eq!(no_double_booking(&disk.view().all_claims(), disk.now()).is_err(), is_sold);
        is_sold
    })
    .await;
}

#[tokio::test]
async fn skip_revision_check_commits_on_old_facts() {
    shows_only(Planted::SkipRevisionCheck, async |world, _| {
        let user = world.user().await;
        let (_, mut plan) = world.booking_plan(&[&user], world.minutes(0, 30));
        let key = RevisionKey::Calendar(user.home_calendar_id);
        plan.expected_revisions.retain(|expected| expected.key != key);
        plan.expected_revisions.push(ExpectedRevision { key, revision: Some(99), access: Access::Write });
        plan.expected_revisions.sort();
        is_committed(&world.commit(&plan).await)
    })
    .await;
}

#[tokio::test]
async fn confirm_expired_makes_bookings_of_what_is_over() {
    shows_only(Planted::ConfirmExpired, async |world, _| {
        let user = world.user().await;
        let ttl = Duration::from_secs(60);
        let hold = world.hold(&[&user], world.minutes(0, 30), ttl).await;
        world.clock.advance(ttl);
        let (_, plan) = world.confirm_plan(&hold, &[&user]);
        is_committed(&world.commit(&plan).await)
    })
    .await;
}

#[tokio::test]
async fn forget_idempotency_does_the_deed_twice() {
    shows_only(Planted::ForgetIdempotency, async |world, _| {
        let user = world.user().await;
        let plan = |start| CommitPlan {
            idempotency: Some(idempotent(1, 1, "answer")),
            ..world.booking_plan(&[&user], world.minutes(start, start + 30)).1
        };
        assert!(is_committed(&world.commit(&plan(0)).await));
        match world.commit(&plan(60)).await {
            Outcome::Committed { .. } => true,
            Outcome::Replayed { .. } => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
}
