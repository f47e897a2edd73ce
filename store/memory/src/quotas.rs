//! Buckets in this process, kept by governor: of a program that is alone, and the fair share of one that cannot reach the
//! buckets it shares with others.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::limits::{LimitKey, Rate};
use agentcal_engine::ports::{CellsGiven, CellsWanted, Clock, Quotas};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use governor::clock::Clock as GovernorClock;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

/// Most buckets kept. Those that are full need not be.
const BUCKETS_MAX: usize = 200_000;

/// [`Quotas`] of one process, on a clock it is given.
pub struct MemoryQuotas {
    clock: Arc<dyn Clock>,
    /// Nodes among which every limit is divided.
    nodes: AtomicU32,
    buckets: Mutex<BTreeMap<LimitKey, Bucket>>,
    buckets_max: usize,
}

struct Bucket {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, FullAt, Reading, governor::middleware::NoOpMiddleware<Duration>>,
    full_at: FullAt,
    reading: Reading,
    paused_until: Timestamp,
}

/// When a bucket will be full again, in nanoseconds after it was made: all the state the algorithm has. Zero: it is.
#[derive(Clone, Default)]
struct FullAt(Arc<AtomicU64>);

/// What the clock showed last, after the bucket was made. Governor asks for it within a take, at that take's instant.
#[derive(Clone)]
struct Reading {
    made_at: Timestamp,
    now_ns: Arc<AtomicU64>,
}

impl MemoryQuotas {
    /// Full buckets, none of them shared.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, nodes: AtomicU32::new(1), buckets: Mutex::default(), buckets_max: BUCKETS_MAX }
    }

    /// The same, with another bound on how many buckets are kept.
    #[must_use]
    pub fn with_buckets_max(self, buckets_max: usize) -> Self {
        Self { buckets_max: buckets_max.max(1), ..self }
    }

    fn buckets(&self) -> MutexGuard<'_, BTreeMap<LimitKey, Bucket>> {
        // Every change is one step, so a panic beside the lock left nothing half done.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_bucket<T>(&self, key: LimitKey, rate: Option<Rate>, use_it: impl FnOnce(&mut Bucket, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut buckets = self.buckets();
        if buckets.len() >= self.buckets_max && !buckets.contains_key(&key) {
            make_room(&mut buckets, now, self.buckets_max);
        }
        let bucket = buckets.entry(key).or_insert_with(|| Bucket::full(rate.unwrap_or(UNSAID), now));
        bucket.turn_to(rate, now);
        use_it(bucket, now)
    }
}

/// Of a bucket that was paused before anybody took of it.
const UNSAID: Rate = Rate::ONE_A_SECOND;

/// Drops the buckets that lose nothing by it; where there are none, those that will be full soonest.
fn make_room(buckets: &mut BTreeMap<LimitKey, Bucket>, now: Timestamp, buckets_max: usize) {
    buckets.retain(|_, bucket| !bucket.is_at_rest(now));
    let excess = (buckets.len() + 1).saturating_sub(buckets_max);
    if excess == 0 {
        return;
    }
    // A tenth at once, so that this is not done for every new bucket.
    let mut by_rest: Vec<_> = buckets.iter().map(|(&key, bucket)| (bucket.rests_after(now), key)).collect();
    by_rest.sort_unstable();
    for (_, key) in by_rest.into_iter().take(excess.max(buckets_max / 10)) {
        buckets.remove(&key);
    }
}

impl Bucket {
    fn full(rate: Rate, now: Timestamp) -> Self {
        let (full_at, reading) = (FullAt::default(), Reading { made_at: now, now_ns: Arc::default() });
        let quota = Quota::with_period(rate.time_of(1)).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let limiter = RateLimiter::new(quota.allow_burst(rate.burst()), full_at.clone(), reading.clone());
        Self { rate, limiter, full_at, reading, paused_until: now }
    }

    /// Brings the bucket to an instant. A clock that was set back, or another rate, begins a new one: what is kept is
    /// measured by the old.
    fn turn_to(&mut self, rate: Option<Rate>, now: Timestamp) {
        let rate = rate.unwrap_or(self.rate);
        let is_set_back = now < self.reading.now();
        if rate != self.rate || is_set_back {
            let paused_for = if is_set_back { Duration::ZERO } else { self.paused_until.saturating_since(now) };
            *self = Self { paused_until: now + paused_for, ..Self::full(rate, now) };
        }
        self.reading.turn_to(now);
    }

    fn take(&self, wanted: &CellsWanted, nodes: u32, now: Timestamp) -> CellsGiven {
        let full_after = self.full_after();
        let paused_for = self.paused_until.saturating_since(now);
        if paused_for > Duration::ZERO {
            return CellsGiven { cells: 0, wait: paused_for, full_after };
        }
        // Of a share each cell costs as many as there are nodes: the bucket is as large as ever, and drained as much faster.
        let burst = self.rate.burst().get();
        let cost = nodes.clamp(1, burst);
        let spare = wanted.spare.saturating_mul(cost).min(burst - cost);
        let room = self.rate.left(full_after).saturating_sub(spare) / cost;
        let cells = wanted.most.min(room);
        let is_given =
            NonZeroU32::new(cells * cost).is_some_and(|paid| matches!(self.limiter.check_n(paid), Ok(Ok(()))));
        if !is_given {
            let wait = (full_after + self.rate.time_of(spare + cost)).saturating_sub(self.rate.time_of(burst));
            let full_after = self.told_full_after(cost);
            return CellsGiven { cells: 0, wait: wait.max(Duration::from_micros(1)), full_after };
        }
        CellsGiven { cells, wait: Duration::ZERO, full_after: self.told_full_after(cost) }
    }

    /// As much of the time as of the bucket is this node's: what is left of its share can be read from it.
    fn told_full_after(&self, cost: u32) -> Duration {
        let full_after = self.full_after();
        if cost == 1 {
            return full_after;
        }
        let share = self.rate.left(full_after) / cost;
        self.rate.time_of(self.rate.burst().get() - share)
    }

    fn full_after(&self) -> Duration {
        Duration::from_nanos(self.full_at.0.load(Ordering::Relaxed).saturating_sub(self.reading.now_ns()))
    }

    fn rests_after(&self, now: Timestamp) -> Duration {
        let elapsed = now.saturating_since(self.reading.now());
        self.full_after().saturating_sub(elapsed).max(self.paused_until.saturating_since(now))
    }

    fn is_at_rest(&self, now: Timestamp) -> bool {
        self.rests_after(now).is_zero()
    }
}

impl StateStore for FullAt {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // Buckets are used under their lock: nobody comes between.
        let present = self.0.load(Ordering::Relaxed);
        let (answer, next) = decide((present > 0).then(|| present.into()))?;
        self.0.store(next.as_u64(), Ordering::Relaxed);
        Ok(answer)
    }
}

impl Reading {
    fn turn_to(&self, now: Timestamp) {
        let micros = u64::try_from(now.micros_since(self.made_at)).unwrap_or(0);
        self.now_ns.store(micros.saturating_mul(1_000), Ordering::Relaxed);
    }

    fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    fn now(&self) -> Timestamp {
        self.made_at.plus_micros(i64::try_from(self.now_ns() / 1_000).unwrap_or(i64::MAX))
    }
}

impl GovernorClock for Reading {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.now_ns())
    }
}

#[async_trait]
impl Quotas for MemoryQuotas {
    async fn take(&self, wanted: &CellsWanted) -> CellsGiven {
        let nodes = self.nodes.load(Ordering::Relaxed);
        self.with_bucket(wanted.key, Some(wanted.rate), |bucket, now| bucket.take(wanted, nodes, now))
    }

    async fn pause(&self, key: LimitKey, length: Duration) {
        self.with_bucket(key, None, |bucket, now| bucket.paused_until = bucket.paused_until.max(now + length));
    }

    fn share_among(&self, nodes: u32) {
        self.nodes.store(nodes.max(1), Ordering::Relaxed);
    }
}

impl fmt::Debug for MemoryQuotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQuotas").field("buckets", &self.buckets().len()).finish_non_exhaustive()
    }
}
