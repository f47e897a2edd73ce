//! What an administrator of several nodes is told: of nodes that cannot be asked, of clocks, of a restore.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use agentcal_testkit::{Durability, Node, Postgres, Redis, WAIT_MAX, postgres, redis, wait_for};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Caller, PROGRAM, Said, run, today};

const DATABASE: &str = "agentcal";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210fedc";

pub(crate) struct Cluster {
    postgres: Postgres,
    redis: Redis,
}

impl Cluster {
    /// Servers and a schema; `None` when a server is not installed.
    pub(crate) fn migrated() -> Option<Self> {
        let cluster = Self { postgres: postgres(Durability::Full)?, redis: redis()? };
        cluster.migrate(DATABASE);
        Some(cluster)
    }

    fn migrate(&self, database: &str) {
        self.postgres.create_database(database);
        let said = self.run(&["migrate"], &[("AGENTCAL_DATABASE_URL", &self.postgres.url(database))]);
        assert!(said.success, "{}", said.err);
    }

    fn variables(&self, changed: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = [
            ("AGENTCAL_DATABASE_URL", self.postgres.url(DATABASE)),
            ("AGENTCAL_REDIS_URL", self.redis.url()),
            ("AGENTCAL_ENCRYPTION_KEYS", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
            ("AGENTCAL_PEER_SECRET", SECRET.to_owned()),
            ("AGENTCAL_PUBLIC_URL", "https://cal.example.com".to_owned()),
            ("AGENTCAL_LISTEN", "127.0.0.1:0".to_owned()),
            ("AGENTCAL_INTERNAL_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let kept = variables.into_iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let changed = changed.iter().map(|&(name, value)| (name, value.to_owned()));
        kept.chain(changed).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(crate) fn node(&self, changed: &[(&str, &str)]) -> Node {
        Node::start(PROGRAM, &self.variables(changed))
    }

    pub(crate) fn run(&self, arguments: &[&str], changed: &[(&str, &str)]) -> Said {
        let variables = self.variables(changed);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(arguments, &variables)
    }

    /// What the doctor says, with every one of the lines in it.
    pub(crate) fn doctor(&self, changed: &[(&str, &str)], is_healthy: bool, lines: &[&str]) {
        let said = self.run(&["doctor"], changed);
        for line in lines {
            assert!(said.out.lines().any(|said| said.contains(line)), "{changed:?}: `{line}` is not in\n{}", said.out);
        }
        assert_eq!(said.success, is_healthy, "{changed:?}: {}", said.out);
    }

    /// A number from the database.
    pub(crate) fn count(&self, select: &str) -> u64 {
        self.postgres.execute(DATABASE, select).parse().expect("a number")
    }

    /// A new key of a new organization.
    pub(crate) fn key(&self) -> String {
        let print = |arguments: &[&str]| {
            let said = self.run(arguments, &[]);
            assert!(said.success, "{arguments:?}: {}", said.err);
            said.out
        };
        let organization = print(&["org", "create", "--name", "Example Ltd"]);
        print(&["key", "create", "--organization", &organization, "--mode", "test"])
    }

    /// A row like that of a node that lives.
    fn pretend(&self, address: &str) {
        let row = "extract(epoch FROM clock_timestamp()) * 1000000 + 600000000";
        let insert = format!("INSERT INTO nodes VALUES (gen_random_uuid(), '{address}', 0, false, {row})");
        self.postgres.execute(DATABASE, &insert);
    }

    fn end_pretence(&self) {
        self.postgres.execute(DATABASE, "DELETE FROM nodes WHERE started_at = 0");
    }
}

#[tokio::test]
async fn nodes_that_cannot_be_asked_are_named_with_the_reason() {
    let Some(cluster) = Cluster::migrated() else { return };
    cluster.doctor(
        &[],
        true,
        &["ok    nodes           none lives", "ok    clock           this machine's clock is 0."],
    );
    let (first, mut second) = (cluster.node(&[]), cluster.node(&[]));
    cluster.doctor(&[], true, &["ok    nodes           2 live and answer"]);
    // A node looks at Redis' clock once it is connected, which may be after it is ready.
    let (caller, began) = (Caller::new(&first.internal_url(), "none"), Instant::now());
    let told = r#"agentcal_redis_command_seconds_bucket{command=\"TIME\",le=\"0.1\"}"#;
    loop {
        let metrics = caller.get_ok("/metrics").await.to_string();
        if metrics.contains(told) {
            break;
        }
        assert!(began.elapsed() < WAIT_MAX, "without buckets, times cannot be added over nodes:\n{metrics}");
    }

    let unknown = ["it does not accept this node's secret"];
    cluster.doctor(&[("AGENTCAL_PEER_SECRET", OTHER_SECRET)], false, &unknown);

    // One that takes connections and answers nothing, and something that is no node.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a spare port");
    let mute = format!("http://{}", listener.local_addr().expect("an address"));
    cluster.pretend(&mute);
    cluster.pretend(&first.base_url());
    let cannot = |address: &str, why: &str| {
        format!("BAD   nodes           {address} lives, by its lease, and cannot be asked: {why}")
    };
    let lines = [
        "ok    nodes           2 live and answer",
        &cannot(&mute, "no answer in time"),
        &cannot(&first.base_url(), ""),
    ];
    cluster.doctor(&[], false, &lines);
    // Whoever joins says the same of them.
    let third = cluster.node(&[]);
    let says = format!("address=\"{}\"", first.base_url());
    wait_for("a word about a node that is none", WAIT_MAX, || third.said().contains(&says).then_some(()));
    drop(third);
    cluster.end_pretence();

    second.suspend();
    cluster.doctor(&[], false, &[&cannot(&second.internal_url(), "no answer in time")]);
    let refused = cannot(&second.internal_url(), "the connection was refused");
    second.kill9();
    cluster.doctor(&[], false, &[&refused]);
}

/// One file of settings for all nodes, or machines that each tell the others of their own loopback: the row says that a node
/// lives, and whoever asks it asks another.
#[test]
fn a_node_with_the_address_of_another_is_told_of() {
    const SAYS: &str = "another node answers at that address: AGENTCAL_NODE_URL must be each node's own";
    let Some(cluster) = Cluster::migrated() else { return };
    let first = cluster.node(&[]);
    let address = first.internal_url();
    cluster.doctor(&[], true, &["ok    nodes           one lives and answers"]);
    let second = cluster.node(&[("AGENTCAL_NODE_URL", &address)]);
    let bad = format!("BAD   nodes           {address} lives, by its lease, and cannot be asked: {SAYS}");
    cluster.doctor(&[], false, &["ok    nodes           one lives and answers", &bad]);
    // It reaches the other one well, and learns of it all the same.
    wait_for("a word about its own address", WAIT_MAX, || second.said().contains(SAYS).then_some(()));
}

/// What is listened on is not always where others can ask; `http` and `https` are not the same.
#[test]
fn an_address_nobody_can_ask_at_is_told_of() {
    const SAYS: &str = ", where none can: set AGENTCAL_NODE_URL to where they can";
    let Some(cluster) = Cluster::migrated() else { return };
    let everywhere = [("AGENTCAL_INTERNAL_LISTEN", "0.0.0.0:0")];
    cluster.doctor(
        &everywhere,
        true,
        &[&format!("warn  nodes           other nodes are told to reach this one at http://0.0.0.0:0{SAYS}")],
    );
    let nowhere = cluster.node(&[("AGENTCAL_NODE_URL", "http://0.0.0.0:9090")]);
    assert!(nowhere.said().contains(SAYS), "{}", nowhere.said());
    let on_loopback = cluster.node(&[]);
    assert!(!on_loopback.said().contains(SAYS), "{}", on_loopback.said());
    let said = cluster.run(&["serve"], &[("AGENTCAL_NODE_URL", "https://10.0.0.7:9090")]);
    assert!(
        !said.success && said.err.contains("AGENTCAL_NODE_URL (peers.url in the file): begins with"),
        "{}",
        said.err
    );
}

/// What `migrate` could not do, and a server that has no room: told by whoever looks, and refused before anything is served.
#[test]
fn a_server_without_the_extension_or_without_room_is_told_of() {
    let Some(cluster) = Cluster::migrated() else { return };
    let check = |database: &str, line: &str| {
        let url = cluster.postgres.url(database);
        let changed = [("AGENTCAL_DATABASE_URL", url.as_str())];
        cluster.doctor(&changed, false, &[line]);
        let said = cluster.run(&["serve"], &changed);
        let (_, says) = line.rsplit_once("  ").expect("a line of the doctor's");
        assert!(!said.success && said.err.contains(says), "{}", said.err);
    };
    cluster.postgres.create_database("bare");
    cluster.postgres.execute("bare", "ALTER DATABASE bare OWNER TO postgres");
    const MISSING: &str = "and they need the extension btree_gist, which is missing: install it on the server, or have an \
                           administrator create it; then run `agentcal migrate`";
    let pending = cluster.count("SELECT count(*) FROM _sqlx_migrations");
    check("bare", &format!("BAD   schema          the database lacks {pending} migrations of this version, {MISSING}"));
    let full = "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS \
                'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END'; \
                CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION refuse()";
    cluster.migrate("packed");
    cluster.postgres.execute("packed", full);
    check("packed", "BAD   durability      the server's disk is full: make room on it");
}

/// A clock that differs is told from a second on; more than nodes are known to bear is not served.
#[test]
fn clocks_that_differ_are_told_and_too_much_is_refused() {
    let Some(cluster) = Cluster::migrated() else { return };
    for (database, seconds, is_served) in [("little", 20, true), ("much", -90, false)] {
        cluster.migrate(database);
        // The database's own clock is found after this one.
        let clock = format!(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS \
             'SELECT pg_catalog.clock_timestamp() + interval ''{seconds} s'''; \
             ALTER DATABASE {database} SET search_path = public, pg_catalog"
        );
        cluster.postgres.execute(database, &clock);
        let url = cluster.postgres.url(database);
        let changed = [("AGENTCAL_DATABASE_URL", url.as_str())];
        if is_served {
            const SAYS: &str = "s behind the database's: have a time service set both";
            cluster.doctor(&changed, true, &[SAYS]);
            let node = cluster.node(&changed);
            assert!(node.said().contains(SAYS), "{}", node.said());
        } else {
            let says = "s ahead of the database's, too much to serve";
            cluster.doctor(&changed, false, &["BAD   clock           this machine's clock is ", says]);
            let said = cluster.run(&["serve"], &changed);
            assert!(!said.success && said.err.contains(says), "{}", said.err);
        }
    }
}

/// Whoever still runs on what was before the restore owns nothing any more, and begins anew.
#[test]
fn after_a_restore_nothing_counts_that_was_said_before() {
    let Some(cluster) = Cluster::migrated() else { return };
    let node = cluster.node(&[]);
    let of_shards = |what: &str| cluster.count(&format!("SELECT {what} FROM shards"));
    let before = of_shards("max(epoch)");
    let said = cluster.run(&["restored"], &[]);
    assert!(said.success, "{}", said.err);
    let raised = of_shards("min(epoch)");
    assert!(raised > before && said.out.contains("nobody's, under epoch "), "{before}, {raised}: {}", said.out);
    wait_for("the node to begin anew", WAIT_MAX, || (of_shards("count(owner)") == 4_096).then_some(()));
    assert!(node.is_ready());
}

/// Migrations expand first: what runs goes on beside a newer schema. What is started there would not know what it means.
#[tokio::test]
async fn a_node_goes_on_beside_a_newer_schema_and_starts_no_more() {
    let Some(cluster) = Cluster::migrated() else { return };
    let mut node = cluster.node(&[]);
    let caller = Caller::new(&node.base_url(), &cluster.key());
    book_once(&caller, "Before").await;
    let newer = "ALTER TABLE accounts ADD COLUMN newer text; ALTER TABLE users ADD COLUMN newer text; \
                 ALTER TABLE bookings ADD COLUMN newer text; ALTER TABLE claims ADD COLUMN newer bigint DEFAULT 0; \
                 ALTER TABLE shards ADD COLUMN newer bigint DEFAULT 0; CREATE TABLE newer (id bigint PRIMARY KEY); \
                 INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT max(version) + 1, 'newer', true, ''::bytea, 0 FROM _sqlx_migrations";
    cluster.postgres.execute(DATABASE, newer);
    book_once(&caller, "After").await;
    const SAYS: &str = "the database was migrated by a newer version of agentcal; start that version instead";
    cluster.doctor(&[], false, &[&format!("BAD   schema          {SAYS}")]);
    let said = cluster.run(&["serve"], &[]);
    assert!(!said.success && said.err.contains(SAYS), "{}", said.err);
    assert!(node.is_ready());
    node.drain();
}

/// What a proxy needs that asks every second and believes the second no.
const SAID_FOR: Duration = Duration::from_secs(1);
/// On a machine that stands still for seconds a test may miss them, and not each time.
const LEAVINGS_MAX: u32 = 10;

#[test]
fn a_node_that_leaves_says_so_before_it_refuses_anybody() {
    let Some(cluster) = Cluster::migrated() else { return };
    let (_other, mut node) = (cluster.node(&[]), cluster.node(&[]));
    let was_heard = (0..LEAVINGS_MAX).any(|_| {
        node.ask_to_end();
        let (mut first, mut last) = (None, None);
        wait_for("the end of its answers", WAIT_MAX, || match node.status_of("/readyz") {
            Some(503) => {
                last = Some(Instant::now());
                first = first.or(last);
                None
            }
            Some(_) => None,
            None => Some(()),
        });
        node.drain();
        let said_for = first.zip(last).map(|(first, last)| last - first);
        let was_heard = said_for.is_some_and(|said_for| said_for >= SAID_FOR);
        if !was_heard {
            node.start_again();
        }
        was_heard
    });
    assert!(was_heard, "{}", node.said());
}

/// Makes an account with a person, and books that person.
pub(crate) async fn book_once(caller: &Caller, name: &str) {
    let (status, account) = caller.post("/v1/accounts", json!({ "name": name })).await;
    assert_eq!(status, StatusCode::CREATED, "{account}");
    let at = |rest: &str| format!("/v1/accounts/{}{rest}", account["id"].as_str().expect("an id"));
    let user = json!({ "name": "Host", "email": "host@example.com", "timezone": "UTC" });
    let (status, user) = caller.post(&at("/users"), user).await;
    assert_eq!(status, StatusCode::CREATED, "{user}");
    let all_day = |day: u8| json!({ "day_of_week": day, "start_time": "00:00", "end_time": "00:00" });
    let rules: Vec<_> = (0..7).map(all_day).collect();
    let path = at(&format!("/users/{}/availability-rules", user["id"].as_str().expect("an id")));
    let (status, rules) = caller.send(Method::PUT, &path, Some(json!({ "timezone": "UTC", "rules": rules }))).await;
    assert_eq!(status, StatusCode::OK, "{rules}");
    let day = today() + chrono::Days::new(3);
    let booking = json!({
        "user_id": user["id"], "duration_minutes": 30, "start_time": format!("{day}T12:00:00Z"),
        "attendee": { "name": "Ada Lovelace" },
    });
    let (status, booking) = caller.post(&at("/bookings"), booking).await;
    assert_eq!(status, StatusCode::CREATED, "{booking}");
}
