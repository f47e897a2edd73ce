//! How often a key may ask.
//!
//! A bucket for each key is kept by [`Quotas`], which may be a server away. So a request is paid from a purse at hand
//! ([`Gate`]), and the purse is filled from the bucket in batches, ahead of need where requests come quickly.

mod gate;
mod headers;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::metrics::LIMITS;
use agentcal_engine::ids::KeyId;
use agentcal_engine::limits::{LimitKind, Rate};
use agentcal_engine::ports::{Clock, Quotas};
use http::HeaderValue;
use metrics::{Counter, counter};
use quick_cache::sync::Cache;

pub(crate) use gate::Gate;
pub(crate) use headers::Told;

use crate::error::{ApiError, Code};

/// Most gates remembered. One that is forgotten begins with an empty purse.
const GATES_MAX: usize = 100_000;

/// The gates of all keys, which have one rate.
pub(crate) struct Gates {
    terms: Arc<Terms>,
    gates: Cache<KeyId, Arc<Gate>>,
}

/// What all gates have in common.
struct Terms {
    rate: Rate,
    policy: HeaderValue,
    quotas: Arc<dyn Quotas>,
    clock: Arc<dyn Clock>,
    allowed: Counter,
    refused: Counter,
}

impl Gates {
    pub(crate) fn new(rate: Rate, quotas: Arc<dyn Quotas>, clock: Arc<dyn Clock>) -> Self {
        let counter =
            |outcome: &'static str| counter!(LIMITS, "kind" => LimitKind::ApiKey.as_str(), "outcome" => outcome);
        let (allowed, refused) = (counter("allowed"), counter("refused"));
        let policy = headers::policy(&rate);
        let terms = Arc::new(Terms { rate, policy, quotas, clock, allowed, refused });
        Self { terms, gates: Cache::new(GATES_MAX) }
    }

    /// The gate of a key: the same for as long as it is remembered.
    pub(crate) fn of(&self, key_id: KeyId) -> Arc<Gate> {
        let new = || Ok::<_, Infallible>(Arc::new(Gate::new(Arc::clone(&self.terms), key_id)));
        let Ok(gate) = self.gates.get_or_insert_with(&key_id, new);
        gate
    }
}

/// The key asks too often.
pub(crate) fn refusal(wait: Duration) -> ApiError {
    let detail = "this key asks more often than it may; wait as `Retry-After` says, and spread requests over time";
    ApiError::new(Code::TooManyRequests, detail).retry_after(whole_seconds(wait))
}

/// Seconds, rounded up: whoever comes back then is not too early.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}
