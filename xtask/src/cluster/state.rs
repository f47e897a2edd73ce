//! What is kept of a cluster between two calls: where everything is, which processes it is, and its secrets.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::process::Process;
use crate::run::{Failure, asked};
use crate::workspace::Workspace;

/// A cluster.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The program.
    pub(super) binary: PathBuf,
    /// Where PostgreSQL has its data: outside the target folder, which the user it runs as may not be able to reach.
    pub(super) data: PathBuf,
    /// Password of both roles of the database.
    pub(super) password: String,
    /// What protects stored secrets.
    pub(super) encryption_key: String,
    /// What nodes show each other.
    pub(super) peer_secret: String,
    /// The database server.
    pub(super) postgres: Server,
    /// The cache.
    pub(super) redis: Server,
    /// The nodes, in order.
    pub(super) nodes: Vec<Node>,
}

/// A server the nodes share.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// As it was last started.
    pub(super) process: Option<Process>,
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// From 1.
    pub(super) number: u16,
    /// `node-1`.
    pub(super) name: String,
    /// Where its API listens.
    pub(super) address: SocketAddr,
    /// Where its metrics are and other nodes ask.
    pub(super) internal: SocketAddr,
    /// As it was last started.
    pub(super) process: Option<Process>,
}

impl Node {
    fn new(number: u16, address: SocketAddr, internal: SocketAddr, process: Option<Process>) -> Self {
        Self { number, name: format!("node-{number}"), address, internal, process }
    }

    /// What the other nodes reach it at.
    pub(super) fn internal_url(&self) -> String {
        format!("http://{}", self.internal)
    }

    /// What callers reach it at.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl State {
    /// A cluster that is still to be started, on ports nobody listens on.
    pub(super) fn new(workspace: &Workspace, binary: PathBuf, nodes: u16) -> Result<Self, Failure> {
        let folder = Self::folder(workspace);
        // Logs of an earlier cluster.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        let addresses = spare_addresses(2 + 2 * usize::from(nodes))?;
        let server = |at: usize| Server { address: addresses[at], process: None };
        let ports = addresses[2..].chunks_exact(2);
        let nodes = (1..=nodes).zip(ports).map(|(number, pair)| Node::new(number, pair[0], pair[1], None)).collect();
        let data = asked(Command::new("mktemp").args(["-d", "-t", "agentcal-cluster-XXXXXXXX"]));
        let data = data.ok_or_else(|| Failure("no temporary folder can be made".into()))?;
        let key = asked(Command::new("sh").args(["-c", "head -c 32 /dev/urandom | base64"]));
        let key = key.ok_or_else(|| Failure("no key can be made".into()))?;
        Ok(Self {
            binary,
            data: PathBuf::from(data.trim()),
            password: random_hex()?,
            encryption_key: format!("k1:{}", key.trim()),
            peer_secret: random_hex()?,
            postgres: server(0),
            redis: server(1),
            nodes,
        })
    }

    /// Where state and logs are.
    pub(super) fn folder(workspace: &Workspace) -> PathBuf {
        workspace.target.join("cluster")
    }

    /// The log of a server or node.
    pub(super) fn log(workspace: &Workspace, name: &str) -> PathBuf {
        Self::folder(workspace).join(format!("{name}.log"))
    }

    /// What was kept; `None` when nothing is.
    pub(super) fn load(workspace: &Workspace) -> Result<Option<Self>, Failure> {
        let path = file(workspace);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        let state = from_json(&value).ok_or_else(|| Failure(format!("{} is not what was written", path.display())))?;
        Ok(Some(state))
    }

    /// Keeps it, for its owner's eyes.
    pub(super) fn save(&self, workspace: &Workspace) -> Result<(), Failure> {
        write_private(&file(workspace), &to_json(self))
    }

    /// Forgets it. Logs stay.
    pub(super) fn forget(workspace: &Workspace) -> Result<(), Failure> {
        let path = file(workspace);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path, &error)),
            _ => Ok(()),
        }
    }

    /// Whether any process of it is there.
    pub(super) fn is_running(&self) -> bool {
        let servers = [&self.postgres.process, &self.redis.process];
        servers.into_iter().chain(self.nodes.iter().map(|node| &node.process)).flatten().any(Process::lives)
    }

    /// One of its nodes.
    pub(super) fn node(&self, number: u16) -> Result<&Node, Failure> {
        let node = self.nodes.iter().find(|node| node.number == number);
        node.ok_or_else(|| Failure(format!("there is no node {number}; there are {}", self.nodes.len())))
    }
}

/// Writes JSON that only its owner may read, at once or not at all.
pub(super) fn write_private(path: &Path, value: &Value) -> Result<(), Failure> {
    let partial = path.with_extension("partial");
    let written =
        fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&partial).and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            writeln!(file, "{value:#}")?;
            fs::rename(&partial, path)
        });
    written.map_err(|error| failed(path, &error))
}

fn file(workspace: &Workspace) -> PathBuf {
    State::folder(workspace).join("state.json")
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("{}: {error}", path.display()))
}

/// All are kept until the last is known, so that no two are the same.
fn spare_addresses(count: usize) -> Result<Vec<SocketAddr>, Failure> {
    let listeners: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let addresses = listeners.and_then(|all| all.iter().map(TcpListener::local_addr).collect());
    addresses.map_err(|error| Failure(format!("no spare port: {error}")))
}

/// 32 bytes nobody can guess.
fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0u8; 32];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Failure(format!("/dev/urandom: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn to_json(state: &State) -> Value {
    let process = |process: &Option<Process>| process.as_ref().map(Process::to_json);
    let server = |server: &Server| json!({"address": server.address.to_string(), "process": process(&server.process)});
    let node = |node: &Node| {
        let (address, internal) = (node.address.to_string(), node.internal.to_string());
        json!({"number": node.number, "address": address, "internal": internal, "process": process(&node.process)})
    };
    json!({
        "binary": state.binary, "data": state.data, "password": state.password,
        "encryption_key": state.encryption_key, "peer_secret": state.peer_secret,
        "postgres": server(&state.postgres), "redis": server(&state.redis),
        "nodes": state.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn from_json(value: &Value) -> Option<State> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let address = |value: &Value| value.as_str()?.parse::<SocketAddr>().ok();
    let server = |value: &Value| {
        Some(Server { address: address(&value["address"])?, process: Process::from_json(&value["process"]) })
    };
    let node = |value: &Value| {
        let number = u16::try_from(value["number"].as_u64()?).ok()?;
        let process = Process::from_json(&value["process"]);
        Some(Node::new(number, address(&value["address"])?, address(&value["internal"])?, process))
    };
    Some(State {
        binary: PathBuf::from(text("binary")?),
        data: PathBuf::from(text("data")?),
        password: text("password")?,
        encryption_key: text("encryption_key")?,
        peer_secret: text("peer_secret")?,
        postgres: server(&value["postgres"])?,
        redis: server(&value["redis"])?,
        nodes: value["nodes"].as_array()?.iter().map(node).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::{Node, Server, State, from_json, spare_addresses, to_json};
    use crate::cluster::process::Process;

    #[test]
    fn what_is_kept_is_read_again() {
        let at = spare_addresses(4).expect("ports can be had");
        let process = Process::from_json(&json!({"pid": 42, "born": 4711}));
        assert!(process.is_some());
        let state = State {
            binary: PathBuf::from("/somewhere/agentcal"),
            data: PathBuf::from("/somewhere/else"),
            password: "p".into(),
            encryption_key: "k".into(),
            peer_secret: "s".into(),
            postgres: Server { address: at[0], process: process.clone() },
            redis: Server { address: at[1], process: None },
            nodes: vec![Node::new(1, at[2], at[3], process)],
        };
        let again = from_json(&to_json(&state)).expect("it was just written");
        assert_eq!(to_json(&again), to_json(&state));
        assert_eq!(again.nodes[0].name, "node-1");
        assert!(from_json(&json!({"nodes": []})).is_none());
    }

    #[test]
    fn no_two_spare_addresses_are_the_same() {
        let mut addresses = spare_addresses(32).expect("ports can be had");
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 32);
    }
}
