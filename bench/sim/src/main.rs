//! Runs one simulation: `agentcal-sim --seed 7 --hours 5`.

use std::io::Write;
use std::process::ExitCode;

use agentcal_sim::{PLANTED_NAMES, Plan, Planted, run};
use clap::Parser;

#[derive(Parser)]
#[command(name = "agentcal-sim", about = "Runs the product on virtual time; the same seed gives the same bytes")]
struct Arguments {
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulated hours.
    #[arg(long, default_value_t = 5)]
    hours: u32,
    /// A guarantee the store breaks on purpose.
    #[arg(long, value_parser = planted)]
    plant: Vec<Planted>,
    /// Prints every request with its answer.
    #[arg(long)]
    trace: bool,
}

fn planted(name: &str) -> Result<Planted, String> {
    let known = PLANTED_NAMES.iter().find(|(known, _)| *known == name).map(|(_, planted)| *planted);
    known.ok_or_else(|| format!("one of {}", PLANTED_NAMES.map(|(name, _)| name).join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut plan = Plan::new(arguments.seed, arguments.hours);
    plan.planted.extend(arguments.plant);
    plan.is_traced = arguments.trace;
    let mut out = std::io::stdout().lock();
    match run(&plan, &mut out).and_then(|verdict| out.flush().map(|()| verdict)) {
        Ok(verdict) if verdict.is_pass() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
