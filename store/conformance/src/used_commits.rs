//! Commits that more than one node might perform.

use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};

use crate::World;

const TTL: Duration = Duration::from_secs(120);
const INSTANT: Duration = Duration::from_micros(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

/// Performed on one path, a commit is not performed on another, even where time for it would be left.
pub async fn a_shared_commit_is_performed_once(world: World) {
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { is_shared: true, ..plan };
    assert_eq!(world.store.used_up(world.tenant.account_id, plan.commit_id).await.expect("read"), None);
    assert!(is_committed(&world.commit(&plan).await));
    let (_, other) = world.booking_plan(&[&user], world.minutes(60, 90));
    for epoch in [None, other.epoch] {
        let again = CommitPlan { commit_id: plan.commit_id, is_shared: true, epoch, ..other.clone() };
        assert_eq!(world.commit(&again).await, Outcome::UsedUp { is_performed: true });
    }
    assert_eq!(world.store.used_up(world.tenant.account_id, plan.commit_id).await.expect("read"), Some(true));
    assert!(world.store.use_up(world.tenant.account_id, plan.commit_id).await.expect("asked"), "and stays performed");
}

/// A commit whose id was used up with a no is performed by nobody.
pub async fn a_commit_refused_for_good_is_never_performed(world: World) {
    let user = world.user().await;
    let (booking, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { is_shared: true, ..plan };
    for _ in 0..2 {
        assert!(!world.store.use_up(world.tenant.account_id, plan.commit_id).await.expect("used"));
    }
    assert_eq!(world.commit(&plan).await, Outcome::UsedUp { is_performed: false });
    assert_eq!(world.store.booking(world.tenant.account_id, booking.id).await.expect("read"), None);
    assert_eq!(world.store.used_up(world.tenant.account_id, plan.commit_id).await.expect("read"), Some(false));
}

/// A plan that comes to nothing leaves its id to the next attempt.
pub async fn a_plan_that_fails_uses_nothing_up(world: World) {
    let user = world.user().await;
    world.book(&[&user], world.minutes(0, 30)).await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    let plan = CommitPlan { is_shared: true, ..plan };
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    assert_eq!(world.store.used_up(world.tenant.account_id, plan.commit_id).await.expect("read"), None);
    let (_, next) = world.booking_plan(&[&user], world.minutes(60, 90));
    let next = CommitPlan { commit_id: plan.commit_id, is_shared: true, ..next };
    assert!(is_committed(&world.commit(&next).await));
}

/// An id means nothing in another account.
pub async fn used_commits_belong_to_their_account(world: World) {
    let other = world.another_account().await;
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert!(!world.store.use_up(other.account_id, plan.commit_id).await.expect("used"));
    assert_eq!(world.store.used_up(world.tenant.account_id, plan.commit_id).await.expect("read"), None);
    assert!(is_committed(&world.commit(&CommitPlan { is_shared: true, ..plan }).await));
}

/// Used-up ids go after a day, and not before.
pub async fn used_commits_are_forgotten_after_a_day(world: World) {
    let account_id = world.tenant.account_id;
    let commit_id = world.uuid();
    world.store.use_up(account_id, commit_id).await.expect("used");
    world.clock.advance(DAY - INSTANT);
    world.store.forget_old_answers(10).await.expect("forgotten");
    assert_eq!(world.store.used_up(account_id, commit_id).await.expect("read"), Some(false));
    world.clock.advance(INSTANT);
    world.store.forget_old_answers(10).await.expect("forgotten");
    assert_eq!(world.store.used_up(account_id, commit_id).await.expect("read"), None);
}

/// A node whose clock is ahead takes a live hold for expired, and would book within its buffer, which the constraint does
/// not see.
pub async fn a_plan_waits_for_the_holds_it_looked_past(world: World) {
    let user = world.user().await;
    world.hold(&[&user], world.minutes(0, 30), TTL).await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(30, 60));
    let plan = CommitPlan { expired_until: Some(world.now() + TTL), ..plan };
    assert_eq!(world.commit(&plan).await, Outcome::Stale);
    world.clock.advance(TTL - INSTANT);
    assert_eq!(world.commit(&plan).await, Outcome::Stale);
    world.clock.advance(INSTANT);
    assert!(is_committed(&world.commit(&plan).await));
}
