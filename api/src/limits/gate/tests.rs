//! A purse beside the bucket it is filled from, on a clock that is moved.

use std::sync::atomic::{AtomicI64, AtomicU64};

use agentcal_engine::limits::Rate;
use agentcal_engine::ports::{Clock, Quotas};
use agentcal_store_memory::MemoryQuotas;
use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::limits::Gates;

struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Counts how often it is asked, and how much it gave.
struct Counted {
    quotas: MemoryQuotas,
    takes: AtomicU64,
    given: AtomicU64,
}

#[async_trait]
impl Quotas for Counted {
    async fn take(&self, wanted: &CellsWanted) -> CellsGiven {
        self.takes.fetch_add(1, Ordering::SeqCst);
        // As one that is elsewhere: others have their turn meanwhile.
        tokio::task::yield_now().await;
        let given = self.quotas.take(wanted).await;
        self.given.fetch_add(given.cells.into(), Ordering::SeqCst);
        given
    }

    async fn pause(&self, key: LimitKey, length: Duration) {
        self.quotas.pause(key, length).await;
    }

    fn share_among(&self, nodes: u32) {
        self.quotas.share_among(nodes);
    }
}

/// Several nodes, each with its gate before one bucket.
struct Bed {
    clock: Arc<Moved>,
    quotas: Arc<Counted>,
    gates: Vec<Arc<Gate>>,
}

fn bed(nodes: usize, rate: Rate) -> Bed {
    let clock = Arc::new(Moved(AtomicI64::new(1_000_000_000)));
    let quotas = MemoryQuotas::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let quotas = Arc::new(Counted { quotas, takes: AtomicU64::new(0), given: AtomicU64::new(0) });
    let gate = |_| {
        let gates = Gates::new(rate, Arc::clone(&quotas) as _, Arc::clone(&clock) as _);
        gates.of(KeyId::from_uuid(Uuid::from_u128(7)))
    };
    Bed { gates: (0..nodes).map(gate).collect(), clock, quotas }
}

impl Bed {
    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_micros()).unwrap_or(0), Ordering::SeqCst);
    }

    fn takes(&self) -> u64 {
        self.quotas.takes.load(Ordering::SeqCst)
    }

    async fn admits(&self, node: usize) -> bool {
        self.gates[node].admit().await.0.is_ok()
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_small_limit_is_kept_to_the_request() {
    let bed = bed(2, Rate::per(HOUR, 1, 5));
    for n in 0..5 {
        let (admitted, told) = bed.gates[n % 2].admit().await;
        assert!(admitted.is_ok(), "{n}");
        assert_eq!((told.left, told.full_after_seconds), (4 - n as u32, 3_600 * (n as u32 + 1)));
    }
    let (refused, told) = bed.gates[0].admit().await;
    assert_eq!((refused, told.left), (Err(HOUR), 0));
    bed.pass(HOUR);
    assert!(bed.admits(1).await);
    assert!(!bed.admits(0).await);
}

#[tokio::test]
async fn many_requests_ask_the_bucket_a_few_times() {
    let bed = bed(1, Rate::per_minute(60_000_000, 1_000_000));
    for _ in 0..100_000 {
        assert!(bed.admits(0).await);
        bed.pass(Duration::from_micros(20));
    }
    assert!(bed.takes() < 60, "{} times", bed.takes());
}

#[tokio::test]
async fn who_comes_at_once_shares_what_the_bucket_gives() {
    let bed = bed(3, Rate::per(HOUR, 1, 200));
    let all = (0..900).map(|n| bed.admits(n % 3));
    let admitted = futures::future::join_all(all).await.into_iter().filter(|admitted| *admitted).count();
    while bed.gates.iter().any(|gate| gate.is_filled_ahead.load(Ordering::SeqCst)) {
        tokio::task::yield_now().await;
    }
    let wasted: u32 = bed.gates.iter().map(|gate| unpack(gate.purse.load(Ordering::SeqCst)).0).sum();
    assert_eq!(admitted as u32 + wasted, 200);
    assert!(bed.takes() < 150, "{} times", bed.takes());
}

#[tokio::test]
async fn a_flood_over_the_limit_does_not_reach_the_bucket() {
    let bed = bed(1, Rate::per(HOUR, 1, 3));
    for _ in 0..3 {
        assert!(bed.admits(0).await);
    }
    let before = bed.takes();
    for _ in 0..1_000 {
        assert!(!bed.admits(0).await);
    }
    assert_eq!(bed.takes(), before + 1);
}

#[tokio::test]
async fn rare_requests_take_no_more_than_they_need() {
    let bed = bed(1, Rate::per_minute(120, 100));
    for _ in 0..500 {
        assert!(bed.admits(0).await);
        bed.pass(Duration::from_millis(900));
    }
    assert_eq!(bed.quotas.given.load(Ordering::SeqCst), 500);
}

#[tokio::test]
async fn what_is_not_used_soon_is_gone() {
    let bed = bed(1, Rate::per_minute(60_000, 10_000));
    for _ in 0..100 {
        assert!(bed.admits(0).await);
    }
    let gate = &bed.gates[0];
    assert!(unpack(gate.purse.load(Ordering::SeqCst)).0 > 0, "something was left over");
    let before = bed.takes();
    bed.pass(HELD_MAX);
    assert!(bed.admits(0).await);
    assert_eq!(bed.takes(), before + 1, "the purse counted no longer");
}

/// However nodes and requests fall, in any time a key is served at most a full bucket, and what came back in that time and
/// a second more.
#[tokio::test]
async fn no_more_is_served_than_the_limit_and_a_second() {
    for seed in 0..40_u64 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let (per_second, burst) = (1 + roll(2_000) as u32, 1 + roll(3_000) as u32);
        let rate = Rate::per(Duration::from_secs(1), per_second, burst);
        let bed = bed(3, rate);
        let (mut served, mut now_us) = (Vec::new(), 0_u64);
        let pace_us = 2 * 1_000_000 / (u64::from(per_second) * (1 + roll(6)));
        for _ in 0..6_000 {
            let step = if roll(500) == 0 { 700_000 } else { roll(pace_us + 1) };
            now_us += step;
            bed.pass(Duration::from_micros(step));
            if bed.admits(roll(3) as usize).await {
                served.push(now_us);
            }
        }
        check_bound(&served, &rate, seed);
        assert!(served.len() > 100.min(burst as usize), "seed {seed}: something was served");
    }
}

fn check_bound(served: &[u64], rate: &Rate, seed: u64) {
    for (from, since) in served.iter().enumerate().step_by(7) {
        for (to, until) in served.iter().enumerate().skip(from).step_by(11) {
            let time = Duration::from_micros(until - since) + HELD_MAX * 2;
            let allowed = u64::from(rate.burst().get()) + rate.refilled_in(time) + 1;
            let seen = (to - from + 1) as u64;
            assert!(seen <= allowed, "seed {seed}: {seen} in {time:?}, {allowed} allowed of {rate:?}");
        }
    }
}

#[test]
fn a_purse_is_one_word() {
    for (cells, until_ms) in [(0, 0), (1, 1), (4_096, (1 << INSTANT_BITS) - 1), ((1 << 24) - 1, 5)] {
        assert_eq!(unpack(pack(cells, until_ms)), (cells, until_ms));
    }
    assert_eq!(unpack(pack(u32::MAX, 1)), ((1 << 24) - 1, 1));
}
