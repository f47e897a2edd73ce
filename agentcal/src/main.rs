//! AgentCal in one binary: scheduling infrastructure for software that talks.

mod boot;
mod cli;
mod clock;
mod commands;
mod config;
mod demo;
mod durable;
mod files;
mod keys;
mod looks;
mod mail;
mod metrics;
mod server;
mod shelf;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

/// What a request takes on one thread is often given back on another. Under load the system's allocator then waits for
/// the lock of the other thread's arena, about once in two requests; this one hands such memory back without a lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "planted")]
    agentcal_engine::plant!(std::env::var("AGENTCAL_PLANTED").ok());
    // Whatever speaks TLS further down finds its cryptography here; there is no second implementation to choose from.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("agentcal: a TLS provider was installed before the program began");
        return ExitCode::FAILURE;
    }
    match commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("agentcal: {}", Causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An error with everything that caused it, in one line.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |error| error.source()).try_for_each(|cause| write!(f, ": {cause}"))
    }
}
