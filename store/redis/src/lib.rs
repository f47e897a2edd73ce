//! What several nodes share on Redis: the fact cache, never trusted for a commit, and the buckets by which requests are
//! limited. All of it may be lost.
//!
//! What is kept and under which names, what losing it costs, and how it is set up stands in `docs/redis.md`.

mod beats;
mod breaker;
mod bytes;
mod cache;
mod config;
mod health;
mod keys;
mod link;
pub mod metrics;
pub mod packed;
mod packed_claims;
mod quotas;
mod scripts;
mod stamps;

pub use cache::RedisFactCache;
pub use config::{ConfigError, RedisConfig};
pub use health::Health;
pub use quotas::RedisQuotas;
