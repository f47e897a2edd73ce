//! Holds: claims that end by themselves, by the store's clock, and the rows that outlive them.

use std::time::Duration;

use agentcal_engine::commit::{ClaimChange, CommitPlan, HoldChange, Outcome, RevisionKey};
use agentcal_engine::ids::HoldId;
use agentcal_engine::model::{Claim, ClaimOwner, Hold, HoldState, User};
use agentcal_engine::ports::HoldStoreItem;
use futures::future::join_all;

use crate::World;
use crate::world::{CALL, NO_LIMITS};

const TTL: Duration = Duration::from_secs(120);
const INSTANT: Duration = Duration::from_micros(1);

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

async fn claims(world: &World, user: &User) -> Vec<Claim> {
    let claims = world.facts(user.home_calendar_id).await.claims;
    claims.into_iter().filter(|claim| claim.user_id == user.id).collect()
}

async fn live_claims(world: &World, user: &User) -> Vec<Claim> {
    claims(world, user).await.into_iter().filter(|claim| claim.is_live(world.now())).collect()
}

async fn live_of_session(world: &World, session_id: &str) -> Vec<HoldId> {
    let items = world.store.live_holds_of_session(world.tenant.account_id, session_id).await.expect("readable");
    items.into_iter().map(|item| item.hold.id).collect()
}

/// Lesson: expired holds were ignored by one path and counted by another. An expired hold neither blocks a booking nor
/// survives it.
pub async fn an_expired_hold_neither_blocks_nor_survives(world: World) {
    let user = world.user().await;
    let other = world.user().await;
    for (user, start, end) in [(&user, 0, 30), (&user, 300, 330), (&other, 0, 30)] {
        world.hold(&[user], world.minutes(start, end), TTL).await;
    }
    world.clock.advance(TTL);
    let booking = world.book(&[&user], world.minutes(15, 45)).await;
    let ranges: Vec<_> = claims(&world, &user).await.iter().map(|claim| claim.range).collect();
    assert_eq!(ranges, [booking.range, world.minutes(300, 330)], "only what stood in the way went");
    assert_eq!(claims(&world, &other).await.len(), 1, "and nobody else's");
}

/// Until its last microsecond a hold takes the time, and not a microsecond longer: nothing need be tidied.
pub async fn a_live_hold_blocks_to_its_last_microsecond(world: World) {
    let user = world.user().await;
    world.hold(&[&user], world.minutes(0, 30), TTL).await;
    world.clock.advance(TTL - INSTANT);
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    world.clock.advance(INSTANT);
    assert!(is_committed(&world.commit(&plan).await));
}

/// A booking can be moved to where an expired hold stood.
pub async fn an_expired_hold_does_not_stop_a_move(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let to = world.minutes(60, 90);
    world.hold(&[&user], to, TTL).await;
    let plan = world.reschedule_plan(&booking, &[&user], to);
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    world.clock.advance(TTL);
    assert!(is_committed(&world.commit(&plan).await));
    assert_eq!(claims(&world, &user).await.len(), 1);
}

/// A hold is a claim of every host, part of the facts with everything the decision needs of it, and a row that comes back
/// as written.
pub async fn a_hold_is_its_claims_and_its_row(world: World) {
    let (_, calendars) = world.connect(1).await;
    let [one, two] = [world.user().await, world.user_on(calendars[0].id).await];
    let event_type = world.new_event_type(&world.tenant, "pair", &[&one, &two]);
    world.store.create_event_type(&world.tenant, &event_type, None).await.expect("answered");
    let range = world.minutes(0, 30);
    let plain = world.new_hold(&world.tenant, &[&two, &one], range, world.now() + TTL);
    let hold = Hold { event_type_id: Some(event_type.id), ..plain };
    let plan = world.place_plan(&world.tenant, &[&two, &one], &hold, NO_LIMITS);
    assert!(is_committed(&world.commit(&plan).await));
    let item = HoldStoreItem { hold: hold.clone(), claim_count: 2 };
    assert_eq!(world.hold_item(hold.id).await, Some(item));
    for (user, change) in [&two, &one].into_iter().zip(&plan.claims) {
        let ClaimChange::Insert(claim) = change else { panic!("a hold inserts claims") };
        assert_eq!(claims(&world, user).await, std::slice::from_ref(claim));
    }
    let bare =
        Hold { session_id: None, ..world.new_hold(&world.tenant, &[&one], world.minutes(60, 90), hold.expires_at) };
    world.place(&[&one], &bare).await;
    assert_eq!(world.hold_item(bare.id).await.map(|item| item.hold), Some(bare));
    assert_eq!(world.hold_item(HoldId::from_uuid(world.uuid())).await, None);
}

/// Lesson: a team hold that holds one host. When one host is taken, nobody is held and there is no row.
pub async fn a_hold_holds_all_hosts_or_none(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    world.book(&[&two], world.minutes(15, 45)).await;
    let hold = world.new_hold(&world.tenant, &[&one, &two], world.minutes(0, 30), world.now() + TTL);
    let plan = world.place_plan(&world.tenant, &[&one, &two], &hold, NO_LIMITS);
    assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: two.id });
    assert_eq!(world.hold_item(hold.id).await, None);
    assert_eq!(claims(&world, &one).await, []);
    assert!(live_of_session(&world, CALL).await.is_empty());
}

/// Lessons: a hold keyed on the event type only, and a hold two visitors both get. A hold takes its hosts' time from every
/// other hold and booking, whatever its event type; the same hold cannot be placed twice.
pub async fn a_hold_is_kept_for_one(world: World) {
    let user = world.user().await;
    let event_types = ["one", "two"].map(|slug| world.new_event_type(&world.tenant, slug, &[&user]));
    let holds = event_types.map(|event_type| {
        let hold = world.new_hold(&world.tenant, &[&user], world.minutes(0, 30), world.now() + TTL);
        Hold { event_type_id: Some(event_type.id), ..hold }
    });
    world.place(&[&user], &holds[0]).await;
    let taken = Outcome::Overlap { user_id: user.id };
    let second = world.place_plan(&world.tenant, &[&user], &holds[1], NO_LIMITS);
    assert_eq!(world.commit(&second).await, taken);
    assert_eq!(world.commit(&world.booking_plan(&[&user], world.minutes(15, 45)).1).await, taken);
    let elsewhere = Hold { range: world.minutes(60, 90), ..holds[0].clone() };
    let again = world.place_plan(&world.tenant, &[&user], &elsewhere, NO_LIMITS);
    assert_eq!(world.commit(&again).await, Outcome::Stale, "there is a hold of this id");
    assert_eq!(claims(&world, &user).await.len(), 1);
}

/// Of any number of racers for one slot, holds and bookings, one wins, and only its rows are there.
pub async fn racers_to_hold_and_to_book_have_one_winner(world: World) {
    let user = world.user().await;
    let range = world.minutes(0, 30);
    let holds: Vec<Hold> = (0..16).map(|_| world.new_hold(&world.tenant, &[&user], range, world.now() + TTL)).collect();
    let held = holds.iter().map(|hold| world.place_plan(&world.tenant, &[&user], hold, NO_LIMITS));
    let booked = (0..16).map(|_| world.booking_plan(&[&user], range).1);
    let plans: Vec<CommitPlan> = held.zip(booked).flat_map(|(held, booked)| [held, booked]).collect();
    let outcomes = join_all(plans.iter().map(|plan| world.commit(plan))).await;
    assert_eq!(outcomes.iter().filter(|outcome| is_committed(outcome)).count(), 1, "{outcomes:?}");
    assert_eq!(claims(&world, &user).await.len(), 1);
    let rows = join_all(holds.iter().map(|hold| world.hold_item(hold.id))).await;
    let is_hold = claims(&world, &user).await[0].booking_id().is_none();
    assert_eq!(rows.iter().flatten().count(), usize::from(is_hold));
}

/// An extension moves the end of claims and row together, and the present end is not the end any more.
pub async fn a_hold_is_extended_whole(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let users = [&one, &two];
    let hold = world.hold(&users, world.minutes(0, 30), TTL).await;
    world.clock.advance(TTL - INSTANT);
    let expires_at = world.now() + TTL;
    assert!(is_committed(&world.commit(&world.extend_plan(&hold, &users, expires_at)).await));
    world.clock.advance(TTL - INSTANT);
    let extended = Hold { expires_at, ..hold };
    let expected = HoldStoreItem { hold: extended.clone(), claim_count: 2 };
    assert_eq!(world.hold_item(extended.id).await, Some(expected));
    for user in users {
        assert_eq!(claims(&world, user).await[0].expires_at, Some(expires_at));
        let (_, plan) = world.booking_plan(&[user], extended.range);
        assert_eq!(world.commit(&plan).await, Outcome::Overlap { user_id: user.id });
    }
    world.clock.advance(INSTANT);
    assert_eq!(world.hold_item(extended.id).await.map(|item| item.claim_count), Some(0));
    world.book(&users, extended.range).await;
}

/// Confirming makes the claims a booking's, where they stand: the same claims, without an end and without a session. The
/// row says what the hold became.
pub async fn a_confirmed_hold_is_a_booking(world: World) {
    let (_, calendars) = world.connect(1).await;
    let [one, two] = [world.user().await, world.user_on(calendars[0].id).await];
    let users = [&one, &two];
    let hold = world.hold(&users, world.minutes(0, 30), TTL).await;
    let before = [claims(&world, &one).await.remove(0), claims(&world, &two).await.remove(0)];
    let (booking, plan) = world.confirm_plan(&hold, &users);
    let Outcome::Committed { revisions } = world.commit(&plan).await else { panic!("the hold is live") };
    assert!(revisions.iter().any(|(key, _)| *key == RevisionKey::Calendar(two.home_calendar_id)));
    for (user, before) in users.into_iter().zip(before) {
        let owner = ClaimOwner::Booking(booking.id);
        assert_eq!(claims(&world, user).await, [Claim { owner, expires_at: None, session_id: None, ..before }]);
    }
    let item = world.store.booking(world.tenant.account_id, booking.id).await.expect("readable").expect("there");
    assert_eq!((item.booking, item.claim_count), (booking.clone(), 2));
    let confirmed = Hold { state: HoldState::Confirmed(booking.id), ..hold };
    assert_eq!(world.hold_item(confirmed.id).await, Some(HoldStoreItem { hold: confirmed, claim_count: 0 }));
    world.clock.advance(TTL);
    assert_eq!(
        world.commit(&world.booking_plan(&[&one], world.minutes(0, 30)).1).await,
        Outcome::Overlap { user_id: one.id }
    );
    assert!(is_committed(&world.commit(&world.cancel_plan(&booking, &users)).await), "it is cancelled like any other");
    assert_eq!(claims(&world, &one).await, []);
}

/// Releasing gives the time of every host back at once; the row stays and says so.
pub async fn a_released_hold_gives_the_time_back(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let users = [&one, &two];
    let hold = world.hold(&users, world.minutes(0, 30), TTL).await;
    assert!(is_committed(&world.commit(&world.release_plan(&hold, &users)).await));
    assert_eq!((claims(&world, &one).await, claims(&world, &two).await), (Vec::new(), Vec::new()));
    let released = Hold { state: HoldState::Released, ..hold };
    assert_eq!(world.hold_item(released.id).await, Some(HoldStoreItem { hold: released.clone(), claim_count: 0 }));
    world.book(&users, released.range).await;
}

/// Lesson: a hold confirmed and its slot sold to another at the moment of expiry. What has ended is never confirmed,
/// extended or released, to the microsecond, although nothing was tidied; until then it can be.
pub async fn what_has_ended_never_comes_back(world: World) {
    let user = world.user().await;
    let users = [&user];
    let plans = |hold: &Hold| {
        let later = world.now() + 2 * TTL;
        [world.confirm_plan(hold, &users).1, world.extend_plan(hold, &users, later), world.release_plan(hold, &users)]
    };
    for (n, wait) in (0i64..).zip([TTL - INSTANT, TTL, TTL + INSTANT]) {
        for (kind, _) in
            plans(&world.new_hold(&world.tenant, &users, world.minutes(0, 30), world.now())).iter().enumerate()
        {
            let start = (n * 3 + i64::try_from(kind).expect("small")) * 60;
            let hold = world.hold(&users, world.minutes(start, start + 30), TTL).await;
            world.clock.advance(wait);
            let outcome = world.commit(&plans(&hold)[kind]).await;
            let expected = wait < TTL;
            assert_eq!(is_committed(&outcome), expected, "plan {kind} after {wait:?}: {outcome:?}");
            let state = world.hold_item(hold.id).await.expect("the row stays").hold.state_at(world.now());
            assert_eq!(state == HoldState::Expired, !expected, "plan {kind} after {wait:?}: {state:?}");
        }
    }
    for (plan, start) in [(0, 6_000), (2, 7_000)] {
        let hold = world.hold(&users, world.minutes(start, start + 30), TTL).await;
        assert!(is_committed(&world.commit(&plans(&hold)[plan]).await));
        let (before, row) = (claims(&world, &user).await, world.hold_item(hold.id).await);
        for plan in plans(&hold) {
            assert_eq!(world.commit(&plan).await, Outcome::Stale, "{plan:?}");
        }
        assert_eq!((claims(&world, &user).await, world.hold_item(hold.id).await), (before, row));
    }
}

/// Another count of live claims than the decision saw makes the plan stale, and it does nothing: neither claims nor rows.
pub async fn a_holds_claims_are_counted(world: World) {
    let user = world.user().await;
    let hold = world.hold(&[&user], world.minutes(0, 30), TTL).await;
    let before = (claims(&world, &user).await, world.hold_item(hold.id).await);
    let (hold_id, owner, expires_at) = (hold.id, ClaimOwner::Hold(hold.id), world.now() + 2 * TTL);
    for claim_count in [0, 2] {
        let (booking, confirm) = world.confirm_plan(&hold, &[&user]);
        let booking_id = booking.id;
        for (plan, change) in [
            (confirm, ClaimChange::Confirm { hold_id, booking_id, claim_count }),
            (world.extend_plan(&hold, &[&user], expires_at), ClaimChange::Extend { hold_id, expires_at, claim_count }),
            (world.release_plan(&hold, &[&user]), ClaimChange::Delete { owner, claim_count }),
        ] {
            let plan = CommitPlan { claims: vec![change], ..plan };
            assert_eq!(world.commit(&plan).await, Outcome::Stale, "{plan:?}");
            assert_eq!((claims(&world, &user).await, world.hold_item(hold.id).await), before);
        }
        assert_eq!(world.store.booking(world.tenant.account_id, booking_id).await.expect("readable"), None);
    }
}

/// Many callers confirm one hold: it becomes one booking, and the others' are not there.
pub async fn one_hold_becomes_one_booking(world: World) {
    let user = world.user().await;
    let hold = world.hold(&[&user], world.minutes(0, 30), TTL).await;
    let plans: Vec<_> = (0..32).map(|_| world.confirm_plan(&hold, &[&user])).collect();
    let outcomes = join_all(plans.iter().map(|(_, plan)| world.commit(plan))).await;
    let stale = outcomes.iter().filter(|outcome| **outcome == Outcome::Stale).count();
    assert_eq!(stale, plans.len() - 1, "{outcomes:?}");
    let winner = outcomes.iter().position(is_committed).expect("one wins");
    for (n, (booking, _)) in plans.iter().enumerate() {
        let found = world.store.booking(world.tenant.account_id, booking.id).await.expect("readable");
        assert_eq!(found.is_some(), n == winner);
    }
    let state = world.hold_item(hold.id).await.expect("there").hold.state;
    assert_eq!(state, HoldState::Confirmed(plans[winner].0.id));
    assert_eq!(claims(&world, &user).await.len(), 1);
}

/// The holds of a session are those that take time now, oldest first: not what expired, was released or confirmed, not
/// another session's, and not another account's of the same name.
pub async fn holds_of_a_session_are_those_that_live(world: World) {
    let user = world.user().await;
    let hold = async |start: i64, ttl| world.hold(&[&user], world.minutes(start, start + 30), ttl).await;
    let (long, short) = (hold(600, 2 * TTL).await, hold(0, TTL).await);
    let (released, confirmed, late) = (hold(60, 2 * TTL).await, hold(120, 2 * TTL).await, hold(180, 2 * TTL).await);
    assert!(is_committed(&world.commit(&world.release_plan(&released, &[&user])).await));
    assert!(is_committed(&world.commit(&world.confirm_plan(&confirmed, &[&user]).1).await));
    let others = Hold {
        session_id: Some("call-2".into()),
        ..world.new_hold(&world.tenant, &[&user], world.minutes(240, 270), world.now() + 2 * TTL)
    };
    world.place(&[&user], &others).await;
    let tenant = world.another_account().await;
    let stranger = world.user_for(&tenant, None).await;
    let theirs = world.new_hold(&tenant, &[&stranger], world.minutes(0, 30), world.now() + TTL);
    assert!(is_committed(&world.commit(&world.place_plan(&tenant, &[&stranger], &theirs, NO_LIMITS)).await));

    assert_eq!(live_of_session(&world, CALL).await, [long.id, short.id, late.id]);
    let items = world.store.live_holds_of_session(world.tenant.account_id, CALL).await.expect("readable");
    assert_eq!(items[0], HoldStoreItem { hold: long.clone(), claim_count: 1 });
    world.clock.advance(TTL);
    assert_eq!(live_of_session(&world, CALL).await, [long.id, late.id]);
    assert_eq!(live_of_session(&world, "call-2").await, [others.id]);
    assert_eq!(live_of_session(&world, "call-3").await, []);
    assert_eq!(live_of_session(&world, "").await, []);
}

/// All holds of a session go in one commit, or none.
pub async fn a_session_is_released_whole(world: World) {
    let [one, two] = [world.user().await, world.user().await];
    let first = world.hold(&[&one], world.minutes(0, 30), TTL).await;
    let second = world.hold(&[&one, &two], world.minutes(60, 90), 2 * TTL).await;
    let both = |first: &Hold, second: &Hold| {
        let (a, b) = (world.release_plan(first, &[&one]), world.release_plan(second, &[&one, &two]));
        CommitPlan {
            claims: [a.claims, b.claims].concat(),
            holds: [a.holds, b.holds].concat(),
            ..world.empty_plan(&world.tenant, &[&one, &two])
        }
    };
    world.clock.advance(TTL);
    assert_eq!(world.commit(&both(&second, &first)).await, Outcome::Stale, "one of them has expired");
    assert_eq!(live_of_session(&world, CALL).await, [second.id]);
    assert_eq!(live_claims(&world, &two).await.len(), 1);
    let third = world.hold(&[&one], world.minutes(120, 150), TTL).await;
    assert!(is_committed(&world.commit(&both(&third, &second)).await));
    assert_eq!(live_of_session(&world, CALL).await, []);
    assert_eq!((live_claims(&world, &one).await, live_claims(&world, &two).await), (Vec::new(), Vec::new()));
}

/// A hold's row cannot be changed without its claims being there, nor another account's at all.
pub async fn a_hold_belongs_to_its_account(world: World) {
    let user = world.user().await;
    let hold = world.hold(&[&user], world.minutes(0, 30), TTL).await;
    let before = (claims(&world, &user).await, world.hold_item(hold.id).await);
    let tenant = world.another_account().await;
    assert_eq!(world.store.hold(tenant.account_id, hold.id).await.expect("readable"), None);
    assert_eq!(world.store.live_holds_of_session(tenant.account_id, CALL).await.expect("readable"), []);
    let stranger = world.user_for(&tenant, None).await;
    let base = || world.empty_plan(&tenant, &[&stranger]);
    let (hold_id, expires_at) = (hold.id, world.now() + 2 * TTL);
    let (booking, theirs) = world.booking_plan_for(&tenant, &[&stranger], hold.range);
    let confirm = ClaimChange::Confirm { hold_id, booking_id: booking.id, claim_count: 1 };
    let booked = HoldChange::Confirm { hold_id, booking_id: booking.id };
    let foreign = Hold { id: HoldId::from_uuid(world.uuid()), ..hold.clone() };
    for plan in [
        CommitPlan { claims: vec![confirm], holds: vec![booked], ..theirs },
        CommitPlan {
            claims: world.extend_plan(&hold, &[&user], expires_at).claims,
            holds: vec![HoldChange::Extend { hold_id, expires_at }],
            ..base()
        },
        CommitPlan {
            claims: world.release_plan(&hold, &[&user]).claims,
            holds: vec![HoldChange::Release { hold_id }],
            ..base()
        },
        CommitPlan {
            expected_revisions: base().expected_revisions,
            tenant,
            shard: base().shard,
            ..world.place_plan(&world.tenant, &[&user], &foreign, NO_LIMITS)
        },
    ] {
        assert_eq!(world.commit(&plan).await, Outcome::Stale, "{plan:?}");
    }
    assert_eq!((claims(&world, &user).await, world.hold_item(hold.id).await), before);
}
