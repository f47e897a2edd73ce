//! The port, on Redis.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::planted;
use agentcal_engine::ports::{BEAT_TTL, Beat, CacheError, CacheRead, FactCache, Quotas};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;
use fred::types::Value;
use futures::stream::{self, StreamExt};
use uuid::Uuid;

use crate::beats;
use crate::config::{ConfigError, RedisConfig};
use crate::health::{self, Health};
use crate::keys::Keys;
use crate::link::Link;
use crate::metrics;
use crate::packed;
use crate::quotas::RedisQuotas;
use crate::scripts::Scripts;
use crate::stamps::{self, Stamp};

/// Beats under way at one time.
const BEATS_AT_ONCE: usize = 64;

/// A [`FactCache`] on Redis, for all nodes. Clones share the connections.
#[derive(Clone)]
pub struct RedisFactCache {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    facts_ttl: Duration,
}

impl RedisFactCache {
    /// Begins to connect and returns at once: until a connection stands, every call is refused. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the URL is none of a Redis server.
    pub fn connect(config: &RedisConfig) -> Result<Self, ConfigError> {
        let link = Link::open(config)?;
        let keys = Keys::new(&config.key_prefix);
        Ok(Self { shared: Arc::new(Shared { link, keys, scripts: Scripts::new(), facts_ttl: config.facts_ttl }) })
    }

    /// Waits until the connections stand.
    ///
    /// # Errors
    /// When they do not in time; the error says what the last attempt ended with.
    pub async fn ready(&self, within: Duration) -> Result<(), CacheError> {
        self.shared.link.ready(within).await
    }

    /// Buckets on the same server, and over the same connections. What it does not answer is asked of `fallback`.
    pub fn quotas(&self, fallback: Arc<dyn Quotas>) -> RedisQuotas {
        RedisQuotas::new(Arc::clone(&self.shared), fallback)
    }

    /// How the server does, and what in its settings hurts.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn health(&self) -> Result<Health, CacheError> {
        health::ask(&self.shared.link, &self.shared.scripts.health).await
    }

    /// The server's clock.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn server_now(&self) -> Result<Timestamp, CacheError> {
        health::clock(&self.shared.link).await
    }

    /// Ends the connections. Later calls are refused.
    pub async fn close(&self) {
        self.shared.link.close().await;
    }
}

impl Shared {
    async fn publish(&self, shard: Shard, facts: &CalendarFacts) -> Result<(), CacheError> {
        let key = self.keys.facts(shard, facts.calendar_id);
        let args = vec![bytes(packed::pack(facts)), millis(self.facts_ttl)];
        let present = self.link.perform_in_turn("publish", &self.scripts.publish, key.clone(), args.clone()).await?;
        match present.as_bytes() {
            Some(present) if is_damaged(shard, facts.calendar_id, present) => self.mend(key, args, present).await,
            // Written, or a higher version stands there.
            _ => Ok(()),
        }
    }

    /// Damage may look like the highest of versions; it is replaced all the same, unless it has gone meanwhile.
    async fn mend(&self, key: String, mut args: Vec<Value>, damaged: &[u8]) -> Result<(), CacheError> {
        metrics::unreadable();
        args.push(bytes(damaged.to_vec()));
        self.link.perform("mend", &self.scripts.mend, key, args).await.map(drop)
    }

    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError> {
        let facts_keys = calendar_ids.iter().map(|id| self.keys.facts(shard, *id));
        let args = [self.keys.beat(shard)].into_iter().chain(facts_keys).map(Value::from).collect();
        let Value::Array(values) = self.link.read("MGET", args).await? else { return Err(misshapen()) };
        let Some((beat, facts)) = values.split_first() else { return Err(misshapen()) };
        if facts.len() != calendar_ids.len() {
            return Err(misshapen());
        }
        let beat = beat.as_bytes().and_then(|bytes| beats::unpack(shard, bytes));
        let (beat, stamp) = beat.unzip();
        let facts = calendar_ids.iter().zip(facts).map(|(id, value)| facts_of(shard, *id, value.as_bytes()?, stamp));
        Ok(CacheRead { beat, facts: facts.collect() })
    }

    async fn beat(&self, shard: Shard, beat: Beat) -> Result<(), CacheError> {
        let ttl = if planted!(EternalBeat) { self.facts_ttl } else { BEAT_TTL };
        let args = vec![bytes(beats::pack(shard, beat)), millis(ttl)];
        self.link.perform("beat", &self.scripts.beat, self.keys.beat(shard), args).await.map(drop)
    }
}

#[async_trait]
impl FactCache for RedisFactCache {
    async fn publish(&self, shard: Shard, facts: Arc<CalendarFacts>) -> Result<(), CacheError> {
        self.shared.publish(shard, &facts).await
    }

    async fn read(&self, shard: Shard, calendar_ids: &[CalendarId]) -> Result<CacheRead, CacheError> {
        self.shared.read(shard, calendar_ids).await
    }

    async fn withdraw(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        let key = self.shared.keys.facts(shard, calendar_id);
        self.shared.link.write("DEL", key).await.map(drop)
    }

    async fn beat(&self, beats: &[(Shard, Beat)]) -> Result<(), CacheError> {
        // Sent without waiting for one another's answers: thousands cost a few round trips.
        let said = beats.iter().map(|&(shard, beat)| {
            let shared = Arc::clone(&self.shared);
            async move { shared.beat(shard, beat).await }
        });
        // One that fails keeps no other from being said.
        let results: Vec<_> = stream::iter(said.collect::<Vec<_>>()).buffer_unordered(BEATS_AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    async fn end_beat(&self, shard: Shard, epoch: Epoch) -> Result<(), CacheError> {
        let Shared { link, keys, scripts, .. } = &*self.shared;
        let args = vec![bytes(epoch.0.to_be_bytes().to_vec())];
        link.perform("end_beat", &scripts.end_beat, keys.beat(shard), args).await.map(drop)
    }

    async fn mark_dirty(&self, shard: Shard, calendar_id: CalendarId) -> Result<(), CacheError> {
        let Shared { link, keys, scripts, facts_ttl } = &*self.shared;
        let args = vec![bytes(calendar_id.as_uuid().as_bytes().to_vec()), millis(*facts_ttl)];
        link.perform("mark", &scripts.mark, keys.dirty(shard), args).await.map(drop)
    }

    async fn take_dirty(&self, shard: Shard) -> Result<Vec<CalendarId>, CacheError> {
        let Shared { link, keys, scripts, .. } = &*self.shared;
        let marks = link.perform("take", &scripts.take, keys.dirty(shard), Vec::new()).await?;
        let calendar = |mark: Value| Some(CalendarId::from_uuid(Uuid::from_slice(mark.as_bytes()?).ok()?));
        Ok(marks.into_array().into_iter().filter_map(calendar).collect())
    }
}

/// The facts in a value, if they are those of this calendar and its account's shard, and the beat, if any, speaks for them.
fn facts_of(
    shard: Shard,
    calendar_id: CalendarId,
    stored: &[u8],
    of_beat: Option<Stamp>,
) -> Option<Arc<CalendarFacts>> {
    let Some((facts, stamp)) = unpack(shard, calendar_id, stored) else {
        metrics::unreadable();
        return None;
    };
    if of_beat.is_some_and(|of_beat| of_beat != stamp) {
        metrics::outlived();
        return None;
    }
    Some(Arc::new(facts))
}

fn unpack(shard: Shard, calendar_id: CalendarId, stored: &[u8]) -> Option<(CalendarFacts, Stamp)> {
    let (packed, stamp) = stamps::split(stored)?;
    let facts = packed::unpack(packed)?;
    is_of(&facts, shard, calendar_id).then_some((facts, stamp))
}

fn is_of(facts: &CalendarFacts, shard: Shard, calendar_id: CalendarId) -> bool {
    facts.calendar_id == calendar_id && Shard::of(facts.account_id) == shard
}

fn is_damaged(shard: Shard, calendar_id: CalendarId, stored: &[u8]) -> bool {
    !packed::is_of_another_format(stored) && unpack(shard, calendar_id, stored).is_none()
}

fn misshapen() -> CacheError {
    CacheError::Unavailable("the answer is none to what was asked".to_owned())
}

fn bytes(bytes: Vec<u8>) -> Value {
    Value::Bytes(bytes.into())
}

fn millis(duration: Duration) -> Value {
    Value::from(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
