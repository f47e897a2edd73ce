//! Log lines, to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{LogConfig, LogFormat};

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The filter cannot be read.
    #[error("failed to read the log filter")]
    Filter(#[from] ParseError),
    /// Somebody was first.
    #[error("failed to start logging: {0}")]
    Start(Box<dyn std::error::Error + Send + Sync>),
}

/// Sends log lines to standard error from now on.
pub(crate) fn start(log: &LogConfig) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&log.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let builder = builder.with_ansi(io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(LogError::Start)
}
