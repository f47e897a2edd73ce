//! Runs one simulation: `agentcal-sim --seed 7 --hours 5 --nodes 3`.

use std::io::Write;
use std::process::ExitCode;

use agentcal_sim::{NODES_MAX, PLANTED_NAMES, Plan, Planted, run};
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
    /// Nodes that share the work.
    #[arg(long, default_value_t = 3, value_parser = nodes)]
    nodes: usize,
    /// A guarantee the store breaks on purpose.
    #[arg(long, value_parser = planted)]
    plant: Vec<Planted>,
    /// Also finds what a node that is cut off cannot help: that it calls an answer complete which offers a time that was
    /// sold past it a moment ago.
    #[arg(long)]
    strict: bool,
    /// Prints every request with its answer.
    #[arg(long)]
    trace: bool,
}

fn planted(name: &str) -> Result<Planted, String> {
    let known = PLANTED_NAMES.iter().find(|(known, _)| *known == name).map(|(_, planted)| *planted);
    known.ok_or_else(|| format!("one of {}", PLANTED_NAMES.map(|(name, _)| name).join(", ")))
}

fn nodes(text: &str) -> Result<usize, String> {
    let known = text.parse().ok().filter(|nodes| (1..=NODES_MAX).contains(nodes));
    known.ok_or_else(|| format!("from 1 to {NODES_MAX}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut plan = Plan::new(arguments.seed, arguments.hours).on(arguments.nodes);
    plan.planted.extend(arguments.plant);
    plan.is_strict = arguments.strict;
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
