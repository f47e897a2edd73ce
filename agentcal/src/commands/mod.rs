//! One file per command.

mod dev;
mod dev_files;
mod doctor;
mod job;
mod key;
mod migrate;
mod openapi;
mod org;
mod org_oauth;
mod restored;
mod rotate;
mod serve;
mod store;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::{CONFIG_VARIABLE, RawConfig};
use crate::telemetry;

/// What a command comes to; an error is printed with its causes.
pub(crate) type CommandResult = Result<ExitCode, Box<dyn Error>>;

/// Most threads that run tasks in `dev`, which shall be small.
const DEV_WORKERS_MAX: usize = 2;

/// Runs what was typed.
pub(crate) fn run(cli: Cli) -> CommandResult {
    let surroundings = Surroundings::of_process(cli.config);
    match cli.command {
        Command::Dev(args) => {
            let raw = surroundings.raw_dev_config()?;
            let holds = raw.check_holds()?;
            let limits = raw.check_limits()?;
            let vendors = raw.check_vendors_in_dev()?;
            telemetry::start(&raw.check_log()?)?;
            on_runtime(DEV_WORKERS_MAX, dev::run(args, holds, limits, vendors))
        }
        Command::Serve => {
            let raw = surroundings.raw_config()?;
            let config = raw.check()?;
            telemetry::start(&raw.check_log()?)?;
            on_runtime(usize::MAX, serve::run(config))
        }
        Command::Migrate(args) => on_runtime(1, migrate::run(&surroundings, args)),
        Command::Restored(args) => on_runtime(1, restored::run(&surroundings, args)),
        Command::RotateKeys(args) => on_runtime(1, rotate::run(&surroundings, &args)),
        Command::Doctor => on_runtime(1, doctor::run(&surroundings)),
        Command::Org(command) => on_runtime(1, org::run(&surroundings, command)),
        Command::Key(command) => on_runtime(1, key::run(&surroundings, command)),
        Command::Job(command) => on_runtime(1, job::run(&surroundings, command)),
        Command::Openapi => openapi::run(),
    }
}

/// What the process was started with, besides its arguments.
pub(crate) struct Surroundings {
    config_file: Option<PathBuf>,
    variables: BTreeMap<String, String>,
}

impl Surroundings {
    fn of_process(config_file: Option<PathBuf>) -> Self {
        // A variable that is no text is none of ours.
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = variables.get(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { config_file: config_file.or(named), variables }
    }

    /// The configuration as it was said, unchecked.
    pub(crate) fn raw_config(&self) -> Result<RawConfig, crate::config::ConfigError> {
        RawConfig::read(self.config_file.as_deref(), &self.variables)
    }

    /// The few variables that `agentcal dev` reads. It must start wherever it is typed, so others do not disturb it.
    fn raw_dev_config(&self) -> Result<RawConfig, crate::config::ConfigError> {
        const READ: [&str; 5] =
            ["AGENTCAL_LOG", "AGENTCAL_HOLDS_", "AGENTCAL_GOOGLE_", "AGENTCAL_MICROSOFT_", "AGENTCAL_OAUTH_"];
        let is_read = |name: &str| READ.iter().any(|beginning| name.starts_with(beginning));
        let variables = self.variables.iter().filter(|(name, _)| is_read(name));
        RawConfig::read(None, &variables.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// Writes a line to standard output. Whoever reads it may have gone, as `head` does; that is no reason to fail.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn on_runtime(workers_max: usize, command: impl Future<Output = CommandResult>) -> CommandResult {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, workers_max))
        .enable_all()
        .build()?
        .block_on(command)
}
