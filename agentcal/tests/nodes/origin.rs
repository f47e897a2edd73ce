//! Which node a connection comes from, as Linux knows it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// What a node's environment says about which one it is: `name=number`.
pub(crate) const NUMBER_VARIABLE: &str = "NODE_NUMBER";
/// Name of the program, as the system keeps it.
const PROGRAM: &str = "agentcal";
/// Number of the column with a socket's inode in the system's list of connections.
const INODE_COLUMN: usize = 9;

/// The number of the node whose socket connects these; `None` when it has gone.
pub(crate) fn origin(from: SocketAddr, to: SocketAddr) -> Option<usize> {
    let socket = format!("socket:[{}]", inode(from, to)?);
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let mut nodes = processes.filter(|process| is_named(process, PROGRAM));
    nodes.find_map(|process| has_open(&process, &socket).then(|| number(&process)).flatten())
}

fn inode(from: SocketAddr, to: SocketAddr) -> Option<String> {
    let (from, to) = (spelled(from)?, spelled(to)?);
    let list = fs::read_to_string("/proc/net/tcp").ok()?;
    let mut lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|columns| columns.get(1) == Some(&from.as_str()) && columns.get(2) == Some(&to.as_str()))?;
    line.get(INODE_COLUMN).map(|inode| (*inode).to_owned())
}

/// As the list has it: the address in the machine's own order of bytes.
fn spelled(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
}

fn is_named(process: &Path, name: &str) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|said| said.trim() == name)
}

fn has_open(process: &Path, socket: &str) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().filter_map(Result::ok);
    let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    open.any(|open| open.to_str() == Some(socket))
}

fn number(process: &Path) -> Option<usize> {
    let environment = fs::read(process.join("environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    variables.find_map(|variable| variable.strip_prefix(NUMBER_VARIABLE)?.strip_prefix('=')?.parse().ok())
}
