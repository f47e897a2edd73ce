//! Decision records.

use std::time::Duration;

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::decision::Reason;
use agentcal_engine::ids::{AccountId, BookingId, DecisionId, HoldId};
use agentcal_engine::model::{DecisionKind, DecisionRecord, Mode, Tenant};
use agentcal_engine::ports::{DecisionFilter, PageRequest};

use crate::World;
use crate::world::first_page;

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const INSTANT: Duration = Duration::from_micros(1);

async fn lookup(world: &World, id: DecisionId) -> Option<DecisionRecord> {
    world.store.decision(world.tenant.account_id, id).await.expect("readable")
}

async fn list(world: &World, tenant: &Tenant, filter: DecisionFilter) -> Vec<DecisionId> {
    let listed = world.store.list_decisions(tenant, &filter, &first_page(100)).await.expect("readable");
    listed.rows.into_iter().map(|record| record.id).collect()
}

/// The record of a success is written with what was decided, in its commit: there when the commit is, not when it is not.
pub async fn a_decision_is_kept_with_its_commit(world: World) {
    let user = world.user().await;
    let plan = || {
        let (booking, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
        let record = DecisionRecord {
            booking_id: Some(booking.id),
            chosen: vec![user.id],
            ..world.new_decision(&world.tenant, &user, booking.range)
        };
        (record.clone(), CommitPlan { decision: Some(Box::new(record)), ..plan })
    };
    let ((kept, first), (refused, second)) = (plan(), plan());
    assert!(matches!(world.commit(&first).await, Outcome::Committed { .. }));
    assert_eq!(world.commit(&second).await, Outcome::Overlap { user_id: user.id });
    assert_eq!(lookup(&world, kept.id).await, Some(kept));
    assert_eq!(lookup(&world, refused.id).await, None);
}

/// Records of refusals come back as written. Writing one again changes nothing, and one of an account that is gone is left
/// out: neither keeps the others of its batch from being written.
pub async fn refusals_come_back_as_written(world: World) {
    let user = world.user().await;
    let base = || world.new_decision(&world.tenant, &user, world.minutes(0, 30));
    let mut refused = base();
    refused.kind = DecisionKind::Reschedule;
    refused.booking_id = Some(BookingId::from_uuid(world.uuid()));
    refused.decision.verdicts[0].reasons = vec![Reason::Busy, Reason::TooSoon];
    let gone = DecisionRecord { account_id: AccountId::from_uuid(world.uuid()), ..base() };
    let last = DecisionRecord { kind: DecisionKind::Hold, ..base() };
    world.store.record_decisions(std::slice::from_ref(&refused)).await.expect("recorded");
    world.store.record_decisions(&[gone.clone(), refused.clone(), last.clone()]).await.expect("recorded");
    world.store.record_decisions(&[]).await.expect("nothing to do");
    assert_eq!(lookup(&world, refused.id).await, Some(refused.clone()));
    assert_eq!(lookup(&world, last.id).await, Some(last.clone()));
    assert_eq!(lookup(&world, gone.id).await, None);
    assert_eq!(list(&world, &world.tenant, DecisionFilter::default()).await, [last.id, refused.id]);
}

/// Records are listed newest first, of one booking or hold where asked, and of nobody else's account, mode or
/// organization.
pub async fn decisions_are_listed_newest_first(world: World) {
    let user = world.user().await;
    let (booking_id, hold_id) = (BookingId::from_uuid(world.uuid()), HoldId::from_uuid(world.uuid()));
    let base = || world.new_decision(&world.tenant, &user, world.minutes(0, 30));
    let mut records = vec![
        DecisionRecord { hold_id: Some(hold_id), ..base() },
        DecisionRecord { hold_id: Some(hold_id), booking_id: Some(booking_id), ..base() },
        base(),
    ];
    world.clock.advance(INSTANT);
    records.push(DecisionRecord { booking_id: Some(booking_id), ..base() });
    // Written in another order than they were decided in.
    for n in [3, 0, 2, 1] {
        world.store.record_decisions(&records[n..=n]).await.expect("recorded");
    }
    let check = async |filter: DecisionFilter, expected: &[usize]| {
        let expected: Vec<_> = expected.iter().map(|&n| records[n].id).collect();
        assert_eq!(list(&world, &world.tenant, filter).await, expected, "{filter:?}");
    };
    let none = DecisionFilter::default();
    check(none, &[3, 2, 1, 0]).await;
    check(DecisionFilter { booking_id: Some(booking_id), ..none }, &[3, 1]).await;
    check(DecisionFilter { hold_id: Some(hold_id), ..none }, &[1, 0]).await;
    check(DecisionFilter { hold_id: Some(hold_id), booking_id: Some(booking_id) }, &[1]).await;
    check(DecisionFilter { booking_id: Some(BookingId::from_uuid(world.uuid())), ..none }, &[]).await;

    let beside = world.another_account().await;
    let elsewhere = world.another_organization().await;
    let other_mode = Tenant { mode: Mode::Live, ..world.tenant };
    let other_organization = Tenant { organization_id: elsewhere.organization_id, ..world.tenant };
    for stranger in [beside, other_mode, other_organization] {
        assert_eq!(list(&world, &stranger, none).await, []);
    }
    assert_eq!(world.store.decision(beside.account_id, records[0].id).await.expect("readable"), None);
}

/// A cursor continues where its page ended, though records are added meanwhile.
pub async fn pages_of_decisions_are_stable_under_inserts(world: World) {
    let user = world.user().await;
    let add = async || {
        let record = world.new_decision(&world.tenant, &user, world.minutes(0, 30));
        world.store.record_decisions(std::slice::from_ref(&record)).await.expect("recorded");
        record.id
    };
    let mut expected = Vec::new();
    for n in 0..5 {
        expected.push(add().await);
        if n == 2 {
            world.clock.advance(INSTANT);
        }
    }
    expected.reverse();
    let (mut seen, mut page) = (Vec::new(), first_page(2));
    loop {
        let listed = world.store.list_decisions(&world.tenant, &DecisionFilter::default(), &page).await;
        let listed = listed.expect("readable");
        seen.extend(listed.rows.iter().map(|record| record.id));
        world.clock.advance(INSTANT);
        add().await;
        match listed.next {
            Some(after) => page = PageRequest { limit: 2, after: Some(after) },
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

/// Records are forgotten after 30 days, at most so many at once; younger ones stay.
pub async fn decisions_are_forgotten_after_a_month(world: World) {
    let user = world.user().await;
    let add = async || {
        let record = world.new_decision(&world.tenant, &user, world.minutes(0, 30));
        world.store.record_decisions(std::slice::from_ref(&record)).await.expect("recorded");
        record.id
    };
    for _ in 0..3 {
        add().await;
    }
    world.clock.advance(INSTANT);
    let young = add().await;
    world.clock.advance(MONTH - 2 * INSTANT);
    assert_eq!(world.store.forget_old_decisions(100).await.expect("forgotten"), 0);
    world.clock.advance(INSTANT);
    for expected in [2, 1, 0] {
        assert_eq!(world.store.forget_old_decisions(2).await.expect("forgotten"), expected);
    }
    assert_eq!(list(&world, &world.tenant, DecisionFilter::default()).await, [young]);
}
