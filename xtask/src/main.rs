//! The toolbox of this repository: `cargo xtask test` runs everything that can be tested, and gets what it needs first.

mod bench;
mod chaos;
mod cluster;
mod counts;
mod fakes;
mod node;
mod openapi;
mod planted;
mod python;
mod run;
mod servers;
mod sim;
mod steps;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::chaos::ChaosArgs;
use crate::cluster::ClusterTask;
use crate::fakes::FakesTask;
use crate::run::Failure;
use crate::sim::SimArgs;
use crate::steps::StepName;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The toolbox of this repository", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs all tests; installs what they need, or says what is missing.
    Test {
        /// Runs one step alone.
        #[arg(long, value_name = "STEP")]
        only: Option<StepName>,
    },
    /// Measures the program: how many questions and bookings a second, at what cost, and how long each takes.
    Bench(BenchArgs),
    /// Counts instructions and compares them with those that are kept.
    Counts {
        /// Keeps the new counts instead.
        #[arg(long)]
        update: bool,
    },
    /// Torments the program while clients hold and book, and judges what they saw: three nodes, or one on SQLite.
    Chaos(ChaosArgs),
    /// Runs some nodes with their PostgreSQL and Redis on this machine, to try and to break.
    #[command(subcommand)]
    Cluster(ClusterTask),
    /// Calendar providers on this machine, to try things out with.
    #[command(subcommand)]
    Fakes(FakesTask),
    /// Runs the product on virtual time, with everything failing in turn. The same seed prints the same bytes.
    Sim(SimArgs),
    /// Writes docs/openapi.json anew from the code.
    Openapi,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    match Workspace::find().and_then(|workspace| perform(&task, &workspace)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task, workspace: &Workspace) -> Result<ExitCode, Failure> {
    match task {
        Task::Test { only } => Ok(steps::run(workspace, *only)),
        Task::Bench(args) => bench::run(workspace, args),
        Task::Counts { update } => counts::run(workspace, *update).map(|()| ExitCode::SUCCESS),
        Task::Chaos(args) => chaos::run(workspace, args),
        Task::Cluster(task) => cluster::run(workspace, task).map(|()| ExitCode::SUCCESS),
        Task::Fakes(task) => fakes::run(workspace, task).map(|()| ExitCode::SUCCESS),
        Task::Sim(args) => sim::run(workspace, args),
        Task::Openapi => openapi::write(workspace).map(|()| ExitCode::SUCCESS),
    }
}
