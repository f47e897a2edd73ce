//! Where Redis is and how patient its client is.

use std::fmt;
use std::time::Duration;

use fred::prelude::{Builder, Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy};
use fred::types::RespVersion;
use fred::types::config::{TcpConfig, UnresponsiveConfig};

/// The longest a command may take before the question goes on without the cache.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(100);
/// The longest a connection may take to stand, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that may wait for one connection. Over it: refused at once.
const COMMANDS_WAITING_MAX: usize = 4_096;
/// Pauses between attempts to connect grow from the first to the second, and attempts never end.
const RECONNECT_MS: (u32, u32) = (20, 1_000);
/// A connection that owes an answer for so long is closed; and not before a command's own time is over.
const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(1);

/// Facts nobody publishes again for so long go. Owners publish with every sync.
const FACTS_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of the cache.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://`, `rediss://`, `redis-cluster://`, `redis-sentinel://` and their TLS forms. May hold a password.
    pub url: String,
    /// What all keys begin with, so that several installations may share a server.
    pub key_prefix: String,
    /// The longest a command may take.
    pub command_timeout: Duration,
    /// How long facts stay that nobody publishes again.
    pub facts_ttl: Duration,
    /// Connections for reading, and as many again for writing.
    pub connections: usize,
}

impl RedisConfig {
    /// The usual settings for a server.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key_prefix: "agentcal".to_owned(),
            command_timeout: COMMAND_TIMEOUT,
            facts_ttl: FACTS_TTL,
            connections: 2,
        }
    }

    /// What fred makes clients from.
    pub(crate) fn builder(&self) -> Result<Builder, ConfigError> {
        let mut config = Config::from_url(&self.url).map_err(ConfigError)?;
        config.version = RespVersion::RESP3;
        // A server that is away at the start is waited for like one that goes away later.
        config.fail_fast = false;
        let mut builder = Builder::from_config(config);
        builder.set_policy(ReconnectPolicy::new_exponential(0, RECONNECT_MS.0, RECONNECT_MS.1, 2));
        builder.set_connection_config(self.connection());
        let performance = PerformanceConfig { default_command_timeout: self.command_timeout, ..Default::default() };
        builder.set_performance_config(performance);
        Ok(builder)
    }

    fn connection(&self) -> ConnectionConfig {
        let silent_max = UNRESPONSIVE_AFTER.max(self.command_timeout);
        ConnectionConfig {
            connection_timeout: CONNECT_TIMEOUT,
            internal_command_timeout: CONNECT_TIMEOUT,
            // The second is for a slot that has moved. All commands may be performed twice.
            max_command_attempts: 2,
            max_command_buffer_len: COMMANDS_WAITING_MAX,
            unresponsive: UnresponsiveConfig { max_timeout: Some(silent_max), interval: UNRESPONSIVE_AFTER / 4 },
            tcp: TcpConfig { nodelay: Some(true), ..Default::default() },
            reconnect_on_auth_error: true,
            ..Default::default()
        }
    }
}

/// Never shows the URL, which may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig").field("key_prefix", &self.key_prefix).finish_non_exhaustive()
    }
}

/// The URL is not one of a Redis server.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used: {0}")]
pub struct ConfigError(#[source] pub(crate) fred::error::Error);
