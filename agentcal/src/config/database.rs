//! The durable store, and the cache before it.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Problem;
use super::secret::SecretText;
use super::settings::{DATABASE_CONNECTIONS, DATABASE_URL, REDIS_URL};

/// Connections of a node to PostgreSQL, unless said otherwise.
const CONNECTIONS_DEFAULT: u32 = 16;
/// More connections of one node than this only make them wait for each other.
const CONNECTIONS_MAX: u32 = 500;

/// The durable store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseConfig {
    /// A SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres {
        /// Its address, which may hold a password.
        url: SecretText,
        /// Most connections of this node.
        connections_max: u32,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    url: Option<SecretText>,
    connections_max: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCache {
    redis_url: Option<SecretText>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<DatabaseConfig, Vec<Problem>> {
        let url = self.url.as_ref().and_then(SecretText::said);
        let database = url.ok_or(NO_URL).and_then(|url| self.database(url));
        let connections = match self.connections_max {
            None | Some(1..=CONNECTIONS_MAX) => Ok(()),
            Some(_) => Err(Problem::of(DATABASE_CONNECTIONS, format!("must be 1 to {CONNECTIONS_MAX}"))),
        };
        match (database.map_err(|says| Problem::of(DATABASE_URL, says)), connections) {
            (Ok(database), Ok(())) => Ok(database),
            (database, connections) => Err([database.err(), connections.err()].into_iter().flatten().collect()),
        }
    }

    fn database(&self, url: &str) -> Result<DatabaseConfig, &'static str> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let connections_max = self.connections_max.unwrap_or(CONNECTIONS_DEFAULT);
            return Ok(DatabaseConfig::Postgres { url: SecretText::from(url.to_owned()), connections_max });
        }
        sqlite_path(url).map(|path| DatabaseConfig::Sqlite { path })
    }
}

impl RawCache {
    /// The Redis server's address; `None`: facts are cached in the process.
    pub(super) fn check(&self) -> Result<Option<SecretText>, Vec<Problem>> {
        const SCHEMES: [&str; 6] = [
            "redis://",
            "rediss://",
            "redis-cluster://",
            "rediss-cluster://",
            "redis-sentinel://",
            "rediss-sentinel://",
        ];
        let Some(url) = self.redis_url.as_ref().and_then(SecretText::said) else { return Ok(None) };
        if SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(self.redis_url.clone());
        }
        Err(vec![Problem::of(REDIS_URL, "must begin with redis://, rediss://, redis-cluster:// or redis-sentinel://")])
    }
}

const NO_URL: &str =
    "is not set; give it as sqlite:///var/lib/agentcal/agentcal.db or postgres://user:password@host/agentcal";

fn sqlite_path(url: &str) -> Result<PathBuf, &'static str> {
    const EXAMPLE: &str = "give it as sqlite:///var/lib/agentcal/agentcal.db or postgres://user:password@host/agentcal";
    let path = url.strip_prefix("sqlite://").ok_or(EXAMPLE)?;
    if path.is_empty() || path.ends_with('/') || path.contains(['?', '#']) || path == ":memory:" {
        return Err(
            "must name a file after sqlite://, without parameters; give it as sqlite:///var/lib/agentcal/agentcal.db",
        );
    }
    Ok(PathBuf::from(path))
}
