//! The fact cache of several nodes, on Redis: losable whole, never trusted for a commit.
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
mod scripts;

pub use cache::RedisFactCache;
pub use config::{ConfigError, RedisConfig};
pub use health::Health;
