//! The durable store, and the cache before it.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::Problem;
use super::settings::{DATABASE_URL, REDIS_URL};

/// The durable store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseConfig {
    /// The SQLite file.
    pub(crate) path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCache {
    redis_url: Option<String>,
}

impl Raw {
    pub(super) fn check(&self, cache: &RawCache) -> Result<DatabaseConfig, Vec<Problem>> {
        let mut problems = Vec::new();
        if cache.redis_url.as_deref().is_some_and(|url| !url.is_empty()) {
            let says = "Redis is not built into this version; leave it unset, and facts are cached in the process";
            problems.push(Problem::of(REDIS_URL, says));
        }
        let path = sqlite_path(self.url.as_deref()).map_err(|says| problems.push(Problem::of(DATABASE_URL, says)));
        match path {
            Ok(path) if problems.is_empty() => Ok(DatabaseConfig { path }),
            _ => Err(problems),
        }
    }
}

fn sqlite_path(url: Option<&str>) -> Result<PathBuf, &'static str> {
    const EXAMPLE: &str = "give it as sqlite:///var/lib/agentcal/agentcal.db";
    let url =
        url.filter(|url| !url.is_empty()).ok_or("is not set; give it as sqlite:///var/lib/agentcal/agentcal.db")?;
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Err("PostgreSQL is not built into this version; give a sqlite:// address");
    }
    let path = url.strip_prefix("sqlite://").ok_or(EXAMPLE)?;
    if path.is_empty() || path.ends_with('/') || path.contains(['?', '#']) || path == ":memory:" {
        return Err(
            "must name a file after sqlite://, without parameters; give it as sqlite:///var/lib/agentcal/agentcal.db",
        );
    }
    Ok(PathBuf::from(path))
}
