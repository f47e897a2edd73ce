//! Measures a built `agentcal`, as a stranger would: from outside, as a process of its own, over several rounds.

mod api;
mod availability;
mod bare;
mod bare_update;
mod cluster;
mod commits;
mod connection;
mod data;
mod drive;
mod effects;
mod elsewhere;
mod market;
mod memory;
mod node;
mod pgbench;
mod process;
mod program;
mod progress;
mod providers;
mod questions;
mod receiver;
mod report;
mod run;
mod sender;
mod series;
mod shared_commits;
mod startup;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::run::{Effort, Options, Part};
use crate::sender::Sending;

/// That of the program, so that the bare route is no slower for its allocator than it must be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "agentcal-load", about = "Measures a built agentcal")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time from the start of `agentcal dev` to its first answer, and its memory when idle
    Startup {
        /// The program to measure; else the one beside this program
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// How often
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        runs: u32,
    },
    /// Questions, holds and bookings: how many a second, what each costs and how long it takes
    Run {
        /// The program to measure; else the one beside this program
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Where results and data sets that are made once are kept
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// A minute instead of some
        #[arg(long)]
        quick: bool,
        /// Fails when a target is missed
        #[arg(long)]
        strict: bool,
        /// Only these parts; by default all
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Part>,
    },
    /// Serves recorded answers: the ceiling that `run` compares with
    #[command(hide = true)]
    Bare {
        /// The answers
        answers: PathBuf,
    },
    /// Updates a row for each request: the ceiling that `run` compares with
    #[command(hide = true)]
    BareUpdate {
        /// A file to be made
        file: PathBuf,
        /// How many rows it has
        #[arg(long)]
        rows: u32,
    },
    /// Sends a recorded message again and again: the ceiling that `run` compares with
    #[command(hide = true)]
    Send {
        /// The message
        message: PathBuf,
        #[command(flatten)]
        sending: Sending,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().what) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(what: What) -> Result<ExitCode, String> {
    match what {
        What::Startup { binary, runs } => {
            println!("{}", startup::measure(&program(binary)?, runs)?);
            Ok(ExitCode::SUCCESS)
        }
        What::Run { binary, out, quick, strict, only } => {
            let parts = if only.is_empty() { Part::value_variants().to_vec() } else { only };
            let effort = if quick { Effort::QUICK } else { Effort::FULL };
            let report = run::run(&Options { binary: program(binary)?, kept: out.join("data"), parts, effort })?;
            println!("{report}");
            let file = out.join("latest.json");
            run::write(&report, &file)?;
            println!("{}", file.display());
            Ok(if strict && !report.holds() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        What::Send { message, sending } => sender::send(&message, &sending).map(|()| ExitCode::SUCCESS),
        What::BareUpdate { file, rows } => bare_update::serve(&file, i64::from(rows)).map(|()| ExitCode::SUCCESS),
        What::Bare { answers } => {
            bare::serve(&answers).map(|()| ExitCode::SUCCESS).map_err(|error| format!("the bare route ended: {error}"))
        }
    }
}

/// The program that was named, else the one beside this program.
fn program(named: Option<PathBuf>) -> Result<PathBuf, String> {
    let beside = || {
        let binary = std::env::current_exe().ok()?.with_file_name("agentcal");
        binary.is_file().then_some(binary)
    };
    named
        .or_else(beside)
        .ok_or_else(|| "there is no agentcal beside this program; build it, or name one with --binary".to_owned())
}
