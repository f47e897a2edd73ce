//! A Redis of a test's own, in a temporary folder on a spare port, without persistence.
//!
//! A shell stands between: it ends the server when its input ends, which happens however this process ends, and removes
//! the folder unless told to keep it.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::resp::{Reply, ask};
use crate::servers::spare_address;
use crate::skip_or_fail;
use crate::wait::{WAIT_MAX, wait_for};

const START_WITHIN: Duration = WAIT_MAX;
const STARTS_MAX: u32 = 3;
const PROGRAM: &str = "redis-server";
/// Runs `$@` in the folder `$0`, and ends it when the input ends.
const KEEPER: &str = r#"cd "$0"; "$@" & server=$!; echo "$server" > pid
said=$(cat); kill -9 "$server" 2> /dev/null; wait; [ "$said" = keep ] || rm -rf "$0""#;
/// Said to the keeper when the server is to be started again.
const KEEP: &[u8] = b"keep";

/// A server; stops, and its data goes, on drop.
pub struct Redis {
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<String>,
    keeper: Option<Child>,
}

/// A new server; `None` when Redis is not installed.
///
/// # Panics
/// When it is installed and does not start.
pub fn redis() -> Option<Redis> {
    redis_with(&[])
}

/// A new server with settings of its own, as on its command line: `["--maxmemory-policy", "allkeys-lru"]`.
///
/// # Panics
/// When it is installed and does not start.
pub fn redis_with(settings: &[&str]) -> Option<Redis> {
    let is_installed = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_installed {
        skip_or_fail("redis-server is not installed");
        return None;
    }
    let folder = tempfile::Builder::new().prefix("agentcal-redis-").tempdir();
    let folder = folder.expect("a temporary folder can be made");
    let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = Redis { folder, address, settings, keeper: None };
    let started = (0..STARTS_MAX).any(|_| {
        server.address = spare_address();
        server.try_start()
    });
    assert!(started, "Redis does not start:\n{}", server.said());
    Some(server)
}

impl Redis {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How clients name it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// What it has written to its log.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Sends one command and returns the answer.
    ///
    /// # Panics
    /// When none comes, or an error.
    pub fn command(&self, words: &[&str]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.command_of_bytes(&words)
    }

    /// The same with words that are not text.
    ///
    /// # Panics
    /// When no answer comes, or an error.
    pub fn command_of_bytes(&self, words: &[&[u8]]) -> Reply {
        match ask(self.address, words).expect("Redis answers") {
            Reply::Error(error) => panic!("Redis refuses: {error}"),
            reply => reply,
        }
    }

    /// Forgets all keys.
    pub fn flush(&self) {
        self.command(&["FLUSHALL"]);
    }

    /// Ends it as a crash would; its address stays, for [`Redis::start_again`]. What it held is gone.
    pub fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // A keeper that does not listen has ended.
            let _ = keeper.stdin.take().map(|mut stdin| stdin.write_all(KEEP));
            // The shell ends when the server has.
            let _ = keeper.wait();
        }
    }

    /// Starts it again where it was, empty.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "Redis does not start again:\n{}", self.said());
    }

    /// Keeps it from answering, while connections are still accepted by the system.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    /// Ends [`Redis::suspend`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = server_id(self.folder.path()).expect("it runs");
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} cannot be sent");
    }

    fn try_start(&mut self) -> bool {
        let folder = self.folder.path();
        let log =
            fs::File::options().create(true).append(true).open(folder.join("log")).expect("the log can be written");
        let _ = fs::remove_file(folder.join("pid"));
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).arg(folder).arg(PROGRAM);
        // Sentinel wants a file to write its findings to; the others begin with an empty one too.
        let file = folder.join("redis.conf");
        if !file.exists() {
            fs::write(&file, "").expect("a file in a temporary folder can be written");
        }
        command.arg(file).args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(folder).args(["--save", "", "--appendonly", "no"]).args(&self.settings);
        let errors = log.try_clone().expect("a file handle can be cloned");
        command.stdin(Stdio::piped()).stdout(log).stderr(errors);
        self.keeper = Some(command.spawn().expect("a shell starts"));
        wait_for("Redis", START_WITHIN, || self.state())
    }

    /// Whether it answers; `None` while that is not clear.
    fn state(&self) -> Option<bool> {
        let id = server_id(self.folder.path())?;
        if !Path::new("/proc").join(id).exists() {
            return Some(false);
        }
        TcpStream::connect(self.address).ok()?;
        let answer = ask(self.address, &[b"PING"]).ok()?;
        (answer == Reply::Text("PONG".to_owned())).then_some(true)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn server_id(folder: &Path) -> Option<String> {
    let id = fs::read_to_string(folder.join("pid")).ok()?.trim().to_owned();
    (!id.is_empty()).then_some(id)
}

/// A cluster of three servers without replicas.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

/// A new cluster; `None` when Redis is not installed.
///
/// # Panics
/// When it is installed and does not become a cluster.
pub fn redis_cluster() -> Option<RedisCluster> {
    let node = || {
        let bus = spare_address().port().to_string();
        redis_with(&["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"])
    };
    let nodes = vec![node()?, node()?, node()?];
    for (node, slots) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
        node.command(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]);
        let port = node.address.port().to_string();
        let bus = node.settings[3].clone();
        nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }
    for node in &nodes {
        wait_for("the cluster", WAIT_MAX, || {
            let info = node.command(&["CLUSTER", "INFO"]).to_string();
            let is_whole = info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
            is_whole.then_some(())
        });
    }
    Some(RedisCluster { nodes })
}

impl RedisCluster {
    /// How clients name it: by one of its nodes.
    pub fn url(&self) -> String {
        format!("redis-cluster://{}", self.nodes[0].address)
    }

    /// Its servers.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }
}

/// A primary, its replica, and a sentinel that watches them.
pub struct RedisSentinel {
    servers: Vec<Redis>,
    sentinel: Redis,
}

/// The name under which the sentinel knows what it watches.
const SERVICE: &str = "agentcal";

/// A new set; `None` when Redis is not installed.
///
/// # Panics
/// When it is installed and does not start.
pub fn redis_sentinel() -> Option<RedisSentinel> {
    let primary = redis()?;
    let port = primary.address.port().to_string();
    let replica = redis_with(&["--replicaof", "127.0.0.1", &port])?;
    let sentinel = redis_with(&["--sentinel"])?;
    sentinel.command(&["SENTINEL", "MONITOR", SERVICE, "127.0.0.1", &port, "1"]);
    for (name, value) in [("down-after-milliseconds", "500"), ("failover-timeout", "2000")] {
        sentinel.command(&["SENTINEL", "SET", SERVICE, name, value]);
    }
    wait_for("the replica", WAIT_MAX, || {
        let info = replica.command(&["INFO", "replication"]).to_string();
        info.contains("master_link_status:up").then_some(())
    });
    wait_for("the sentinel", WAIT_MAX, || {
        let known = sentinel.command(&["SENTINEL", "REPLICAS", SERVICE]).to_string();
        known.contains(&replica.address.port().to_string()).then_some(())
    });
    Some(RedisSentinel { servers: vec![primary, replica], sentinel })
}

impl RedisSentinel {
    /// How clients name it.
    pub fn url(&self) -> String {
        format!("redis-sentinel://{}?sentinelServiceName={SERVICE}", self.sentinel.address)
    }

    /// The primary and its replica, as they were at first.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// Who watches them.
    pub fn sentinel(&self) -> &Redis {
        &self.sentinel
    }

    /// Ends the primary as a crash would, and waits until the sentinel has made the replica one.
    pub fn fail_over(&mut self) {
        let old = self.servers[0].address.port().to_string();
        self.servers[0].stop();
        wait_for("another primary", WAIT_MAX, || {
            let now = self.sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).to_string();
            (!now.contains(&old)).then_some(())
        });
    }
}
