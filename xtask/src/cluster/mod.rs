//! A whole cluster on this machine: a PostgreSQL, a Redis and some nodes as plain processes that go on after this ends.

mod client;
mod demo;
mod launch;
mod process;
mod servers;
mod state;

use clap::Subcommand;

use crate::run::Failure;
use crate::workspace::Workspace;
use process::Signal;
use state::State;

/// As many as the database's connections are enough for.
const NODES_MAX: u16 = 15;

/// What to do with the cluster.
#[derive(Subcommand)]
pub(crate) enum ClusterTask {
    /// Starts PostgreSQL, Redis and nodes, makes demo data and writes cluster.json into the target folder.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
        nodes: u16,
        /// Nodes built with optimisation, to measure them.
        #[arg(long)]
        release: bool,
    },
    /// Ends a node as a power cut would (SIGKILL).
    Kill(NodeNumber),
    /// Starts a node that ended, with the program as it is built now.
    Start(NodeNumber),
    /// Asks a node to hand over and end (SIGTERM), and waits until it has.
    Stop(NodeNumber),
    /// Keeps a node from running (SIGSTOP), as a machine that hangs would.
    Pause(NodeNumber),
    /// Ends a pause (SIGCONT).
    Resume(NodeNumber),
    /// Says how everything is, and how many shards each node owns.
    Status,
    /// Ends everything and removes its data.
    Down,
}

/// Which node.
#[derive(clap::Args)]
pub(crate) struct NodeNumber {
    /// Its number; the first is 1.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    number: u16,
}

/// Does it.
pub(crate) fn run(workspace: &Workspace, task: &ClusterTask) -> Result<(), Failure> {
    match task {
        ClusterTask::Up { nodes, release } => up(workspace, *nodes, *release),
        ClusterTask::Kill(node) => signal(workspace, node, Signal::Kill),
        ClusterTask::Pause(node) => signal(workspace, node, Signal::Stop),
        ClusterTask::Resume(node) => signal(workspace, node, Signal::Continue),
        ClusterTask::Stop(node) => stop(workspace, node),
        ClusterTask::Start(node) => start(workspace, node),
        ClusterTask::Status => status(workspace),
        ClusterTask::Down => down(workspace),
    }
}

fn up(workspace: &Workspace, nodes: u16, release: bool) -> Result<(), Failure> {
    if let Some(old) = State::load(workspace)? {
        // Without the file, an earlier start was interrupted.
        if old.is_running() && demo::file(workspace).exists() {
            println!("the cluster is up already:");
            return show(&old);
        }
        launch::down(workspace, &old)?;
    }
    crate::servers::ensure()?;
    let binary = launch::build(workspace, release)?;
    let mut state = State::new(workspace, binary, nodes)?;
    let made = launch::up(workspace, &mut state).and_then(|()| demo::load(workspace, &state));
    if let Err(failure) = made {
        let logs = State::folder(workspace);
        let ended = launch::down(workspace, &state).err().map(|failure| format!("; {failure}")).unwrap_or_default();
        return Err(Failure(format!("{failure}; the logs are in {}{ended}", logs.display())));
    }
    println!("the cluster is up; {} says how to ask it", demo::file(workspace).display());
    show(&state)
}

fn signal(workspace: &Workspace, node: &NodeNumber, signal: Signal) -> Result<(), Failure> {
    let state = running(workspace)?;
    let node = state.node(node.number)?;
    let process = node.process.as_ref().filter(|process| process.lives());
    let process = process.ok_or_else(|| Failure(format!("{} does not run", node.name)))?;
    process.send(signal)?;
    println!("{}: SIG{}", node.name, signal.name());
    Ok(())
}

fn stop(workspace: &Workspace, node: &NodeNumber) -> Result<(), Failure> {
    let state = running(workspace)?;
    let node = state.node(node.number)?;
    let process = node.process.as_ref().filter(|process| process.lives());
    let process = process.ok_or_else(|| Failure(format!("{} does not run", node.name)))?;
    process.end(Signal::Terminate)?;
    println!("{}: ended", node.name);
    Ok(())
}

fn start(workspace: &Workspace, node: &NodeNumber) -> Result<(), Failure> {
    let mut state = running(workspace)?;
    let node = state.node(node.number)?.clone();
    if node.process.as_ref().is_some_and(process::Process::lives) {
        return Err(Failure(format!("{} runs already", node.name)));
    }
    launch::start_node(workspace, &mut state, usize::from(node.number - 1))?;
    println!("{}: ready", node.name);
    Ok(())
}

fn status(workspace: &Workspace) -> Result<(), Failure> {
    match State::load(workspace)? {
        Some(state) => show(&state),
        None => {
            println!("the cluster is down");
            Ok(())
        }
    }
}

fn down(workspace: &Workspace) -> Result<(), Failure> {
    match State::load(workspace)? {
        Some(state) => launch::down(workspace, &state)?,
        None => println!("the cluster was not up"),
    }
    println!("the cluster is down");
    Ok(())
}

fn running(workspace: &Workspace) -> Result<State, Failure> {
    State::load(workspace)?.ok_or_else(|| Failure("the cluster is down; `cargo xtask cluster up` starts it".into()))
}

fn show(state: &State) -> Result<(), Failure> {
    for (name, server) in [("postgres", &state.postgres), ("redis", &state.redis)] {
        println!("{name:<9} {:<22} {}", server.address.to_string(), process::describe(server.process.as_ref()));
    }
    let owned = servers::shards_by_address(state);
    for node in &state.nodes {
        let ready = if client::is_ready(node.address) { "ready" } else { "not ready" };
        let shards = owned.get(&node.internal_url()).copied().unwrap_or_default();
        let process = process::describe(node.process.as_ref());
        println!("{:<9} {:<22} {process}, {ready}, {shards} shards", node.name, node.address.to_string());
    }
    Ok(())
}
