//! Starting and ending everything.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::process::{self, Process, Signal};
use super::state::{Node, State};
use super::{client, demo, servers};
use crate::run::{Failure, shown};
use crate::workspace::Workspace;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Builds the program and says where it is.
pub(super) fn build(workspace: &Workspace, release: bool) -> Result<PathBuf, Failure> {
    let mut command = workspace.cargo();
    command.args(["build", "--quiet", "--package", "agentcal"]);
    if release {
        command.arg("--release");
    }
    shown(&mut command)?;
    Ok(workspace.target.join(if release { "release" } else { "debug" }).join("agentcal"))
}

/// Starts all of it, and returns when every node is ready. What was started is kept at every step.
pub(super) fn up(workspace: &Workspace, state: &mut State) -> Result<(), Failure> {
    state.save(workspace)?;
    servers::start_postgres(workspace, state)?;
    servers::start_redis(workspace, state)?;
    shown(agentcal(state).arg("migrate"))?;
    for at in 0..state.nodes.len() {
        spawn_node(workspace, state, at)?;
    }
    state.nodes.iter().try_for_each(until_ready)
}

/// Starts one node and returns when it is ready.
pub(super) fn start_node(workspace: &Workspace, state: &mut State, at: usize) -> Result<(), Failure> {
    spawn_node(workspace, state, at)?;
    until_ready(&state.nodes[at])
}

/// Ends all of it and removes its data; logs stay.
pub(super) fn down(workspace: &Workspace, state: &State) -> Result<(), Failure> {
    let nodes: Vec<&Process> = state.nodes.iter().filter_map(|node| node.process.as_ref()).collect();
    for node in nodes.iter().filter(|node| node.lives()) {
        // All at once, so that they need not wait for each other; what is paused hears it when it is let go.
        node.send(Signal::Terminate)?;
        node.send(Signal::Continue)?;
    }
    nodes.iter().try_for_each(|node| node.end(Signal::Terminate))?;
    let servers = [&state.redis.process, &state.postgres.process];
    servers.into_iter().flatten().try_for_each(|server| server.end(Signal::Interrupt))?;
    let removed = [fs::remove_dir_all(&state.data), fs::remove_file(demo::file(workspace))];
    for error in removed.into_iter().filter_map(Result::err) {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(Failure(format!("what the cluster left cannot be removed: {error}")));
        }
    }
    State::forget(workspace)
}

/// The program with the settings all nodes share, and none of those this was started with.
pub(super) fn agentcal(state: &State) -> Command {
    let mut command = Command::new(&state.binary);
    let foreign = std::env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("AGENTCAL_")) {
        command.env_remove(name);
    }
    let database = servers::postgres_url(state);
    let redis = format!("redis://{}", state.redis.address);
    // There is no proxy. Some node has to be the one that links lead to, and all of them have to name the same.
    let public_url = state.nodes[0].url();
    command.envs([
        ("AGENTCAL_DATABASE_URL", database.as_str()),
        ("AGENTCAL_REDIS_URL", &redis),
        ("AGENTCAL_ENCRYPTION_KEYS", &state.encryption_key),
        ("AGENTCAL_PEER_SECRET", &state.peer_secret),
        ("AGENTCAL_PUBLIC_URL", &public_url),
        // Calendar servers of this machine can be connected, as with `dev`.
        ("AGENTCAL_CALDAV_ALLOW_LOOPBACK", "true"),
        ("AGENTCAL_CALDAV_ALLOW_HTTP", "true"),
        ("AGENTCAL_CALDAV_PORTS", "any"),
    ]);
    command
}

fn spawn_node(workspace: &Workspace, state: &mut State, at: usize) -> Result<(), Failure> {
    let node = &state.nodes[at];
    let mut command = agentcal(state);
    command.env("AGENTCAL_LISTEN", node.address.to_string());
    command.env("AGENTCAL_INTERNAL_LISTEN", node.internal.to_string());
    command.env("AGENTCAL_NODE_URL", node.internal_url()).arg("serve");
    let process = Process::start(&command, &State::log(workspace, &node.name))?;
    state.nodes[at].process = Some(process);
    state.save(workspace)
}

fn until_ready(node: &Node) -> Result<(), Failure> {
    let ready = process::wait_for(READY_WITHIN, || match &node.process {
        Some(process) if process.lives() => client::is_ready(node.address).then_some(true),
        _ => Some(false),
    });
    match ready {
        Some(true) => Ok(()),
        Some(false) => Err(Failure(format!("{} ended instead of starting", node.name))),
        None => Err(Failure(format!("{} does not become ready", node.name))),
    }
}
