//! Runs one soak: `agentcal-soak --seed 7 --weeks 4 --calendars 200`.

use std::io::Write;
use std::process::ExitCode;

use agentcal_soak::{PLANTED_NAMES, Plan, Planted, run};
use clap::Parser;

#[derive(Parser)]
#[command(
    name = "agentcal-soak",
    about = "Soaks the product in weeks of virtual time, with fakes of Google and Microsoft 365"
)]
struct Arguments {
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulated weeks.
    #[arg(long, default_value_t = 4)]
    weeks: u32,
    /// Simulated days instead.
    #[arg(long, conflicts_with = "weeks")]
    days: Option<u32>,
    /// Calendars at each of the two providers.
    #[arg(long, default_value_t = 200)]
    calendars: u32,
    /// Nodes that share the work.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    nodes: u32,
    /// A bug, to see that it is found.
    #[arg(long, value_parser = planted)]
    plant: Option<Planted>,
}

fn planted(name: &str) -> Result<Planted, String> {
    let known = PLANTED_NAMES.iter().find(|(known, _)| *known == name).map(|(_, planted)| *planted);
    known.ok_or_else(|| format!("one of {}", PLANTED_NAMES.map(|(name, _)| name).join(", ")))
}

fn main() -> ExitCode {
    let Arguments { seed, weeks, days, calendars, nodes, plant } = Arguments::parse();
    let plan = Plan { nodes, planted: plant, ..Plan::new(seed, days.unwrap_or(weeks * 7), calendars) };
    let mut out = std::io::stdout().lock();
    match run(&plan, &mut out).and_then(|verdict| out.flush().map(|()| verdict)) {
        Ok(verdict) if verdict.holds() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
