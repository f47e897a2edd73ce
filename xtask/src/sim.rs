//! The product on virtual time.

use std::process::ExitCode;

use clap::Args;

use crate::run::Failure;
use crate::workspace::Workspace;

/// What to simulate.
#[derive(Args)]
pub(crate) struct SimArgs {
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulated hours.
    #[arg(long, default_value_t = 5)]
    hours: u32,
    /// Nodes that share the work; one is alone, on the embedded kind of store.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// A guarantee the store breaks on purpose, to see that it is found.
    #[arg(long)]
    plant: Vec<String>,
    /// Also finds what a node that is cut off cannot help: that it calls an answer complete which offers a time that was
    /// sold past it a moment ago.
    #[arg(long)]
    strict: bool,
    /// Prints every request with its answer.
    #[arg(long)]
    trace: bool,
    /// Builds with all optimisations first: worth it from a simulated day on.
    #[arg(long)]
    release: bool,
}

/// Runs one simulation. What it prints follows from its arguments alone; its exit code is the verdict.
pub(crate) fn run(workspace: &Workspace, args: &SimArgs) -> Result<ExitCode, Failure> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--package", "agentcal-sim"]);
    if args.release {
        command.arg("--release");
    }
    command.args(["--", "--seed", &args.seed.to_string(), "--hours", &args.hours.to_string()]);
    command.args(["--nodes", &args.nodes.to_string()]);
    for planted in &args.plant {
        command.args(["--plant", planted]);
    }
    if args.strict {
        command.arg("--strict");
    }
    if args.trace {
        command.arg("--trace");
    }
    let status = command.status().map_err(|error| Failure(format!("cargo does not start: {error}")))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
