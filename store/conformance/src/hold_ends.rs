//! What becomes of holds when they are tidied away, and when what they stand on goes.

use std::time::Duration;

use agentcal_engine::commit::{Outcome, RevisionKey};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{Claim, Hold, HoldState, User};
use agentcal_engine::ports::Write;

use crate::World;
use crate::world::{CALL, NO_LIMITS};

const TTL: Duration = Duration::from_secs(120);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const INSTANT: Duration = Duration::from_micros(1);

async fn claims(world: &World, user: &User) -> Vec<Claim> {
    let claims = world.facts(user.home_calendar_id).await.claims;
    claims.into_iter().filter(|claim| claim.user_id == user.id).collect()
}

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

/// Tidying removes claims of holds that expired and rows that ended more than a day ago, at most so many of each at once,
/// and nothing else: no live hold, no booking, no revision.
pub async fn tidying_removes_nothing_that_matters(world: World) {
    let user = world.user().await;
    let mut expired = Vec::new();
    for n in 0..3 {
        expired.push(world.hold(&[&user], world.minutes(n * 60, n * 60 + 30), TTL).await);
    }
    let confirmed = world.hold(&[&user], world.minutes(300, 330), TTL).await;
    let (booking, plan) = world.confirm_plan(&confirmed, &[&user]);
    assert!(is_committed(&world.commit(&plan).await));
    world.clock.advance(TTL - INSTANT);
    assert_eq!(world.store.tidy_holds(100).await.expect("tidied"), 0);
    assert_eq!(claims(&world, &user).await.len(), 4);
    world.clock.advance(INSTANT);
    let live = world.hold(&[&user], world.minutes(600, 630), 2 * DAY).await;
    let revision = world.facts(user.home_calendar_id).await.revision;
    assert_eq!(world.store.tidy_holds(2).await.expect("tidied"), 2);
    assert_eq!(world.store.tidy_holds(2).await.expect("tidied"), 1);
    assert_eq!(world.store.tidy_holds(2).await.expect("tidied"), 0);
    let left: Vec<_> = claims(&world, &user).await.iter().map(|claim| claim.range).collect();
    assert_eq!(left, [booking.range, live.range]);
    assert_eq!(world.facts(user.home_calendar_id).await.revision, revision);
    for hold in &expired {
        let item = world.hold_item(hold.id).await.expect("rows outlive claims");
        assert_eq!((item.hold.state_at(world.now()), item.claim_count), (HoldState::Expired, 0));
    }
    world.clock.advance(DAY - INSTANT);
    assert_eq!(world.store.tidy_holds(100).await.expect("tidied"), 0);
    world.clock.advance(INSTANT);
    assert_eq!(world.store.tidy_holds(2).await.expect("tidied"), 2);
    assert_eq!(world.store.tidy_holds(100).await.expect("tidied"), 2);
    for hold in expired.iter().chain([&confirmed]) {
        assert_eq!(world.hold_item(hold.id).await, None);
    }
    assert_eq!(world.hold_item(live.id).await.map(|item| item.claim_count), Some(1));
    assert_eq!(claims(&world, &user).await.len(), 2);
}

/// What expired stands in nobody's way when a user goes.
pub async fn expired_holds_do_not_keep_a_user(world: World) {
    let [user, stays] = [world.user().await, world.user().await];
    let hold = world.hold(&[&user, &stays], world.minutes(0, 30), TTL).await;
    world.clock.advance(TTL);
    let before = world.facts(stays.home_calendar_id).await.revision;
    let write = world.store.delete_user(&world.tenant, user.id, world.now(), None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    let item = world.hold_item(hold.id).await.expect("the row stays");
    assert_eq!((item.hold.state_at(world.now()), item.claim_count), (HoldState::Expired, 0));
    assert_eq!(world.facts(stays.home_calendar_id).await.revision, before, "nothing that counts has changed");
    world.book(&[&stays], world.minutes(0, 30)).await;
}

/// Live holds on a user end when the user goes: they are released, and give back the time of their other hosts too, whose
/// calendars are raised. Holds and bookings on others stay.
pub async fn live_holds_end_with_their_user(world: World) {
    let (_, calendars) = world.connect(1).await;
    let [user, host] = [world.user().await, world.user_on(calendars[0].id).await];
    let pair = world.hold(&[&user, &host], world.minutes(0, 30), TTL).await;
    let alone = world.hold(&[&user], world.minutes(60, 90), TTL).await;
    let other = world.hold(&[&host], world.minutes(60, 90), TTL).await;
    let booking = world.book(&[&host], world.minutes(120, 150)).await;
    let before = world.facts(host.home_calendar_id).await.revision;
    let decided_before = world.confirm_plan(&pair, &[&user, &host]).1;
    let write = world.store.delete_user(&world.tenant, user.id, world.now(), None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    for hold in [&pair, &alone] {
        let item = world.hold_item(hold.id).await.expect("the row stays");
        assert_eq!((item.hold.state, item.claim_count), (HoldState::Released, 0));
    }
    let left: Vec<_> = claims(&world, &host).await.iter().map(|claim| claim.range).collect();
    assert_eq!(left, [other.range, booking.range]);
    assert!(world.facts(host.home_calendar_id).await.revision > before);
    assert_eq!(world.commit(&decided_before).await, Outcome::Stale);
    assert_eq!(world.commit(&world.confirm_plan(&pair, &[&host]).1).await, Outcome::Stale);
    let live = world.store.live_holds_of_session(world.tenant.account_id, CALL).await.expect("readable");
    assert_eq!(live.iter().map(|item| item.hold.id).collect::<Vec<_>>(), [other.id]);
    world.book(&[&host], pair.range).await;
}

/// A hold outlives its event type, takes its time on, and can be confirmed or released.
pub async fn a_hold_outlives_its_event_type(world: World) {
    let user = world.user().await;
    let event_type = world.new_event_type(&world.tenant, "gone", &[&user]);
    world.store.create_event_type(&world.tenant, &event_type, None).await.expect("answered");
    let holds = [0, 60].map(|start| Hold {
        event_type_id: Some(event_type.id),
        ..world.new_hold(&world.tenant, &[&user], world.minutes(start, start + 30), world.now() + TTL)
    });
    for hold in &holds {
        world.place(&[&user], hold).await;
    }
    let write = world.store.delete_event_type(&world.tenant, event_type.id, None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    for hold in &holds {
        assert_eq!(world.hold_item(hold.id).await.map(|item| item.hold), Some(hold.clone()));
        let (_, plan) = world.booking_plan(&[&user], hold.range);
        assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    }
    assert!(is_committed(&world.commit(&world.confirm_plan(&holds[0], &[&user]).1).await));
    assert!(is_committed(&world.commit(&world.release_plan(&holds[1], &[&user])).await));
}

/// When a connection goes, holds move with their user to its internal home, live ones and expired ones, and can be
/// confirmed there.
pub async fn holds_follow_their_home(world: World) {
    let (connection, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    world.hold(&[&user], world.minutes(0, 30), TTL).await;
    world.clock.advance(TTL);
    let live = world.hold(&[&user], world.minutes(60, 90), TTL).await;
    let home = CalendarId::from_uuid(world.uuid());
    let now = world.now();
    let write = world.store.delete_connection(&world.tenant, connection.id, &[(user.id, home)], now, None).await;
    assert_eq!(write.expect("answered"), Write::Done);
    let moved = User { calendar_id: None, home_calendar_id: home, ..user };
    assert!(claims(&world, &moved).await.iter().any(|claim| claim.range == live.range));
    assert_eq!(world.hold_item(live.id).await.map(|item| item.claim_count), Some(1));
    let Outcome::Committed { revisions } = world.commit(&world.confirm_plan(&live, &[&moved]).1).await else {
        panic!("the hold is live")
    };
    assert!(revisions.iter().any(|(key, _)| *key == RevisionKey::Calendar(home)));
    world.book(&[&moved], world.minutes(0, 30)).await;
}

/// An account goes with its holds and decision records, live or not, and they no longer count against its organization.
pub async fn a_deleted_account_leaves_no_hold(world: World) {
    let user = world.user().await;
    let live = world.hold(&[&user], world.minutes(0, 30), TTL).await;
    let record = world.new_decision(&world.tenant, &user, live.range);
    world.store.record_decisions(std::slice::from_ref(&record)).await.expect("recorded");
    assert_eq!(world.store.delete_account(&world.tenant, None).await.expect("answered"), Write::Done);
    let account_id = world.tenant.account_id;
    assert_eq!(world.hold_item(live.id).await, None);
    assert_eq!(world.store.live_holds_of_session(account_id, CALL).await.expect("readable"), []);
    assert_eq!(world.store.decision(account_id, record.id).await.expect("readable"), None);
    let beside = world.another_account().await;
    let host = world.user_for(&beside, None).await;
    let hold = world.new_hold(&beside, &[&host], world.minutes(0, 30), world.now() + TTL);
    let limits = agentcal_engine::commit::HoldLimits { per_organization: 1, ..NO_LIMITS };
    assert!(is_committed(&world.commit(&world.place_plan(&beside, &[&host], &hold, limits)).await));
}
