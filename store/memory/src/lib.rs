//! What a single process keeps in memory: the fact cache, bounded, losable, one lock-free read per calendar; and the
//! buckets by which requests are limited.

mod quotas;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{BookingId, CalendarId};
use agentcal_engine::model::Claim;
use agentcal_engine::planted;
use agentcal_engine::ports::{Beat, CacheError, CacheRead, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;
use moka::ops::compute::Op;
use moka::sync::Cache;

pub use quotas::MemoryQuotas;

/// Memory the facts may take unless told otherwise: some 100,000 calendars of usual size.
pub const CAPACITY_BYTES: u64 = 64 * 1024 * 1024;
/// What an entry takes beside its facts, about.
const ENTRY_BYTES: usize = 256;

/// A [`FactCache`] in this process. Over its capacity the facts least worth keeping go; their actors publish again.
#[derive(Clone, Debug)]
pub struct MemoryFactCache {
    facts: Cache<(Shard, CalendarId), Arc<CalendarFacts>>,
    notes: Arc<Mutex<Notes>>,
}

/// What owners say of shards, and what they are to look at. Bounded by the numbers of shards and of calendars awake.
#[derive(Debug, Default)]
struct Notes {
    beats: BTreeMap<Shard, Beat>,
    dirty: BTreeMap<Shard, BTreeSet<CalendarId>>,
}

impl MemoryFactCache {
    /// A cache whose facts take about this many bytes at most.
    pub fn with_capacity(bytes: u64) -> Self {
        let facts = Cache::builder().max_capacity(bytes).weigher(|_, facts: &Arc<CalendarFacts>| weight(facts)).build();
        Self { facts, notes: Arc::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Every change of the notes is one step, so a panic beside the lock left nothing half done.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryFactCache {
    fn default() -> Self {
        Self::with_capacity(CAPACITY_BYTES)
    }
}

#[async_trait]
impl FactCache for MemoryFactCache {
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError> {
        self.facts.entry((shard, facts.calendar_id)).and_compute_with(|present| match present {
            Some(present) if version(present.value()) > version(&facts) && !planted!(AnyEpochReplaces) => Op::Nop,
            _ => Op::Put(facts),
        });
        Ok(())
    }

    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError> {
        let read = |&calendar_id: &CalendarId| {
            let facts = self.facts.get(&(shard, calendar_id))?;
            // A value says itself what it is; one that stands in the wrong place is no value.
            (facts.calendar_id == calendar_id && Shard::of(facts.account_id) == shard).then_some(facts)
        };
        let beat = self.notes().beats.get(&shard).copied();
        Ok(CacheRead { beat, facts: calendar_ids.iter().map(read).collect() })
    }

    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.facts.invalidate(&(shard, calendar_id));
        Ok(())
    }

    async fn beat(&self, beats: &[(Shard, Beat)]) -> Result<(), CacheError> {
        let mut notes = self.notes();
        for &(shard, beat) in beats {
            let present = notes.beats.entry(shard).or_insert(beat);
            *present = (*present).max(beat);
        }
        Ok(())
    }

    async fn end_beat(&self, shard: Shard, epoch: Epoch) -> Result<(), CacheError> {
        let mut notes = self.notes();
        if notes.beats.get(&shard).is_some_and(|beat| beat.epoch <= epoch) {
            notes.beats.remove(&shard);
        }
        Ok(())
    }

    async fn mark_dirty(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.notes().dirty.entry(shard).or_default().insert(calendar_id);
        Ok(())
    }

    async fn take_dirty(&self, shard: Shard) -> Result<Vec<CalendarId>, CacheError> {
        Ok(self.notes().dirty.remove(&shard).unwrap_or_default().into_iter().collect())
    }
}

/// What may only grow: a later sync at the same revision is newer too.
fn version(facts: &CalendarFacts) -> impl Ord + use<> {
    (facts.epoch, facts.revision, facts.as_of())
}

fn weight(facts: &CalendarFacts) -> u32 {
    let bytes = ENTRY_BYTES
        + size_of::<CalendarFacts>()
        + facts.external.len() * size_of::<TimeRange>()
        + facts.displaced.len() * size_of::<(BookingId, TimeRange)>()
        + facts.claims.len() * size_of::<Claim>();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
