//! Holds: claims that end by themselves, by the store's clock.

use std::time::Duration;

use agentcal_engine::commit::{ClaimChange, Outcome};

use crate::World;

const TTL: Duration = Duration::from_secs(120);

/// Lesson: expired holds were ignored by one path and counted by another. An expired hold neither blocks a booking nor
/// survives it.
pub async fn an_expired_hold_neither_blocks_nor_survives(world: World) {
    let user = world.user().await;
    let other = world.user().await;
    let expires_at = world.now() + TTL;
    for (user, start, end) in [(&user, 0, 30), (&user, 300, 330), (&other, 0, 30)] {
        let plan = world.hold_plan(user, world.minutes(start, end), expires_at);
        assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    }
    world.clock.advance(TTL);
    let booking = world.book(&[&user], world.minutes(15, 45)).await;
    let claims = world.facts(user.home_calendar_id).await.claims;
    let ranges: Vec<_> = claims.iter().map(|claim| claim.range).collect();
    assert_eq!(ranges, [booking.range, world.minutes(300, 330)], "only what stood in the way went");
    assert_eq!(world.facts(other.home_calendar_id).await.claims.len(), 1, "and nobody else's");
}

/// Until its last microsecond a hold takes the time.
pub async fn a_live_hold_blocks_to_its_last_microsecond(world: World) {
    let user = world.user().await;
    let hold = world.hold_plan(&user, world.minutes(0, 30), world.now() + TTL);
    assert!(matches!(world.commit(&hold).await, Outcome::Committed { .. }));
    world.clock.advance(TTL - Duration::from_micros(1));
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    world.clock.advance(Duration::from_micros(1));
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
}

/// A booking can be moved to where an expired hold stood.
pub async fn an_expired_hold_does_not_stop_a_move(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let to = world.minutes(60, 90);
    let hold = world.hold_plan(&user, to, world.now() + TTL);
    assert!(matches!(world.commit(&hold).await, Outcome::Committed { .. }));
    let plan = world.reschedule_plan(&booking, &[&user], to);
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    world.clock.advance(TTL);
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    assert_eq!(world.facts(user.home_calendar_id).await.claims.len(), 1);
}

/// A hold is part of the facts with everything the decision needs of it.
pub async fn a_hold_becomes_facts_with_its_expiry(world: World) {
    let user = world.user().await;
    let plan = world.hold_plan(&user, world.minutes(0, 30), world.now() + TTL);
    assert!(matches!(world.commit(&plan).await, Outcome::Committed { .. }));
    let [ClaimChange::Insert(claim)] = &plan.claims[..] else { panic!("the plan inserts one claim") };
    assert_eq!(world.facts(user.home_calendar_id).await.claims, std::slice::from_ref(claim));
}
