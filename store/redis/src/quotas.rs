//! Buckets of cells that all nodes share, on Redis; without it, each node's fair share.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::limits::{LimitKey, Rate};
use agentcal_engine::ports::{CacheError, CellsGiven, CellsWanted, Quotas};
use async_trait::async_trait;
use fred::types::Value;

use crate::cache::Shared;
use crate::metrics;

/// [`Quotas`] on Redis. It asks with the connections of a [`crate::RedisFactCache`], and what Redis does not answer at once
/// is asked of others kept nearer.
#[derive(Clone)]
pub struct RedisQuotas {
    shared: Arc<Shared>,
    fallback: Arc<dyn Quotas>,
}

impl RedisQuotas {
    pub(crate) fn new(shared: Arc<Shared>, fallback: Arc<dyn Quotas>) -> Self {
        Self { shared, fallback }
    }

    async fn try_take(&self, wanted: &CellsWanted) -> Result<CellsGiven, CacheError> {
        let Shared { link, keys, scripts, .. } = &*self.shared;
        let answer = link.perform("take_cells", &scripts.take_cells, keys.cells(wanted.key), arguments(wanted)).await?;
        let numbers: Vec<u64> = answer.into_array().into_iter().filter_map(|number| number.as_u64()).collect();
        let [cells, wait_us, full_after_us] = numbers[..] else {
            return Err(CacheError::Unavailable("an answer of another shape".to_owned()));
        };
        Ok(CellsGiven {
            cells: u32::try_from(cells).unwrap_or(0).min(wanted.most),
            wait: Duration::from_micros(wait_us),
            full_after: Duration::from_micros(full_after_us),
        })
    }

    async fn try_pause(&self, key: LimitKey, length: Duration) -> Result<(), CacheError> {
        let Shared { link, keys, scripts, .. } = &*self.shared;
        let args = vec![micros(length).into()];
        link.perform("pause_cells", &scripts.pause_cells, keys.cells(key), args).await.map(drop)
    }
}

#[async_trait]
impl Quotas for RedisQuotas {
    async fn take(&self, wanted: &CellsWanted) -> CellsGiven {
        match self.try_take(wanted).await {
            Ok(given) => given,
            Err(_unavailable) => {
                metrics::limited_alone(wanted.key.kind);
                self.fallback.take(wanted).await
            }
        }
    }

    async fn pause(&self, key: LimitKey, length: Duration) {
        // Here as well, for when Redis is away meanwhile.
        self.fallback.pause(key, length).await;
        if let Err(error) = self.try_pause(key, length).await {
            tracing::debug!(%error, "other nodes do not hear of a pause");
        }
    }

    fn share_among(&self, nodes: u32) {
        self.fallback.share_among(nodes);
    }
}

/// Time of a cell, of a full bucket and of what is spared, in microseconds and their fractions; and how many are wanted.
fn arguments(wanted: &CellsWanted) -> Vec<Value> {
    let CellsWanted { rate, most, spare, .. } = wanted;
    let burst = rate.burst().get();
    let spare = (*spare).min(burst - 1);
    vec![fraction(rate, 1).into(), fraction(rate, burst).into(), fraction(rate, spare).into(), i64::from(*most).into()]
}

fn fraction(rate: &Rate, cells: u32) -> String {
    format!("{:.3}", rate.time_of(cells).as_nanos() as f64 / 1_000.0)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
