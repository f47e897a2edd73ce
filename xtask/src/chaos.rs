//! The long forms of the tests that torment real processes.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::planted;
use crate::run::{Failure, followed, shown};
use crate::workspace::Workspace;

/// How the line begins that says what came of it.
const VERDICT: &str = "VERDICT ";
const HOLDS: &str = "verdict=holds";
const MINUTES: u64 = 30;

/// What to torment, and how long.
#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// How long three nodes are tormented, with their PostgreSQL, their Redis and the links between all of them.
    #[arg(long, default_value_t = MINUTES)]
    minutes: u64,
    /// Draws what clients do and what befalls the nodes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kills one node on SQLite instead, so often.
    #[arg(long, conflicts_with = "minutes")]
    kills: Option<u64>,
    /// Plants bugs instead, one after the other, and shows which check finds each.
    #[arg(long, conflicts_with_all = ["minutes", "kills"])]
    planted: bool,
}

/// Runs a test in release. It prints what happens; the last line is its verdict, and so is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &ChaosArgs) -> Result<ExitCode, Failure> {
    match args.kills {
        _ if args.planted => planted::run(workspace).map(|()| ExitCode::SUCCESS),
        Some(kills) => {
            let mut command = test(workspace, "kills");
            command.env("AGENTCAL_KILLS", kills.to_string()).env("AGENTCAL_KILLS_SEED", args.seed.to_string());
            shown(&mut command).map(|()| ExitCode::SUCCESS)
        }
        None => torment(test(workspace, "nodes"), args),
    }
}

fn test(workspace: &Workspace, name: &str) -> Command {
    let mut command = workspace.cargo();
    command.args(["test", "--release", "--package", "agentcal", "--test", name, "--", "--nocapture"]);
    command
}

fn torment(mut command: Command, args: &ChaosArgs) -> Result<ExitCode, Failure> {
    let seconds = args.minutes * 60;
    command.env("AGENTCAL_NODES_SECONDS", seconds.to_string()).env("AGENTCAL_NODES_SEED", args.seed.to_string());
    command.env("AGENTCAL_TEST_REQUIRE_SERVERS", "1");
    let mut verdict = None;
    let passed = followed(&mut command, |line| {
        if let Some(line) = line.strip_prefix(VERDICT) {
            verdict = Some(line.to_owned());
        }
    })?;
    let unheard = || format!("chaos seed={} seconds={seconds} verdict=violated (it was not judged)", args.seed);
    let verdict = verdict.unwrap_or_else(unheard);
    println!("\n{verdict}");
    let holds = passed && verdict.ends_with(HOLDS);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
