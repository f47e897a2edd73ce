//! Measures a built `agentcal`, as a stranger would: from outside, over several runs, with the worst one shown.

mod program;
mod startup;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let What::Startup { binary, runs } = Arguments::parse().what;
    let Some(binary) = binary.or_else(beside_this_program) else {
        eprintln!("error: there is no agentcal beside this program; build it, or name one with --binary");
        return ExitCode::FAILURE;
    };
    match startup::measure(&binary, runs) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn beside_this_program() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?.with_file_name("agentcal");
    binary.is_file().then_some(binary)
}
