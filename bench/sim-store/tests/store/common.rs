//! Stores on disks of their own.

use std::sync::Arc;

use agentcal_engine::commit::Outcome;
use agentcal_sim_store::{Disk, Planted, Seeded, Settings, SimStore};
use agentcal_store_conformance::{TestClock, World};

/// An empty store of this clock, and its disk.
pub(crate) async fn make(clock: Arc<TestClock>) -> (SimStore, Disk) {
    let disk = Disk::new(clock, Arc::new(Seeded::new(1)));
    (disk.connect(), disk)
}

/// A world, and the disk its store is connected to.
pub(crate) async fn world_on_disk() -> (World, Disk) {
    let mut disk = None;
    let world = World::new(async |clock| {
        let (store, made) = make(clock).await;
        disk = Some(made);
        (store, ())
    })
    .await;
    (world, disk.unwrap())
}

/// A world whose store breaks a guarantee.
pub(crate) async fn world_with(planted: Planted) -> (World, Disk) {
    let (world, disk) = world_on_disk().await;
    disk.set(Settings { planted: [planted].into(), ..Settings::default() });
    (world, disk)
}

pub(crate) fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}
