//! Two nodes, one key: together they let through what it may ask, with Redis, without it, and when it is back.
//!
//! Lesson: a limit of each node is as many limits as there are nodes.

use std::process::Command;

use agentcal_testkit::{Durability, Node, Postgres, Redis, WAIT_MAX, postgres, redis, wait_for};
use reqwest::Client;
use tokio::time::Instant;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");
const DATABASE: &str = "agentcal";
/// One request comes back in ten seconds, so that how fast this machine is makes little difference.
const PER_MINUTE: u32 = 6;
const BURST: u32 = 40;
/// How often it is tried to find Redis answering each time.
const TRIES_MAX: usize = 20;

struct Bed {
    nodes: Vec<Node>,
    redis: Redis,
    postgres: Postgres,
    http: Client,
    variables: Vec<(String, String)>,
    organization: String,
    key: String,
}

#[test]
fn nodes_share_a_limit_and_have_fair_shares_without_redis() {
    let Some(mut bed) = Bed::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    // Redis counts where it answered each time, which on a busy machine takes another try, with a key of its own.
    let (together, began) = (0..TRIES_MAX)
        .find_map(|_| {
            bed.key = bed.new_key();
            let (began, alone) = (Instant::now(), runtime.block_on(bed.judged_alone()));
            let together = runtime.block_on(bed.ask_all(2 * BURST));
            (runtime.block_on(bed.judged_alone()) == alone).then_some((together, began))
        })
        .expect("a Redis that answers in time");
    // Each node may hold a batch that it then lacks requests for, of an eighth of the burst.
    bed.check("together", together, BURST - 2 * BURST / 8, BURST, began);

    bed.redis.stop();
    let began = Instant::now();
    let shares = [0, 1].map(|node| {
        // Until the node tries again it still knows that there was nothing.
        let allowed = || runtime.block_on(bed.ask(node)).is_ok();
        wait_for("a node's own share", WAIT_MAX, || allowed().then_some(()));
        1 + runtime.block_on(bed.ask_often(node, BURST))
    });
    for share in shares {
        bed.check("alone", share, BURST / 2 - BURST / 8, BURST / 2, began);
    }

    bed.redis.start_again();
    let began = Instant::now();
    // A server that was away knows of nothing, so that what one node gets is more than its share.
    let left = || runtime.block_on(bed.ask(0)).unwrap_or_default();
    wait_for("a common bucket", WAIT_MAX, || (left() > BURST / 2).then_some(()));
    let alone = runtime.block_on(bed.judged_alone());
    let again = runtime.block_on(bed.ask_all(2 * BURST));
    // What Redis did not answer in time came out of the nodes' own shares.
    let shares = if runtime.block_on(bed.judged_alone()) == alone { 0 } else { BURST };
    bed.check("together again", again, BURST / 2, BURST + shares, began);
}

impl Bed {
    fn start() -> Option<Self> {
        let (postgres, redis) = (postgres(Durability::Full)?, redis()?);
        postgres.create_database(DATABASE);
        let variables: Vec<(String, String)> = [
            ("AGENTCAL_DATABASE_URL", postgres.url(DATABASE)),
            ("AGENTCAL_REDIS_URL", redis.url()),
            ("AGENTCAL_ENCRYPTION_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
            ("AGENTCAL_PEER_SECRET", "0123456789abcdef0123456789abcdef0123".to_owned()),
            ("AGENTCAL_LIMIT_KEY_PER_MINUTE", PER_MINUTE.to_string()),
            ("AGENTCAL_LIMIT_KEY_BURST", BURST.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        program(&variables, &["migrate"]);
        let organization = program(&variables, &["org", "create", "--name", "Limits"]);
        drop(rustls::crypto::ring::default_provider().install_default());
        let nodes = (0..2).map(|_| Node::start(BINARY, &variables)).collect();
        let bed = Self { nodes, redis, postgres, http: Client::new(), variables, organization, key: String::new() };
        bed.wait_for_each_other();
        Some(bed)
    }

    fn new_key(&self) -> String {
        program(&self.variables, &["key", "create", "--organization", &self.organization, "--mode", "test"])
    }

    /// How often the nodes judged limits without Redis so far.
    async fn judged_alone(&self) -> u64 {
        let mut count = 0;
        for node in &self.nodes {
            let answer = self.http.get(format!("{}/metrics", node.internal_url())).send().await.expect("an answer");
            let metrics = answer.text().await.expect("a whole answer");
            let alone = metrics.lines().filter(|line| line.starts_with("agentcal_limits_alone_total{"));
            let counts = alone.filter_map(|line| line.rsplit(' ').next());
            count += counts.map(|number| number.parse::<u64>().expect("a counter counts")).sum::<u64>();
        }
        count
    }

    /// The first node knows of the second when it gives something to it, and the second found the first when it came.
    fn wait_for_each_other(&self) {
        let owners = || self.postgres.execute(DATABASE, "SELECT count(DISTINCT owner) FROM shards");
        wait_for("both nodes own something", WAIT_MAX, || (owners() == "2").then_some(()));
    }

    /// What one answer says is left, or how long to wait.
    async fn ask(&self, node: usize) -> Result<u32, u64> {
        let url = format!("{}/v1/accounts", self.nodes[node].base_url());
        let answer = self.http.get(url).bearer_auth(&self.key).send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
        assert_eq!(header("ratelimit-policy"), "\"burst\";q=40, \"sustained\";q=6;w=60");
        let number = |text: &str| text.split([';', '=']).nth(2).and_then(|number| number.parse().ok());
        match answer.status().as_u16() {
            200 => Ok(number(header("ratelimit")).expect("what is left")),
            429 => Err(header("retry-after").parse().expect("seconds")),
            other => panic!("answered {other}"),
        }
    }

    async fn ask_often(&self, node: usize, times: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..times {
            allowed += u32::from(self.ask(node).await.is_ok());
        }
        allowed
    }

    /// Both nodes, some at once.
    async fn ask_all(&self, times: u32) -> u32 {
        let mut allowed = 0;
        for _ in 0..times / 4 {
            let (a, b, c, d) = tokio::join!(self.ask(0), self.ask(1), self.ask(0), self.ask(1));
            allowed += [a, b, c, d].iter().map(|answer| u32::from(answer.is_ok())).sum::<u32>();
        }
        allowed
    }

    /// Between the least and the most, and what came back since.
    fn check(&self, what: &str, allowed: u32, least: u32, most: u32, began: Instant) {
        let back = u32::try_from((began.elapsed().as_secs() + 1) * u64::from(PER_MINUTE) / 60).expect("few") + 1;
        assert!((least..=most + back).contains(&allowed), "{what}: {allowed}, of {least} to {most} and {back}");
    }
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
