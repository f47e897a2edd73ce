//! Counts the instructions of what the program does most, so that a change which makes it dearer is seen on any machine,
//! however busy, in the same numbers.

mod callgrind;
mod kept;
mod question;
mod stage;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::kept::Kept;
use crate::workload::Workload;

#[derive(Parser)]
#[command(name = "agentcal-counts", about = "Counts the instructions of what agentcal does most")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Counts everything and compares it with what is kept
    Check {
        /// The kept counts
        file: PathBuf,
    },
    /// Counts everything and keeps it
    Update {
        /// Where
        file: PathBuf,
    },
    /// Does so many units of work, for whoever counts
    Perform {
        /// Which work
        workload: Workload,
        /// How many units
        units: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().what {
        What::Check { file } => check(&file),
        What::Update { file } => update(&file).map(|()| true),
        What::Perform { workload, units } => {
            workload.perform(units);
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// False when something costs more than it did.
fn check(file: &Path) -> Result<bool, String> {
    let kept = Kept::read(file)?;
    let mut acceptable = true;
    for &workload in Workload::all() {
        let count = count(workload)?;
        let verdict = kept.judge(workload, count);
        let before = kept.instructions.get(workload.name()).map(u64::to_string).unwrap_or_default();
        println!("{:<16} {count:>9} instructions, kept {before:>9} {}", workload.name(), verdict.words());
        acceptable &= verdict.is_acceptable();
    }
    Ok(acceptable)
}

fn update(file: &Path) -> Result<(), String> {
    let mut kept = Kept::default();
    for &workload in Workload::all() {
        let count = count(workload)?;
        println!("{:<16} {count:>9} instructions", workload.name());
        kept.instructions.insert(workload.name().to_owned(), count);
    }
    kept.write(file)
}

fn count(workload: Workload) -> Result<u64, String> {
    callgrind::instructions_per_unit(workload).map(|count| count.round() as u64)
}
