//! One key's purse.
//!
//! Every cell in it was given by the key's bucket, which gives no more than the limit; and none stays longer than
//! [`HELD_MAX`] twice over. So in any time the key is served at most the limit for that time and a second more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use agentcal_engine::ids::KeyId;
use agentcal_engine::limits::LimitKey;
use agentcal_engine::ports::{CellsGiven, CellsWanted};
use agentcal_engine::time::Timestamp;
use tokio::sync::Mutex;

use super::{Terms, Told};

/// How long cells count after they were taken. They may be joined by others once, and then count anew.
const HELD_MAX: Duration = Duration::from_millis(500);
/// A batch that was used within so long was too small.
const QUICK: Duration = Duration::from_millis(125);
/// Largest batch; and it is never more than an eighth of the burst, so that nodes keep little from each other.
const BATCH_MAX: u32 = 4_096;
const BATCH_SHARE: u32 = 8;
/// Smaller batches are not taken ahead: where requests are rare, most of what is taken ahead would be lost.
const AHEAD_MIN: u32 = 8;

/// Cells in a purse take the upper part of a word, and the instant until which they count the lower.
const INSTANT_BITS: u32 = 40;

/// A key's purse. Instants are microseconds after it was made, unless their name says otherwise.
pub(crate) struct Gate {
    terms: Arc<Terms>,
    key: LimitKey,
    made_at: Timestamp,
    /// Nanoseconds in which one cell comes back.
    cell_ns: u64,
    /// Cells, and the millisecond until which they count.
    purse: AtomicU64,
    /// When the bucket will be full, as it was last heard.
    full_at: AtomicU64,
    /// Until when the bucket is known to be empty.
    empty_until: AtomicU64,
    filled_at: AtomicU64,
    batch: AtomicU32,
    /// Held by whoever fills the purse.
    filling: Mutex<()>,
    is_filled_ahead: AtomicBool,
}

impl Gate {
    pub(super) fn new(terms: Arc<Terms>, key_id: KeyId) -> Self {
        let made_at = terms.clock.now();
        let cell_ns = u64::try_from(terms.rate.time_of(1).as_nanos()).unwrap_or(u64::MAX).max(1);
        Self {
            terms,
            key: LimitKey::of_api_key(key_id),
            made_at,
            cell_ns,
            purse: AtomicU64::new(0),
            full_at: AtomicU64::new(0),
            empty_until: AtomicU64::new(0),
            filled_at: AtomicU64::new(0),
            batch: AtomicU32::new(0),
            filling: Mutex::new(()),
            is_filled_ahead: AtomicBool::new(false),
        }
    }

    /// Lets one request pass, or says how long to wait; and what to tell the caller.
    pub(crate) async fn admit(self: &Arc<Self>) -> (Result<(), Duration>, Told) {
        let now = self.now();
        if let Some(left) = self.spend(now) {
            if self.is_low(left) {
                self.fill_ahead();
            }
            self.terms.allowed.increment(1);
            return (Ok(()), self.told(left, now));
        }
        self.admit_slowly().await
    }

    /// The purse is empty. All who come now wait for whoever fills it.
    async fn admit_slowly(&self) -> (Result<(), Duration>, Told) {
        let _filling = match self.wait_for_empty() {
            Some(wait) => return self.refuse(wait),
            None => self.filling.lock().await,
        };
        let now = self.now();
        if let Some(left) = self.spend(now) {
            self.terms.allowed.increment(1);
            return (Ok(()), self.told(left, now));
        }
        if let Some(wait) = self.wait_for_empty() {
            return self.refuse(wait);
        }
        let given = self.fill(1).await;
        if given.cells == 0 {
            return self.refuse(given.wait);
        }
        self.terms.allowed.increment(1);
        (Ok(()), self.told(given.cells - 1, self.now()))
    }

    fn refuse(&self, wait: Duration) -> (Result<(), Duration>, Told) {
        self.terms.refused.increment(1);
        (Err(wait), self.told(0, self.now()))
    }

    /// Takes one cell out of the purse; how many are left, or `None` when there was none that counts.
    fn spend(&self, now: u64) -> Option<u32> {
        let spent = |purse: u64| {
            let (cells, until_ms) = unpack(purse);
            (cells > 0 && now / 1_000 < until_ms).then(|| pack(cells - 1, until_ms))
        };
        let before = self.purse.fetch_update(Ordering::AcqRel, Ordering::Acquire, spent).ok()?;
        Some(unpack(before).0 - 1)
    }

    fn is_low(&self, left: u32) -> bool {
        let batch = self.batch.load(Ordering::Relaxed);
        batch >= AHEAD_MIN && left < batch / 4
    }

    fn fill_ahead(self: &Arc<Self>) {
        if self.is_filled_ahead.swap(true, Ordering::AcqRel) {
            return;
        }
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            let _ended = Ended(&gate.is_filled_ahead);
            let _filling = gate.filling.lock().await;
            if gate.wait_for_empty().is_none() && gate.is_low(unpack(gate.purse.load(Ordering::Acquire)).0) {
                gate.fill(0).await;
            }
        });
    }

    /// Takes a batch from the bucket. So many of its cells are spent at once, the others go into the purse.
    async fn fill(&self, spent: u32) -> CellsGiven {
        let most = self.next_batch();
        let rate = self.terms.rate;
        let given = self.terms.quotas.take(&CellsWanted { key: self.key, rate, most, spare: 0 }).await;
        let now = self.now();
        self.full_at.store(now.saturating_add(micros(given.full_after)), Ordering::Relaxed);
        if given.cells == 0 {
            self.empty_until.store(now.saturating_add(micros(given.wait)), Ordering::Relaxed);
        } else {
            self.filled_at.store(now, Ordering::Relaxed);
            self.put(given.cells.saturating_sub(spent), now);
        }
        given
    }

    fn put(&self, cells: u32, now: u64) {
        let until_ms = (now + micros(HELD_MAX)) / 1_000;
        let filled = |purse: u64| {
            let (present, present_until_ms) = unpack(purse);
            let kept = if now / 1_000 < present_until_ms { present } else { 0 };
            Some(pack(kept.saturating_add(cells), until_ms))
        };
        // Never fails: the purse is never left as it is.
        let _ = self.purse.fetch_update(Ordering::AcqRel, Ordering::Acquire, filled);
    }

    /// Twice as many as the last time if these were soon used, half as many if they lasted.
    fn next_batch(&self) -> u32 {
        let lasted = self.now().saturating_sub(self.filled_at.load(Ordering::Relaxed));
        let batch = self.batch.load(Ordering::Relaxed);
        let next = if lasted < micros(QUICK) {
            batch.saturating_mul(2)
        } else if lasted > micros(HELD_MAX) {
            batch / 2
        } else {
            batch
        };
        let largest = (self.terms.rate.burst().get() / BATCH_SHARE).clamp(1, BATCH_MAX);
        let next = next.clamp(1, largest);
        self.batch.store(next, Ordering::Relaxed);
        next
    }

    /// Time for which the bucket is known to give nothing.
    fn wait_for_empty(&self) -> Option<Duration> {
        let left = self.empty_until.load(Ordering::Relaxed).checked_sub(self.now())?;
        (left > 0).then(|| Duration::from_micros(left))
    }

    fn told(&self, in_purse: u32, now: u64) -> Told {
        let full_after = self.full_at.load(Ordering::Relaxed).saturating_sub(now);
        let missing = full_after.saturating_mul(1_000).div_ceil(self.cell_ns);
        let burst = u64::from(self.terms.rate.burst().get());
        let left = (burst.saturating_sub(missing) + u64::from(in_purse)).min(burst);
        Told {
            policy: self.terms.policy.clone(),
            left: u32::try_from(left).unwrap_or(u32::MAX),
            full_after_seconds: u32::try_from(full_after.div_ceil(1_000_000)).unwrap_or(u32::MAX),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.terms.clock.now().micros_since(self.made_at)).unwrap_or(0)
    }
}

/// Says that filling ahead is over, however it ends.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn pack(cells: u32, until_ms: u64) -> u64 {
    // More cells than fit are no use: a batch is far smaller.
    let cells = u64::from(cells).min((1 << (64 - INSTANT_BITS)) - 1);
    cells << INSTANT_BITS | until_ms & ((1 << INSTANT_BITS) - 1)
}

fn unpack(purse: u64) -> (u32, u64) {
    ((purse >> INSTANT_BITS) as u32, purse & ((1 << INSTANT_BITS) - 1))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
