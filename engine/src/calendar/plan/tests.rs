//! Plans of what needs no decision, and what makes any plan whole.

use uuid::Uuid;

use super::*;
use crate::calendar::fixtures::{Zero, at, booking, booking_id, calendar, config, hold, hours, tenant, user, user_id};
use crate::calendar::request::{HoldSelection, Intent};
use crate::ids::HoldId;
use crate::invariants::Violation;
use crate::model::SchedulingMode;

fn hold_id(number: u128) -> HoldId {
    HoldId::from_uuid(Uuid::from_u128(number))
}

fn request(kind: CommitKind) -> CommitRequest {
    CommitRequest {
        commit_id: Uuid::from_u128(9),
        tenant: tenant(),
        kind,
        intent: Intent::Commit,
        idempotency: None,
        deadline: at(60),
    }
}

fn grounds<'a>(request: &'a CommitRequest, config: &'a AccountConfig, now: Timestamp) -> Grounds<'a> {
    Grounds {
        request,
        config,
        epoch: Some(Epoch(3)),
        is_shared: false,
        now,
        entropy: &Zero,
        hold_limits: HoldLimits::default(),
    }
}

fn account_of_two() -> AccountConfig {
    config(SchedulingMode::Collective, &[user(2, &[]), user(4, &[])])
}

/// An extension counts from when it is asked for, reaches no further than the longest hold, and never shortens.
#[test]
fn an_extension_never_takes_away() {
    let check = |now: Timestamp, ttl_seconds: u32, expected: Timestamp| {
        let request = request(CommitKind::Extend { hold_id: hold_id(8), ttl_seconds });
        let config = account_of_two();
        let planned = extend(&grounds(&request, &config, now), &hold(8, &[2, 4], hours(1, 2)));
        assert_eq!(planned.made.hold().map(|hold| hold.expires_at), Some(expected));
        let change = ClaimChange::Extend { hold_id: hold_id(8), expires_at: expected, claim_count: 2 };
        assert_eq!(planned.plan.claims, std::slice::from_ref(&change));
        assert_eq!(planned.plan.holds, [HoldChange::Extend { hold_id: hold_id(8), expires_at: expected }]);
        let changes = Some(vec![change]);
        assert_eq!(
            planned.changed_calendars(),
            BTreeMap::from([(calendar(2), changes.clone()), (calendar(4), changes)])
        );
    };
    check(at(100), 120, at(220));
    check(at(10), 30, at(120));
    check(at(100), 900, at(1_000));
    check(at(100), 5_000, at(1_000));
}

/// Holds are given back together, whoever's they are: one plan raises every home.
#[test]
fn holds_are_given_back_together() {
    let request = request(CommitKind::Release(HoldSelection::Session("call".into())));
    let config = account_of_two();
    let items = [hold(8, &[4], hours(1, 2)), hold(9, &[2, 4], hours(3, 4))];
    let planned = release(&grounds(&request, &config, at(0)), &items);
    assert_eq!(planned.made, Made::Released(vec![hold_id(8), hold_id(9)]));
    let delete = |number, claim_count| ClaimChange::Delete { owner: ClaimOwner::Hold(hold_id(number)), claim_count };
    assert_eq!(planned.plan.claims, [delete(8, 1), delete(9, 2)]);
    let raised: Vec<RevisionKey> =
        planned.plan.expected_revisions.iter().skip(1).map(|expected| expected.key).collect();
    let users = [user_id(2), user_id(4)].map(RevisionKey::User);
    assert_eq!(raised, [[calendar(2), calendar(4)].map(RevisionKey::Calendar), users].concat());
}

/// A change of a booking that may have been written is published by loading: only the store knows where it was last
/// written. A host without a calendar has no such event.
#[test]
fn only_written_calendars_are_loaded_again() {
    let mut at_home = user(1, &[]);
    at_home.calendar_id = None;
    let config = config(SchedulingMode::Individual, &[at_home]);
    let mut moved = booking(8, hours(5, 6));
    let check = |booking: &Booking, expected: &[(u128, bool)]| {
        let item = BookingStoreItem { booking: booking.clone(), claim_count: 1 };
        let request = request(CommitKind::Cancel { booking_id: booking.id, reason: None, by: ChangedBy::Key });
        let planned = cancel(&grounds(&request, &config, at(0)), &item);
        let found: Vec<_> =
            planned.changed_calendars().into_iter().map(|(id, changes)| (id, changes.is_some())).collect();
        let expected: Vec<_> = expected.iter().map(|&(number, applies)| (calendar(number), applies)).collect();
        assert_eq!(found, expected);
    };
    check(&moved, &[(1, true), (2, false)]);
    moved.hosts[0].calendar_id = None;
    check(&moved, &[(1, true)]);
}

/// A plan whose parts do not belong together is found, before it is committed and after it has arrived.
#[test]
fn a_torn_plan_is_found() {
    let config = account_of_two();
    let extending = request(CommitKind::Extend { hold_id: hold_id(8), ttl_seconds: 120 });
    let whole = extend(&grounds(&extending, &config, at(0)), &hold(8, &[2, 4], hours(1, 2))).plan;
    let base = || CommitPlan { claims: Vec::new(), holds: Vec::new(), ..whole.clone() };
    let booked = Booking { hosts: vec![booking(1, hours(1, 2)).hosts.remove(0); 2], ..booking(1, hours(1, 2)) };
    let insert = |booking: &Booking| Some(BookingChange::Insert(Box::new(booking.clone())));
    let confirm =
        |number, claim_count| ClaimChange::Confirm { hold_id: hold_id(8), booking_id: booking_id(number), claim_count };
    let as_booking = |number| HoldChange::Confirm { hold_id: hold_id(8), booking_id: booking_id(number) };
    let placed = |hold: Hold| HoldChange::Insert { hold: Box::new(hold), limits: HoldLimits::default() };
    let owner = ClaimOwner::Booking(booking_id(1));
    let check = |what: &str, plan: CommitPlan, expected: bool| {
        let found = plan_is_sound(&plan);
        assert_eq!(found.is_ok(), expected, "{what}: {found:?}");
        assert!(found.is_ok() || matches!(found, Err(Violation::Torn { .. })), "{what}: {found:?}");
    };
    check("an extension", whole.clone(), true);
    check("a row without claims", CommitPlan { claims: Vec::new(), ..whole.clone() }, false);
    check("claims without a row", CommitPlan { holds: Vec::new(), ..whole.clone() }, false);
    let other_end = vec![HoldChange::Extend { hold_id: hold_id(8), expires_at: at(1) }];
    check("another end", CommitPlan { holds: other_end, ..whole.clone() }, false);
    let confirmed =
        || CommitPlan { claims: vec![confirm(1, 2)], holds: vec![as_booking(1)], booking: insert(&booked), ..base() };
    check("a confirmation", confirmed(), true);
    check("fewer claims than hosts", CommitPlan { claims: vec![confirm(1, 1)], ..confirmed() }, false);
    check("no booking", CommitPlan { booking: None, ..confirmed() }, false);
    check(
        "another booking",
        CommitPlan { claims: vec![confirm(2, 2)], holds: vec![as_booking(2)], ..confirmed() },
        false,
    );
    check("a row of another booking", CommitPlan { holds: vec![as_booking(2)], ..confirmed() }, false);
    check("a confirmation without the row", CommitPlan { holds: Vec::new(), ..confirmed() }, false);
    check("a booking without claims", CommitPlan { booking: insert(&booked), ..base() }, false);
    check(
        "a hold without claims",
        CommitPlan { holds: vec![placed(hold(8, &[2], hours(1, 2)).hold)], ..base() },
        false,
    );
    check(
        "a release without claims",
        CommitPlan { holds: vec![HoldChange::Release { hold_id: hold_id(8) }], ..base() },
        false,
    );
    let freed = vec![ClaimChange::Delete { owner: ClaimOwner::Hold(hold_id(8)), claim_count: 1 }];
    check("claims without their release", CommitPlan { claims: freed, ..base() }, false);
    let range = hours(3, 4);
    let moved =
        Some(BookingChange::Reschedule { booking_id: booking_id(1), sequence: 0, range, attendee_reschedules: 0 });
    let along = vec![ClaimChange::Move { owner, range, claim_count: 2 }];
    check("a move", CommitPlan { booking: moved.clone(), claims: along, ..base() }, true);
    let elsewhere = vec![ClaimChange::Move { owner, range: hours(4, 5), claim_count: 2 }];
    check("a move apart from its claims", CommitPlan { booking: moved.clone(), claims: elsewhere, ..base() }, false);
    check("a move without its claims", CommitPlan { booking: moved, ..base() }, false);
    let held = ClaimOwner::Hold(hold_id(8));
    check(
        "a hold that moves",
        CommitPlan { claims: vec![ClaimChange::Move { owner: held, range, claim_count: 1 }], ..base() },
        false,
    );
    let cancelled = Some(BookingChange::Cancel { booking_id: booking_id(1), sequence: 0, reason: None });
    check("a cancellation that keeps the time", CommitPlan { booking: cancelled, ..base() }, false);
}
