//! Connections of one of several nodes: they outlive crashes of the disk, and the way to it can be broken.

use std::time::Duration;

use agentcal_engine::commit::Outcome;
use agentcal_engine::ports::{CommitStore, FactStore, NodeRecord, OwnershipStore, StoreError};
use agentcal_engine::shard::{Epoch, NodeId, Shard};
use agentcal_sim_store::{CommitNote, Line, Planted, Settings, SimStore, Span, Way};
use agentcal_store_conformance::World;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::common::{is_committed, world_on_disk};

/// How long a transaction waits for a way that is broken.
const PATIENCE: Duration = Duration::from_secs(5);
const NODE: NodeId = NodeId(Uuid::from_u128(7));

fn in_doubt<T>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_it_serves_again() {
    let (_world, disk) = world_on_disk().await;
    let store = disk.connect_for_good(1, Line::default());
    disk.set(Settings { latency: Span::millis(50, 50), ..Settings::default() });
    let asker = store.clone();
    let under_way = tokio::spawn(async move { asker.store_now().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    disk.crash();
    assert!(in_doubt(under_way.await.unwrap()), "what was under way is in doubt");
    store.store_now().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_way_is_noticed_and_what_was_done_is_done() {
    for (way, performed) in [(Way::Cut, 0), (Way::Mute, 1)] {
        let (world, disk) = world_on_disk().await;
        let user = world.user().await;
        let line = Line::default();
        let store = disk.connect_for_good(1, line.clone());
        line.set(way);
        let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
        let began = Instant::now();
        assert!(in_doubt(store.commit(&plan).await), "{way:?}");
        assert_eq!(began.elapsed(), PATIENCE);
        assert_eq!(disk.view().bookings(world.tenant.account_id).len(), performed, "{way:?}");
    }
}

/// A process that was stopped goes on with what it was about to do, whoever waits for it by then.
#[tokio::test(start_paused = true)]
async fn a_commit_of_a_sleeper_happens_when_it_wakes() {
    let (world, disk) = world_on_disk().await;
    let user = world.user().await;
    let store = disk.connect_for_good(1, Line::default());
    store.hold();
    let (_, plan) = world.booking_plan(&[&user], world.minutes(0, 30));
    assert!(timeout(PATIENCE * 10, store.commit(&plan)).await.is_err(), "nothing goes through");
    assert_eq!(disk.view().bookings(world.tenant.account_id).len(), 0);
    store.resume();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(disk.view().bookings(world.tenant.account_id).len(), 1, "it was made late");
}

/// Makes a node the owner of everything; returns the ownership of the world's account.
async fn own(store: &SimStore, world: &World) -> Epoch {
    let node = NodeRecord { id: NODE, address: String::new(), started_at: world.now(), is_draining: false };
    store.renew_lease(&node, PATIENCE, 0).await.unwrap();
    let shards: Vec<Shard> = Shard::all().collect();
    let taken = store.take_shards(NODE, &shards).await.unwrap();
    let own = Shard::of(world.tenant.account_id);
    taken.into_iter().find(|(shard, _)| *shard == own).unwrap().1
}

async fn book_under(store: &SimStore, world: &World, start: i64, epoch: Option<Epoch>) -> Outcome {
    let user = world.user().await;
    let (_, mut plan) = world.booking_plan(&[&user], world.minutes(start, start + 30));
    plan.epoch = epoch;
    store.commit(&plan).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_wrote_and_by_what_right_is_noted() {
    let (world, disk) = world_on_disk().await;
    let store = disk.connect_for_good(3, Line::default());
    let epoch = own(&store, &world).await;
    let seen = disk.view().notes(world.tenant.account_id, 0).len() as u64;
    assert!(is_committed(&book_under(&store, &world, 0, Some(epoch)).await));
    assert!(is_committed(&book_under(&store, &world, 30, None).await));
    let notes = disk.view().notes(world.tenant.account_id, seen);
    let rights: Vec<_> = notes.iter().map(|note| (note.writer, note.epoch, note.standing)).collect();
    assert_eq!(rights, [(3, Some(epoch), epoch), (3, None, epoch)]);
    let starts: Vec<_> = notes.iter().filter_map(|note| Some(note.took?.1.start)).collect();
    assert_eq!(starts, [world.minutes(0, 1).start, world.minutes(30, 31).start]);
}

#[tokio::test(start_paused = true)]
async fn without_a_fence_a_write_under_an_ownership_that_is_over_is_noted() {
    for planted in [None, Some(Planted::NoFence)] {
        let (world, disk) = world_on_disk().await;
        let store = disk.connect_for_good(3, Line::default());
        let standing = own(&store, &world).await;
        disk.set(Settings { planted: planted.into_iter().collect(), ..Settings::default() });
        let over = Epoch(standing.0 - 1);
        let outcome = book_under(&store, &world, 0, Some(over)).await;
        assert_eq!(is_committed(&outcome), planted.is_some(), "{outcome:?}");
        let is_over = |note: &CommitNote| note.epoch == Some(over) && note.standing == standing;
        assert_eq!(disk.view().notes(world.tenant.account_id, 0).iter().any(is_over), planted.is_some());
    }
}
