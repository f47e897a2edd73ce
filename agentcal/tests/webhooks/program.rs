//! The program, on a file or as some nodes on one PostgreSQL.

use std::path::PathBuf;
use std::process::Command;

use agentcal_testkit::{Dev, Durability, Node, Postgres, Redis, postgres, redis};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const DATABASE: &str = "agentcal";
const ENCRYPTION_KEYS: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PEER_SECRET: &str = "0123456789abcdef0123456789abcdef0123";

pub(crate) enum Program {
    /// `agentcal dev`.
    One(Box<Dev>),
    /// `agentcal serve`, so many times.
    Several(Box<Several>),
}

pub(crate) struct Several {
    /// Dropped first: nodes have no say in how servers end.
    nodes: Vec<Node>,
    variables: Vec<(String, String)>,
    secret_key: String,
    folder: TempDir,
    _servers: (Postgres, Redis),
}

impl Program {
    /// So many nodes; one is `agentcal dev`. `None` where a server is not installed.
    pub(crate) fn start(nodes: usize) -> Option<Self> {
        match nodes {
            1 => Some(Self::One(Box::new(Dev::start(BINARY)))),
            nodes => Several::start(nodes).map(Box::new).map(Self::Several),
        }
    }

    /// Where it answers: each node in turn.
    pub(crate) fn base_url(&self, turn: usize) -> String {
        match self {
            Self::One(dev) => dev.base_url().to_owned(),
            Self::Several(several) => several.nodes[turn % several.nodes.len()].base_url(),
        }
    }

    pub(crate) fn secret_key(&self) -> &str {
        match self {
            Self::One(dev) => &dev.info().secret_key,
            Self::Several(several) => &several.secret_key,
        }
    }

    /// Ends it, or one node of it, as a power cut would, and starts it again.
    pub(crate) fn kill(&mut self, turn: usize) {
        match self {
            Self::One(dev) => dev.restart(),
            Self::Several(several) => {
                let count = several.nodes.len();
                several.nodes[turn % count].start_again();
            }
        }
    }

    /// What a command says beside it.
    pub(crate) fn beside(&self, arguments: &[&str]) -> String {
        match self {
            Self::One(dev) => {
                let folder = dev.data_dir().to_str().expect("a name in UTF-8");
                said(&[], &[arguments, &["--data-dir", folder]].concat())
            }
            Self::Several(several) => said(&several.variables, arguments),
        }
    }

    /// Where mails are kept instead of sent.
    pub(crate) fn outboxes(&self) -> Vec<PathBuf> {
        match self {
            Self::One(dev) => vec![dev.data_dir().join("outbox")],
            Self::Several(several) => (0..several.nodes.len()).map(|index| outbox(&several.folder, index)).collect(),
        }
    }

    /// A folder for whatever is written down.
    pub(crate) fn folder(&self) -> PathBuf {
        match self {
            Self::One(dev) => dev.data_dir().to_owned(),
            Self::Several(several) => several.folder.path().to_owned(),
        }
    }
}

impl Several {
    fn start(count: usize) -> Option<Self> {
        let (postgres, redis) = (postgres(Durability::Full)?, redis()?);
        postgres.create_database(DATABASE);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let variables = variables(&postgres.url(DATABASE), &redis.url());
        said(&variables, &["migrate"]);
        let organization = said(&variables, &["org", "create", "--name", "Webhooks"]);
        let secret_key = said(&variables, &["key", "create", "--organization", &organization, "--mode", "test"]);
        let node = |index| {
            let outbox = outbox(&folder, index).to_str().expect("a name in UTF-8").to_owned();
            let own = [
                ("AGENTCAL_MAIL_OUTBOX".to_owned(), outbox),
                ("AGENTCAL_MAIL_FROM".to_owned(), "calendar@agentcal.example".to_owned()),
            ];
            Node::start(BINARY, &[&variables[..], &own].concat())
        };
        let nodes = (0..count).map(node).collect();
        Some(Self { nodes, variables, secret_key, folder, _servers: (postgres, redis) })
    }
}

/// A node's own.
fn outbox(folder: &TempDir, index: usize) -> PathBuf {
    folder.path().join(format!("outbox-{index}"))
}

/// What all nodes are told: as in production, but that webhooks may be here, and are tried again as soon as in `dev`.
fn variables(database: &str, cache: &str) -> Vec<(String, String)> {
    let variables = [
        ("AGENTCAL_DATABASE_URL", database),
        ("AGENTCAL_REDIS_URL", cache),
        ("AGENTCAL_ENCRYPTION_KEYS", ENCRYPTION_KEYS),
        ("AGENTCAL_PEER_SECRET", PEER_SECRET),
        ("AGENTCAL_WEBHOOKS_ALLOW_LOOPBACK", "true"),
        ("AGENTCAL_WEBHOOKS_ALLOW_HTTP", "true"),
        ("AGENTCAL_WEBHOOKS_PORTS", "any"),
        ("AGENTCAL_WEBHOOKS_RETRY_SECONDS", "1,2,3,5,10,30,60,300,600"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn said(variables: &[(String, String)], arguments: &[&str]) -> String {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AGENTCAL_")) {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints UTF-8").trim().to_owned()
}
