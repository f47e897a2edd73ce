//! The nodes, what they share, and the links between all of them.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use agentcal_engine::ids::AccountId;
use agentcal_testkit::{Durability, Node, Postgres, Redis, WAIT_MAX, postgres_with, redis, wait_for};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::link::Proxy;
use crate::origin::NUMBER_VARIABLE;
use crate::wire::Api;
use crate::world::World;
use crate::{audit, keep};

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
pub(crate) const DATABASE: &str = "agentcal";
pub(crate) const NODES: usize = 3;
const ENCRYPTION_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PEER_SECRET: &str = "0123456789abcdef0123456789abcdef0123";

/// Three nodes, a PostgreSQL and a Redis.
pub(crate) struct Cluster {
    /// Dropped first: nodes have no say in how servers end.
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
    pub(crate) links: Links,
    secret_key: String,
    /// How often each node was started.
    starts: Vec<u8>,
    /// Where clients may ask.
    living: watch::Sender<Vec<String>>,
}

/// The ways to nodes and servers, by node.
pub(crate) struct Links {
    /// From all the others to this one.
    pub(crate) peers: Vec<Proxy>,
    /// From this one to Redis.
    pub(crate) caches: Vec<Proxy>,
    /// From this one to PostgreSQL.
    pub(crate) databases: Vec<Proxy>,
}

impl Links {
    fn new(runtime: &Runtime, postgres: &Postgres, redis: &Redis) -> Self {
        let every = |make: &dyn Fn() -> Proxy| (0..NODES).map(|_| make()).collect();
        Self {
            peers: every(&|| Proxy::start(runtime, NODES)),
            caches: every(&|| Proxy::to(runtime, redis.address())),
            databases: every(&|| Proxy::to(runtime, postgres.address())),
        }
    }

    /// Everybody reaches everything.
    pub(crate) fn mend(&self) {
        for proxy in self.peers.iter().chain(&self.caches).chain(&self.databases) {
            proxy.mend();
        }
    }
}

impl Cluster {
    /// `None` when a server is not installed.
    pub(crate) fn start(runtime: &Runtime) -> Option<Self> {
        let (postgres, redis) = (postgres_with(Durability::Full, &audit::SETTINGS)?, redis()?);
        postgres.create_database(DATABASE);
        let shared = shared(&postgres.url(DATABASE), &redis.url());
        program(&shared, &["migrate"]);
        audit::install(&postgres);
        let organization = program(&shared, &["org", "create", "--name", "Nodes"]);
        let secret_key = program(&shared, &["key", "create", "--organization", &organization, "--mode", "test"]);
        let links = Links::new(runtime, &postgres, &redis);
        let living = watch::Sender::new(Vec::new());
        let mut cluster = Self { nodes: Vec::new(), redis, postgres, links, secret_key, starts: Vec::new(), living };
        for index in 0..NODES {
            cluster.starts.push(0);
            cluster.name_start(index);
            let node = Node::start(BINARY, &cluster.variables(index));
            cluster.links.peers[index].lead_to(Some(node.internal_address()));
            cluster.nodes.push(node);
        }
        cluster.show_all();
        Some(cluster)
    }

    pub(crate) fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    pub(crate) fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The first node alone, while nothing happens to it.
    pub(crate) fn api(&self) -> Api {
        Api::new(&self.secret_key, watch::Sender::new(Some(self.nodes[0].base_url())).subscribe())
    }

    /// Where clients may ask.
    pub(crate) fn living(&self) -> watch::Receiver<Vec<String>> {
        self.living.subscribe()
    }

    /// Keeps clients from a node.
    pub(crate) fn hide(&self, index: usize) {
        let gone = self.nodes[index].base_url();
        self.living.send_modify(|living| living.retain(|url| *url != gone));
    }

    /// Shows clients all nodes.
    pub(crate) fn show_all(&self) {
        self.living.send_replace(self.nodes.iter().map(Node::base_url).collect());
    }

    /// Ends a node as a power cut would.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].kill9();
        self.links.peers[index].lead_to(None);
    }

    /// Asks a node to end, and waits until it has.
    pub(crate) fn drain(&mut self, index: usize) {
        self.nodes[index].drain();
        self.links.peers[index].lead_to(None);
    }

    /// Starts a node that has ended.
    pub(crate) fn start_again(&mut self, index: usize) {
        self.name_start(index);
        self.nodes[index].start_again();
        self.links.peers[index].lead_to(Some(self.nodes[index].internal_address()));
    }

    /// The node that owns an account.
    pub(crate) fn owner(&self, world: &World) -> usize {
        let account_id: AccountId = world.account_id.parse().expect("the id of an account");
        let select = format!(
            "SELECT n.address FROM accounts a JOIN shards s ON s.shard = a.shard JOIN nodes n ON n.node_id = s.owner \
             WHERE a.account_id = '{}'",
            account_id.as_uuid()
        );
        wait_for("an owner", WAIT_MAX, || {
            let address = self.postgres.execute(DATABASE, &select);
            (0..NODES).find(|&index| self.node_url(index) == address)
        })
    }

    /// Writes down what everybody has said.
    pub(crate) fn keep_logs(&self) -> PathBuf {
        let folder = keep::folder();
        for (index, node) in self.nodes.iter().enumerate() {
            keep::write(&format!("node-{index}.log"), &node.said());
        }
        keep::write("postgres.log", &self.postgres.said());
        keep::write("redis.log", &self.redis.said());
        folder
    }

    fn node_url(&self, index: usize) -> String {
        format!("http://{}", self.links.peers[index].address())
    }

    /// Has PostgreSQL see which node it is, and which life of it.
    fn name_start(&mut self, index: usize) {
        self.starts[index] = self.starts[index].checked_add(1).expect("a node is started less than 256 times");
        let number = u8::try_from(index).expect("few nodes") + 1;
        self.links.databases[index].come_from(Ipv4Addr::new(127, 0, self.starts[index], number));
    }

    fn variables(&self, index: usize) -> Vec<(String, String)> {
        let through = |url: String, to: std::net::SocketAddr, proxy: &Proxy| {
            url.replace(&to.to_string(), &proxy.address().to_string())
        };
        let (links, postgres, redis) = (&self.links, &self.postgres, &self.redis);
        let database = through(postgres.url(DATABASE), postgres.address(), &links.databases[index]);
        let cache = through(redis.url(), redis.address(), &links.caches[index]);
        let mut variables = shared(&database, &cache);
        variables.push(("AGENTCAL_NODE_URL".to_owned(), self.node_url(index)));
        variables.push((NUMBER_VARIABLE.to_owned(), index.to_string()));
        variables
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("what everybody said is in {}", self.keep_logs().display());
        }
    }
}

/// The node whose connections come from an address.
pub(crate) fn node_at(address: Ipv4Addr) -> usize {
    usize::from(address.octets()[3]) - 1
}

pub(crate) fn shared(database: &str, cache: &str) -> Vec<(String, String)> {
    let limits = ["PER_ORGANIZATION", "PER_SESSION", "PER_USER"].map(|what| format!("AGENTCAL_HOLDS_{what}_MAX"));
    let given = [
        ("AGENTCAL_DATABASE_URL", database),
        ("AGENTCAL_REDIS_URL", cache),
        ("AGENTCAL_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
        ("AGENTCAL_PEER_SECRET", PEER_SECRET),
    ];
    // Holds nobody comes back for stand until they run out; none of the limits shall be what stops the others.
    let limits = limits.iter().map(|name| (name.as_str(), "100000"));
    given.into_iter().chain(limits).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Runs a command of the program to its end, and returns what it printed.
pub(crate) fn program(variables: &[(String, String)], arguments: &[&str]) -> String {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AGENTCAL_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value))).args(arguments);
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
