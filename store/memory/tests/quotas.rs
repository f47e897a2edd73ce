//! Buckets in the process: the suite of the port, a slow and obvious model beside them, and shares.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::limits::{LimitKey, LimitKind, Rate};
use agentcal_engine::ports::{CellsWanted, Clock, Quotas};
use agentcal_store_conformance::TestClock;
use agentcal_store_conformance::quotas::Passing;
use agentcal_store_conformance::world::MORNING;
use agentcal_store_memory::MemoryQuotas;
use futures::FutureExt;
use proptest::prelude::*;

struct Moved(Arc<TestClock>);

impl Passing for Moved {
    async fn pass(&self, time: Duration) {
        // The clock shows microseconds: a fraction of one is waited for whole.
        self.0.advance(time + Duration::from_nanos(999));
    }
}

fn bed() -> (MemoryQuotas, Arc<TestClock>) {
    let clock = Arc::new(TestClock::at(MORNING));
    (MemoryQuotas::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

async fn make() -> Option<(MemoryQuotas, Moved)> {
    let (quotas, clock) = bed();
    Some((quotas, Moved(clock)))
}

agentcal_store_conformance::quota_suite!(make);

fn key(id: u128) -> LimitKey {
    LimitKey { kind: LimitKind::ApiKey, id }
}

fn wanted(id: u128, rate: Rate, most: u32, spare: u32) -> CellsWanted {
    CellsWanted { key: key(id), rate, most, spare }
}

async fn cells(quotas: &MemoryQuotas, wanted: CellsWanted) -> u32 {
    quotas.take(&wanted).await.cells
}

/// What the port means, said slowly: a further cell is given if no span of time that ends now would then have seen more
/// cells than a full bucket and what came back in that span.
#[derive(Default)]
struct Model {
    /// When each cell was given, in microseconds.
    given: Vec<u64>,
}

impl Model {
    fn gives(&self, rate: &Rate, now: u64, spare: u32) -> bool {
        let bucket = u64::from(rate.burst().get() - spare.min(rate.burst().get() - 1));
        let seen = |since: usize| (self.given.len() - since) as u64 + 1;
        let is_kept = |since: usize, from: u64| {
            let surplus = seen(since).saturating_sub(bucket);
            rate.time_of(u32::try_from(surplus).expect("few cells")) <= Duration::from_micros(now - from)
        };
        self.given.iter().enumerate().all(|(since, &from)| is_kept(since, from))
    }

    fn take(&mut self, rate: &Rate, now: u64, most: u32, spare: u32) -> u32 {
        let mut cells = 0;
        while cells < most && self.gives(rate, now, spare) {
            self.given.push(now);
            cells += 1;
        }
        cells
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn buckets_give_what_the_model_gives(
        // Periods of whole microseconds for a cell: the model counts in those, governor in nanoseconds.
        cell_us in 1_u32..5_000,
        burst in 1_u32..12,
        steps in prop::collection::vec((0_u64..12_000, 1_u32..8, 0_u32..6), 1..60),
    ) {
        let rate = Rate::per(Duration::from_micros(cell_us.into()), 1, burst);
        let (quotas, clock) = bed();
        let (mut model, mut now) = (Model::default(), 0);
        for (step_us, most, spare) in steps {
            now += step_us;
            clock.advance(Duration::from_micros(step_us));
            let expected = model.take(&rate, now, most, spare);
            let given = quotas.take(&wanted(1, rate, most, spare)).now_or_never().expect("no wait");
            prop_assert_eq!(given.cells, expected, "after {} us", now);
            if given.cells == 0 {
                let wait_us = u64::try_from(given.wait.as_micros()).expect("short");
                prop_assert!(!model.gives(&rate, now + wait_us - 1, spare), "the wait is no longer than it must be");
                prop_assert!(model.gives(&rate, now + wait_us, spare), "and no shorter");
            }
        }
    }
}

#[tokio::test]
async fn nodes_that_cannot_ask_each_other_have_fair_shares() {
    let rate = Rate::per(Duration::from_secs(60), 60, 31);
    let clock = Arc::new(TestClock::at(MORNING));
    let nodes: Vec<_> = (0..3).map(|_| MemoryQuotas::new(Arc::clone(&clock) as Arc<dyn Clock>)).collect();
    nodes.iter().for_each(|node| node.share_among(3));
    for node in &nodes {
        assert_eq!(cells(node, wanted(1, rate, 100, 0)).await, 10, "a third, and no part of a cell");
        let refused = node.take(&wanted(1, rate, 1, 0)).await;
        assert_eq!(refused.wait, Duration::from_secs(2), "the third cell of three, one being there");
    }
    clock.advance(Duration::from_secs(60));
    for node in &nodes {
        assert_eq!(cells(node, wanted(1, rate, 100, 0)).await, 10);
    }
}

#[tokio::test]
async fn who_is_left_alone_has_all_at_once() {
    let rate = Rate::per(Duration::from_secs(3_600), 1, 30);
    let (quotas, _clock) = bed();
    quotas.share_among(3);
    assert_eq!(cells(&quotas, wanted(1, rate, 4, 0)).await, 4);
    quotas.share_among(0);
    assert_eq!(cells(&quotas, wanted(1, rate, 100, 0)).await, 18, "what was used before is not forgotten");
}

#[tokio::test]
async fn the_smallest_share_is_a_cell() {
    let (quotas, clock) = bed();
    quotas.share_among(10);
    let rate = Rate::per(Duration::from_secs(2), 2, 2);
    assert_eq!(cells(&quotas, wanted(1, rate, 5, 1)).await, 1);
    assert_eq!(cells(&quotas, wanted(1, rate, 5, 0)).await, 0);
    clock.advance(Duration::from_secs(2));
    assert_eq!(cells(&quotas, wanted(1, rate, 5, 0)).await, 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_closes_nothing() {
    let (quotas, clock) = bed();
    let rate = Rate::per(Duration::from_secs(1), 1, 2);
    clock.advance(Duration::from_secs(7_200));
    assert_eq!(cells(&quotas, wanted(1, rate, 2, 0)).await, 2);
    quotas.pause(key(2), Duration::from_secs(5)).await;
    assert_eq!(cells(&quotas, wanted(1, rate, 1, 0)).await, 0);
    clock.set(clock.now().plus_micros(-3_600_000_000));
    assert_eq!(cells(&quotas, wanted(1, rate, 1, 0)).await, 1);
    assert_eq!(cells(&quotas, wanted(2, rate, 1, 0)).await, 1);
}

#[tokio::test]
async fn another_rate_begins_anew() {
    let (quotas, _clock) = bed();
    let (small, large) = (Rate::per_minute(1, 2), Rate::per_minute(1, 5));
    assert_eq!(cells(&quotas, wanted(1, small, 9, 0)).await, 2);
    assert_eq!(cells(&quotas, wanted(1, large, 9, 0)).await, 5);
}

#[tokio::test]
async fn buckets_are_bounded_and_full_ones_go_first() {
    let (quotas, clock) = bed();
    let quotas = quotas.with_buckets_max(100);
    let rate = Rate::per(Duration::from_secs(10), 1, 1);
    for id in 0..100 {
        assert_eq!(cells(&quotas, wanted(id, rate, 1, 0)).await, 1);
    }
    clock.advance(Duration::from_secs(10));
    for id in 50..100 {
        assert_eq!(cells(&quotas, wanted(id, rate, 1, 0)).await, 1);
    }
    for id in 100..150 {
        assert_eq!(cells(&quotas, wanted(id, rate, 1, 0)).await, 1);
    }
    for id in 50..150 {
        assert_eq!(cells(&quotas, wanted(id, rate, 1, 0)).await, 0, "{id} was not full, and not forgotten");
    }
    for id in 1_000..2_000 {
        assert_eq!(cells(&quotas, wanted(id, rate, 1, 0)).await, 1);
    }
    let shown = format!("{quotas:?}");
    let kept: usize = shown.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a number");
    assert!((1..=100).contains(&kept), "{shown}");
}
