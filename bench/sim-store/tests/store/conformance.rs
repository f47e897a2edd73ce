//! The store keeps the store port, however long its transactions take.

use std::sync::Arc;

use agentcal_sim_store::{Disk, Settings, SimStore, SlowPhases, Span};
use agentcal_store_conformance::{TestClock, run_store_suite};

use crate::common::make;

agentcal_store_conformance::store_suite!(make);
agentcal_store_conformance::ownership_suite!(make);

/// The same cases while transactions overlap in time and change places.
#[tokio::test(start_paused = true)]
async fn the_suite_holds_with_random_latency() {
    run_store_suite(slow).await;
}

async fn slow(clock: Arc<TestClock>) -> (SimStore, Disk) {
    let (store, disk) = make(clock).await;
    let phases = SlowPhases { gap: Span::millis(0, 50), length: Span::millis(10, 100), latency: Span::millis(20, 900) };
    disk.set(Settings { latency: Span::millis(0, 20), slow: Some(phases), ..Settings::default() });
    (store, disk)
}
