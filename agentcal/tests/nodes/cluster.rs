//! The nodes and what they share.

use std::process::Command;

use agentcal_engine::ids::AccountId;
use agentcal_testkit::{Durability, Node, Postgres, Redis, WAIT_MAX, postgres, redis, wait_for};
use tokio::sync::watch;

use crate::wire::Api;
use crate::world::World;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
pub(crate) const DATABASE: &str = "agentcal";
const NODES: usize = 3;
const ENCRYPTION_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PEER_SECRET: &str = "0123456789abcdef0123456789abcdef0123";

/// Three nodes, a PostgreSQL and a Redis.
pub(crate) struct Cluster {
    /// Dropped first: nodes have no say in how servers end.
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
    secret_key: String,
    /// Where clients may ask.
    living: watch::Sender<Vec<String>>,
}

impl Cluster {
    /// `None` when a server is not installed.
    pub(crate) fn start() -> Option<Self> {
        let (postgres, redis) = (postgres(Durability::Full)?, redis()?);
        postgres.create_database(DATABASE);
        let variables = variables(&postgres, &redis);
        program(&variables, &["migrate"]);
        let organization = program(&variables, &["org", "create", "--name", "Nodes"]);
        let secret_key = program(&variables, &["key", "create", "--organization", &organization, "--mode", "test"]);
        let nodes: Vec<Node> = (0..NODES).map(|_| Node::start(BINARY, &variables)).collect();
        let living = watch::Sender::new(nodes.iter().map(Node::base_url).collect());
        Some(Self { nodes, redis, postgres, secret_key, living })
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
            self.nodes.iter().position(|node| node.internal_url() == address)
        })
    }
}

fn variables(postgres: &Postgres, redis: &Redis) -> Vec<(String, String)> {
    let limits = ["PER_ORGANIZATION", "PER_SESSION", "PER_USER"].map(|what| format!("AGENTCAL_HOLDS_{what}_MAX"));
    let (database, cache) = (postgres.url(DATABASE), redis.url());
    let given = [
        ("AGENTCAL_DATABASE_URL", database.as_str()),
        ("AGENTCAL_REDIS_URL", &cache),
        ("AGENTCAL_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
        ("AGENTCAL_PEER_SECRET", PEER_SECRET),
    ];
    // Holds nobody comes back for stand until they run out; none of the limits shall be what stops the others.
    let limits = limits.iter().map(|name| (name.as_str(), "100000"));
    given.into_iter().chain(limits).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Runs a command of the program to its end, and returns what it printed.
fn program(variables: &[(String, String)], arguments: &[&str]) -> String {
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
