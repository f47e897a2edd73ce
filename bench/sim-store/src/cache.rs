//! The cache that nodes share: it answers after a while, forgets everything, is away, or loses what it answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::ports::{Beat, CacheError, CacheRead, FactCache};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_store_memory::MemoryFactCache;
use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dice::Dice;
use crate::line::Line;

/// Longest time a node's client waits for an answer before it says that there is none.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two commands of one connection: they are performed in the order in which they were sent.
const BETWEEN: Duration = Duration::from_millis(1);

/// How the cache is at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Time of an answer, from and to, in milliseconds.
    pub latency_ms: (u64, u64),
    /// Whether it is away.
    pub is_down: bool,
    /// So many of a thousand answers are lost, whatever was done.
    pub lost_per_mille: u64,
}

impl Default for Manner {
    /// A good day.
    fn default() -> Self {
        Self { latency_ms: (0, 3), is_down: false, lost_per_mille: 0 }
    }
}

/// What all nodes share. Clones are one.
#[derive(Clone, Default)]
pub struct SharedCache(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    kept: MemoryFactCache,
    manner: Manner,
}

impl SharedCache {
    /// Forgets everything.
    pub fn flush(&self) {
        self.lock().kept = MemoryFactCache::default();
    }

    /// Behaves like this from now on. One that was away comes back empty.
    pub fn set(&self, manner: Manner) {
        let was_down = std::mem::replace(&mut self.lock().manner, manner).is_down;
        if was_down && !manner.is_down {
            self.flush();
        }
    }

    /// One node's connection.
    pub fn connect(&self, line: Line, dice: Arc<Dice>) -> CacheConnection {
        CacheConnection(Arc::new(Connection { cache: self.clone(), line, dice, last_at: Mutex::new(None) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's way to the cache.
pub struct CacheConnection(Arc<Connection>);

struct Connection {
    cache: SharedCache,
    line: Line,
    dice: Arc<Dice>,
    /// When the last command is performed.
    last_at: Mutex<Option<Instant>>,
}

impl Connection {
    async fn perform<T, F>(&self, command: impl FnOnce(MemoryFactCache) -> F) -> Result<T, CacheError>
    where
        F: Future<Output = Result<T, CacheError>>,
    {
        self.line.go(PATIENCE).await.map_err(|_severed| unavailable("no way there"))?;
        let manner = self.cache.lock().manner;
        let (shortest, longest) = manner.latency_ms;
        let before = self.dice.millis(0, shortest + longest / 2);
        let is_lost = manner.lost_per_mille > 0 && self.dice.happens(manner.lost_per_mille);
        sleep_until(self.next(before)).await;
        if self.cache.lock().manner.is_down {
            return Err(unavailable("down"));
        }
        let kept = self.cache.lock().kept.clone();
        let answer = command(kept).await;
        if is_lost {
            sleep(PATIENCE).await;
            return Err(unavailable("the answer was lost"));
        }
        sleep(self.dice.millis(shortest, longest)).await;
        self.line.come_back(PATIENCE).await.map_err(|_severed| unavailable("no way back"))?;
        answer
    }

    fn next(&self, before: Duration) -> Instant {
        let mut last_at = self.last_at.lock().unwrap_or_else(PoisonError::into_inner);
        let soonest = last_at.map(|last_at| last_at + BETWEEN);
        let at = soonest.into_iter().fold(Instant::now() + before, Instant::max);
        *last_at = Some(at);
        at
    }
}

fn unavailable(why: &str) -> CacheError {
    CacheError::Unavailable(why.to_owned())
}

impl CacheConnection {
    /// What was sent is performed, whether or not whoever sent it still waits.
    async fn send<T, F>(&self, command: impl FnOnce(MemoryFactCache) -> F + Send + 'static) -> Result<T, CacheError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CacheError>> + Send,
    {
        let connection = Arc::clone(&self.0);
        let sent = tokio::spawn(async move { connection.perform(command).await });
        sent.await.unwrap_or_else(|_gone| Err(unavailable("the node ends")))
    }
}

#[async_trait]
impl FactCache for CacheConnection {
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError> {
        self.send(move |kept| async move { kept.publish(shard, facts).await }).await
    }

    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError> {
        let ids = calendar_ids.to_vec();
        self.send(move |kept| async move { kept.read(shard, &ids).await }).await
    }

    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.send(move |kept| async move { kept.withdraw(shard, calendar_id).await }).await
    }

    async fn beat(&self, beats: &[(Shard, Beat)]) -> Result<(), CacheError> {
        let beats = beats.to_vec();
        self.send(move |kept| async move { kept.beat(&beats).await }).await
    }

    async fn end_beat(&self, shard: Shard, epoch: Epoch) -> Result<(), CacheError> {
        self.send(move |kept| async move { kept.end_beat(shard, epoch).await }).await
    }

    async fn mark_dirty(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        self.send(move |kept| async move { kept.mark_dirty(shard, calendar_id).await }).await
    }

    async fn take_dirty(&self, shard: Shard) -> Result<Vec<CalendarId>, CacheError> {
        self.send(move |kept| async move { kept.take_dirty(shard).await }).await
    }
}
