//! How to log.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::error::Problem;
use super::settings::{LOG, LOG_FORMAT};

/// Which lines are written, unless said otherwise.
const FILTER_DEFAULT: &str = "info,sqlx=warn,hyper=warn,reqwest=warn,ractor=warn";

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogConfig {
    /// Which lines, in the words of `tracing_subscriber::EnvFilter`.
    pub(crate) filter: String,
    /// In which form.
    pub(crate) format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: FILTER_DEFAULT.to_owned(), format: LogFormat::Text }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, an object a line.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    filter: Option<String>,
    format: Option<String>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<LogConfig, Vec<Problem>> {
        let filter = self.filter.as_deref().filter(|filter| !filter.is_empty()).unwrap_or(FILTER_DEFAULT);
        let readable = EnvFilter::try_new(filter).is_ok();
        let format = match self.format.as_deref() {
            None | Some("" | "text") => Ok(LogFormat::Text),
            Some("json") => Ok(LogFormat::Json),
            Some(_) => Err(Problem::of(LOG_FORMAT, "must be `text` or `json`")),
        };
        let unreadable = Problem::of(LOG, "must be a filter as in info or warn,agentcal=debug");
        match (readable, format) {
            (true, Ok(format)) => Ok(LogConfig { filter: filter.to_owned(), format }),
            (readable, format) => {
                Err([(!readable).then_some(unreadable), format.err()].into_iter().flatten().collect())
            }
        }
    }
}
