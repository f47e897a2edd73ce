//! The toolbox of this repository: `cargo xtask test` runs everything that can be tested, and gets what it needs first.

mod openapi;
mod python;
mod run;
mod steps;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::run::Failure;
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
        Task::Openapi => openapi::write(workspace).map(|()| ExitCode::SUCCESS),
    }
}
