//! `cargo xtask fakes`: calendar providers on this machine, to try things out with.

use std::process::{Child, Command};

use clap::Subcommand;

use crate::run::{Failure, shown};
use crate::workspace::Workspace;

/// The packages whose programs are the fakes. Each says where it serves.
const FAKES: [&str; 1] = ["agentcal-fake-google"];

/// What to do with them.
#[derive(Subcommand)]
pub(crate) enum FakesTask {
    /// Builds and starts them, and prints their base URLs; they end with this, and forget everything.
    Up,
}

/// Does it.
pub(crate) fn run(workspace: &Workspace, task: &FakesTask) -> Result<(), Failure> {
    match task {
        FakesTask::Up => up(workspace),
    }
}

fn up(workspace: &Workspace) -> Result<(), Failure> {
    let mut build = workspace.cargo();
    build.args(["build", "--locked"]);
    shown(build.args(FAKES.iter().flat_map(|package| ["--package", *package])))?;
    let start = |package: &&str| {
        let program = workspace.target.join("debug").join(package);
        let started = Command::new(&program).spawn();
        started.map_err(|error| Failure(format!("{} does not start: {error}", program.display())))
    };
    let children: Vec<Child> = FAKES.iter().map(start).collect::<Result<_, _>>()?;
    for mut child in children {
        child.wait().map_err(|error| Failure(error.to_string()))?;
    }
    Ok(())
}
