//! What tests share that need more than Rust: the Python environment, the two CalDAV servers nobody here wrote, a
//! PostgreSQL, and the program itself as a process that can be killed.
//!
//! Everything here is synchronous, bounded in time and gone when its value is dropped. A test whose server is not there
//! says so and ends; under `cargo xtask test`, which installs the servers, it fails instead.

mod dev;
mod http;
mod node;
mod places;
mod postgres;
mod process;
mod redis;
mod resp;
mod scripts;
mod servers;
mod wait;

use std::io::Write;

pub use dev::{Dev, DevInfo};
pub use http::status_of;
pub use node::Node;
pub use places::{schemathesis, target_dir, venv};
pub use postgres::{Durability, POSTGRES_PASSWORD, POSTGRES_USER, Postgres, postgres, postgres_with};
pub use redis::{Redis, RedisCluster, RedisSentinel, redis, redis_cluster, redis_sentinel, redis_with};
pub use resp::Reply;
pub use scripts::{javascript, python};
pub use servers::{ADMIN, PASSWORD, READ_ONLY_PREFIX, Server, ServerKind, USERNAME, radicale, spare_address, xandikos};
pub use wait::{WAIT_MAX, wait_for};

/// Set to `1` by `cargo xtask test`: what cannot be tested is a failure, not a remark.
pub const REQUIRE_SERVERS_VARIABLE: &str = "AGENTCAL_TEST_REQUIRE_SERVERS";

/// Says that a test is skipped and how to have it run; panics where skipping is not acceptable.
///
/// # Panics
/// When [`REQUIRE_SERVERS_VARIABLE`] is `1`.
pub fn skip_or_fail(reason: &str) {
    let required = std::env::var(REQUIRE_SERVERS_VARIABLE).is_ok_and(|value| value == "1");
    assert!(!required, "cannot be skipped: {reason}");
    // Not `eprintln!`, which the test harness keeps to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {reason} (run `cargo xtask test`)");
}
