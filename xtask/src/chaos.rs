//! The long forms of the tests that torment real processes, and of the one that soaks the product in simulated weeks.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::run::{Failure, followed, shown};
use crate::workspace::Workspace;
use crate::{node, planted, python, servers};

/// How the line begins that says what came of it.
const VERDICT: &str = "VERDICT ";
const HOLDS: &str = "verdict=holds";
const MINUTES: u64 = 30;
const BOOKINGS: u64 = 10_000;
const WEEKS: u32 = 4;
const CALENDARS: u32 = 200;

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
    /// Books instead, and has webhooks that fail, hang and go away told of it, by a program that is killed meanwhile.
    #[arg(long, conflicts_with_all = ["minutes", "kills", "planted", "seed"])]
    effects: bool,
    /// So many bookings.
    #[arg(long, requires = "effects", default_value_t = BOOKINGS)]
    bookings: u64,
    /// By so many nodes: one is on SQLite, several are on PostgreSQL.
    #[arg(long, requires = "effects", default_value_t = 1)]
    nodes: u64,
    /// Soaks instead: simulated weeks with fakes of Google and Microsoft 365 that ring, fail and forget.
    #[arg(long, conflicts_with_all = ["minutes", "kills", "planted", "effects"])]
    soak: bool,
    /// So many weeks.
    #[arg(long, requires = "soak", default_value_t = WEEKS)]
    weeks: u32,
    /// So many calendars at each provider.
    #[arg(long, requires = "soak", default_value_t = CALENDARS)]
    calendars: u32,
}

/// Runs a test in release. It prints what happens; the last line is its verdict, and so is the exit code.
pub(crate) fn run(workspace: &Workspace, args: &ChaosArgs) -> Result<ExitCode, Failure> {
    match args.kills {
        _ if args.planted => planted::run(workspace).map(|()| ExitCode::SUCCESS),
        _ if args.effects => tell(workspace, args),
        _ if args.soak => soak(workspace, args),
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
    judged(command, &format!("chaos seed={} seconds={seconds}", args.seed))
}

fn tell(workspace: &Workspace, args: &ChaosArgs) -> Result<ExitCode, Failure> {
    servers::ensure()?;
    let (mut command, venv) = (test(workspace, "webhooks"), python::ensure(workspace, &python::CALDAV)?);
    command.env("AGENTCAL_TEST_NODE_MODULES", node::ensure(workspace, &venv)?).env("AGENTCAL_TEST_VENV", venv);
    let (bookings, nodes) = (args.bookings.to_string(), args.nodes.to_string());
    command.env("AGENTCAL_EFFECTS_BOOKINGS", &bookings).env("AGENTCAL_EFFECTS_NODES", &nodes);
    judged(command, &format!("effects nodes={nodes} bookings={bookings}"))
}

fn soak(workspace: &Workspace, args: &ChaosArgs) -> Result<ExitCode, Failure> {
    let ChaosArgs { seed, weeks, calendars, .. } = args;
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--quiet", "--package", "agentcal-soak", "--", "--seed", &seed.to_string()]);
    command.args(["--weeks", &weeks.to_string(), "--calendars", &calendars.to_string()]);
    judged(command, &format!("soak seed={seed} weeks={weeks} calendars=2x{calendars}"))
}

/// Runs what prints a verdict, and repeats it at the end.
fn judged(mut command: Command, what: &str) -> Result<ExitCode, Failure> {
    command.env("AGENTCAL_TEST_REQUIRE_SERVERS", "1");
    let mut verdict = None;
    let passed = followed(&mut command, |line| {
        if let Some(line) = line.strip_prefix(VERDICT) {
            verdict = Some(line.to_owned());
        }
    })?;
    let verdict = verdict.unwrap_or_else(|| format!("{what} verdict=violated (it was not judged)"));
    println!("\n{verdict}");
    let holds = passed && verdict.ends_with(HOLDS);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
