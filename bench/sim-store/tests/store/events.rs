//! What is told of a booking is a row of the commit that changes it: there with it, and not without.

use agentcal_engine::commit::Outcome;
use agentcal_engine::model::EventKind;
use agentcal_sim_store::{Disk, Fate};
use agentcal_store_conformance::World;

use crate::common::{is_committed, world_on_disk};

fn told(disk: &Disk, world: &World) -> Vec<(EventKind, Option<u32>)> {
    let events = disk.view().events(world.tenant.account_id);
    events.iter().map(|event| (event.kind, event.sequence())).collect()
}

#[tokio::test]
async fn each_change_is_told_once() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    let (booking, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    assert!(is_committed(&world.commit(&plan).await));
    assert!(!is_committed(&world.commit(&plan).await));
    let (_, taken) = world.booking_plan(&[&user], world.minutes(75, 105));
    assert!(matches!(world.commit(&taken).await, Outcome::Overlap { .. }));
    world.commit(&world.reschedule_plan(&booking, &[&user], world.minutes(120, 150))).await;
    let moved = world.booking(booking.id).await;
    world.commit(&world.cancel_plan(&moved, &[&user])).await;
    let expected = [
        (EventKind::BookingCreated, Some(0)),
        (EventKind::BookingRescheduled, Some(1)),
        (EventKind::BookingCancelled, Some(2)),
    ];
    assert_eq!(told(&disk, &world), expected);
}

#[tokio::test]
async fn a_lost_commit_tells_nothing() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    let (_, plan) = world.booking_plan(&[&user], world.minutes(60, 90));
    disk.next_write(Fate::DoubtLost);
    assert!(world.store.commit(&plan).await.is_err());
    assert_eq!(told(&disk, &world), []);
    disk.next_write(Fate::DoubtPerformed);
    assert!(world.store.commit(&plan).await.is_err());
    assert_eq!(told(&disk, &world), [(EventKind::BookingCreated, Some(0))]);
}
