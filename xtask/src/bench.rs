//! `cargo xtask bench`: builds the program and what measures it, and measures.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::run::{Failure, shown};
use crate::workspace::Workspace;

/// How to measure.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// About a minute instead of some.
    #[arg(long)]
    quick: bool,
    /// Fails when a target is missed.
    #[arg(long)]
    strict: bool,
    /// Only these parts: availability, crowd, commits.
    #[arg(long, value_name = "PARTS")]
    only: Option<String>,
}

/// Measures; the result is left in `bench/latest.json` of the target folder.
pub(crate) fn run(workspace: &Workspace, args: &BenchArgs) -> Result<ExitCode, Failure> {
    let mut build = workspace.cargo();
    build.args(["build", "--release", "--locked", "--package", "agentcal", "--package", "agentcal-load"]);
    shown(&mut build)?;
    let mut command = Command::new(workspace.target.join("release/agentcal-load"));
    command.arg("run").arg("--out").arg(workspace.target.join("bench"));
    command.args(args.quick.then_some("--quick")).args(args.strict.then_some("--strict"));
    if let Some(only) = &args.only {
        command.args(["--only", only]);
    }
    shown(&mut command).map(|()| ExitCode::SUCCESS)
}
