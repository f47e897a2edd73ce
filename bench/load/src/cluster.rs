//! A PostgreSQL and a Redis on spare ports, the data set in the one, and nodes on both.

use std::path::{Path, PathBuf};

use agentcal_engine::ids::AccountId;
use agentcal_testkit::{Durability, Postgres, Redis, postgres, redis};
use tempfile::TempDir;

use crate::data::{Data, Person};
use crate::drive::runtime;
use crate::node::Node;
use crate::progress::Progress;

/// The database that nodes work on.
const DATABASE: &str = "measured";
/// A copy of it, made before any node worked on it.
const CEILING: &str = "ceiling";

/// The servers, and what is written there. All of it ends, and its data goes, on drop.
pub(crate) struct Cluster {
    // Nodes end before their servers.
    nodes: Vec<Node>,
    pub(crate) data: Data,
    postgres: Postgres,
    redis: Redis,
    binary: PathBuf,
    _folder: TempDir,
}

impl Cluster {
    /// Starts the servers with settings as in production, forced to disk, and writes the data set.
    pub(crate) fn build(binary: &Path, progress: &Progress) -> Result<Self, String> {
        progress.step("starting PostgreSQL and Redis, and writing the data set");
        let missing = |what: &str| format!("{what} is not installed; `cargo xtask test` installs it");
        let postgres = postgres(Durability::Full).ok_or_else(|| missing("PostgreSQL"))?;
        let redis = redis().ok_or_else(|| missing("Redis"))?;
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        postgres.create_database(DATABASE);
        let data = runtime()?.block_on(Data::write_to_postgres(folder.path(), postgres.url(DATABASE)))?;
        postgres.copy_database(DATABASE, CEILING);
        for database in [DATABASE, CEILING] {
            postgres.execute(database, "VACUUM ANALYZE");
        }
        Ok(Self { nodes: Vec::new(), data, postgres, redis, binary: binary.to_owned(), _folder: folder })
    }

    /// Starts one more node.
    pub(crate) fn start_node(&mut self) -> Result<(), String> {
        let redis = self.redis.url();
        let settings = [("AGENTCAL_REDIS_URL", redis.as_str()), ("AGENTCAL_PEER_SECRET", PEER_SECRET)];
        let log = format!("node-{}.log", self.nodes.len() + 1);
        self.nodes.push(Node::start_with(&self.binary, &self.data, &log, &settings)?);
        Ok(())
    }

    /// The nodes, in the order they were started.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The server.
    pub(crate) fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// What a query on the database of the nodes prints, as its administrator.
    pub(crate) fn ask(&self, query: &str) -> String {
        self.postgres.execute(DATABASE, query)
    }

    /// The same on the copy nobody works on.
    pub(crate) fn ask_ceiling(&self, query: &str) -> String {
        self.postgres.execute(CEILING, query)
    }

    /// The copy, for a client without privileges.
    pub(crate) fn ceiling_url(&self) -> String {
        self.postgres.url(CEILING)
    }

    /// People whose accounts are in shards of a node, as the database has it.
    pub(crate) fn people_of(&self, node: &Node) -> Vec<Person> {
        let address = node.internal_address();
        let owned = self.ask(&format!(
            "SELECT a.account_id FROM accounts AS a JOIN shards AS s USING (shard) JOIN nodes AS n ON n.node_id = s.owner \
             WHERE n.address LIKE '%{address}'"
        ));
        let owned: Vec<&str> = owned.lines().collect();
        let uuid_of = |person: &Person| Some(person.account_id.parse::<AccountId>().ok()?.as_uuid().to_string());
        let is_owned = |person: &&Person| uuid_of(person).is_some_and(|id| owned.contains(&id.as_str()));
        self.data.people.iter().filter(is_owned).cloned().collect()
    }

    /// An error, and what the nodes last said.
    pub(crate) fn told(&self, error: &str) -> String {
        let logs: Vec<String> = self.nodes.iter().map(Node::last_words).collect();
        format!("{error}\nthe nodes' last lines:\n{}", logs.join("\n"))
    }
}

/// Of a cluster that lives for some minutes on one machine.
const PEER_SECRET: &str = "measured-measured-measured-measured-measured";
