//! How many holds may be live at once.

use std::time::Duration;

use agentcal_engine::commit::{HoldLimit, HoldLimits, Outcome};
use agentcal_engine::model::{Hold, Mode, Tenant, User};

use crate::World;
use crate::world::NO_LIMITS;

const TTL: Duration = Duration::from_secs(120);

/// Places a hold of a session in the `n`th hour from now.
async fn place(
    world: &World,
    (tenant, users): (&Tenant, &[&User]),
    session_id: Option<&str>,
    n: i64,
    limits: HoldLimits,
) -> (Hold, Outcome) {
    let hold = world.new_hold(tenant, users, world.minutes(n * 60, n * 60 + 30), world.now() + TTL);
    let hold = Hold { session_id: session_id.map(str::to_owned), ..hold };
    let outcome = world.commit(&world.place_plan(tenant, users, &hold, limits)).await;
    (hold, outcome)
}

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

fn limited(limit: HoldLimit) -> Outcome {
    Outcome::HoldLimit { limit }
}

/// Over a limit nothing is done: no claim, no row, no revision.
pub async fn a_hold_over_a_limit_leaves_nothing(world: World) {
    let user = world.user().await;
    let limits = HoldLimits { per_user: 1, ..NO_LIMITS };
    let one = (&world.tenant, &[&user][..]);
    assert!(is_committed(&place(&world, one, None, 0, limits).await.1));
    let before = world.facts(user.home_calendar_id).await;
    let (hold, outcome) = place(&world, one, None, 1, limits).await;
    assert_eq!(outcome, limited(HoldLimit::User(user.id)));
    assert_eq!(world.hold_item(hold.id).await, None);
    let after = world.facts(user.home_calendar_id).await;
    assert_eq!((after.claims, after.revision), (before.claims, before.revision));
}

/// Holds of a host are counted over all sessions and event types; bookings and other hosts' holds are not.
pub async fn holds_of_a_host_are_limited(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let limits = HoldLimits { per_user: 2, ..NO_LIMITS };
    world.book(&[&one], world.minutes(6_000, 6_030)).await;
    let (mine, both) = ((&world.tenant, &[&one][..]), (&world.tenant, &[&two, &one][..]));
    assert!(is_committed(&place(&world, mine, Some("a"), 0, limits).await.1));
    assert!(is_committed(&place(&world, both, None, 1, limits).await.1));
    assert_eq!(place(&world, both, Some("b"), 2, limits).await.1, limited(HoldLimit::User(one.id)));
    assert!(is_committed(&place(&world, (&world.tenant, &[&two]), None, 2, limits).await.1));
    world.clock.advance(TTL);
    assert!(is_committed(&place(&world, both, None, 3, limits).await.1), "expired ones do not count");
}

/// Holds of a session are counted in its account; holds without a session are not limited by it.
pub async fn holds_of_a_session_are_limited(world: World) {
    let user = world.user().await;
    let limits = HoldLimits { per_session: 2, ..NO_LIMITS };
    let mine = (&world.tenant, &[&user][..]);
    let (first, outcome) = place(&world, mine, Some("a"), 0, limits).await;
    assert!(is_committed(&outcome));
    let (second, outcome) = place(&world, mine, Some("a"), 1, limits).await;
    assert!(is_committed(&outcome));
    assert_eq!(place(&world, mine, Some("a"), 2, limits).await.1, limited(HoldLimit::Session));
    assert!(is_committed(&place(&world, mine, Some("b"), 3, limits).await.1));
    for n in 4..7 {
        assert!(is_committed(&place(&world, mine, None, n, limits).await.1));
    }
    let tenant = world.another_account().await;
    let stranger = world.user_for(&tenant, None).await;
    assert!(is_committed(&place(&world, (&tenant, &[&stranger]), Some("a"), 0, limits).await.1));
    assert!(is_committed(&world.commit(&world.confirm_plan(&first, &[&user]).1).await));
    assert!(is_committed(&place(&world, mine, Some("a"), 7, limits).await.1), "a confirmed one does not count");
    assert_eq!(place(&world, mine, Some("a"), 8, limits).await.1, limited(HoldLimit::Session));
    assert!(is_committed(&world.commit(&world.release_plan(&second, &[&user])).await));
    assert!(is_committed(&place(&world, mine, Some("a"), 8, limits).await.1), "nor a released one");
    world.clock.advance(TTL);
    for n in 9..11 {
        assert!(is_committed(&place(&world, mine, Some("a"), n, limits).await.1), "nor expired ones");
    }
    assert_eq!(place(&world, mine, Some("a"), 11, limits).await.1, limited(HoldLimit::Session));
}

/// Holds of an organization are counted over all its accounts of one mode; its other mode and other organizations are
/// counted apart.
pub async fn holds_of_an_organization_are_limited(world: World) {
    let limits = HoldLimits { per_organization: 2, ..NO_LIMITS };
    let organization_id = world.tenant.organization_id;
    let beside = world.another_account().await;
    let live = world.account_in(organization_id, Mode::Live).await;
    let elsewhere = world.another_organization().await;
    let check = async |tenant: &Tenant, n: i64, expected: Option<HoldLimit>| {
        let user = world.user_for(tenant, None).await;
        let (hold, outcome) = place(&world, (tenant, &[&user]), None, n, limits).await;
        match expected {
            None => assert!(is_committed(&outcome), "hold {n}: {outcome:?}"),
            Some(limit) => assert_eq!(outcome, limited(limit), "hold {n}"),
        }
        (hold, user)
    };
    let (first, host) = check(&world.tenant, 0, None).await;
    check(&beside, 0, None).await;
    check(&world.tenant, 1, Some(HoldLimit::Organization)).await;
    check(&beside, 1, Some(HoldLimit::Organization)).await;
    check(&live, 0, None).await;
    check(&elsewhere, 0, None).await;
    assert!(is_committed(&world.commit(&world.release_plan(&first, &[&host])).await));
    check(&beside, 2, None).await;
    check(&world.tenant, 2, Some(HoldLimit::Organization)).await;
    world.clock.advance(TTL);
    check(&world.tenant, 3, None).await;
}

/// Extending or confirming a hold is never over a limit.
pub async fn what_is_held_stays_held_at_the_limit(world: World) {
    let user = world.user().await;
    let limits = HoldLimits { per_organization: 1, per_session: 1, per_user: 1 };
    let (hold, outcome) = place(&world, (&world.tenant, &[&user]), Some("a"), 0, limits).await;
    assert!(is_committed(&outcome));
    assert!(is_committed(&world.commit(&world.extend_plan(&hold, &[&user], world.now() + 2 * TTL)).await));
    assert!(is_committed(&world.commit(&world.confirm_plan(&hold, &[&user]).1).await));
    assert!(is_committed(&place(&world, (&world.tenant, &[&user]), Some("a"), 1, limits).await.1));
}
