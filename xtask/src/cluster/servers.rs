//! The two servers nodes share. PostgreSQL refuses to run as root, so root lends it the user `postgres` (or `nobody`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{self, Process};
use super::state::State;
use crate::run::{Failure, asked};
use crate::workspace::Workspace;

const START_WITHIN: Duration = Duration::from_secs(60);
/// Where Debian puts the programs of each version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
/// The role nodes use. No superuser, so that row-level security holds for it.
const ROLE: &str = "agentcal";
const DATABASE: &str = "agentcal";

/// The database, as nodes name it.
pub(super) fn postgres_url(state: &State) -> String {
    format!("postgres://{ROLE}:{}@{}/{DATABASE}", state.password, state.postgres.address)
}

/// Makes an empty database server and starts it.
pub(super) fn start_postgres(workspace: &Workspace, state: &mut State) -> Result<(), Failure> {
    let programs = programs().ok_or_else(|| Failure("PostgreSQL is not installed".into()))?;
    initialize(&programs, state)?;
    let mut command = lent(&programs.join("postgres"));
    command.arg("-D").arg(state.data.join("data")).current_dir(&state.data);
    let port = format!("port={}", state.postgres.address.port());
    for setting in ["listen_addresses=127.0.0.1", &port, "unix_socket_directories=", "max_connections=300"] {
        command.args(["-c", setting]);
    }
    state.postgres.process = Some(Process::start(&command, &State::log(workspace, "postgres"))?);
    state.save(workspace)?;
    let port = state.postgres.address.port().to_string();
    let answers = || asked(Command::new(programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]));
    process::wait_for(START_WITHIN, answers).ok_or_else(|| Failure("PostgreSQL does not start".into()))?;
    let role = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{}'", state.password);
    for statement in [role, format!("CREATE DATABASE {DATABASE} OWNER {ROLE}")] {
        query(state, "postgres", &statement).ok_or_else(|| Failure("PostgreSQL makes no database".into()))?;
    }
    Ok(())
}

/// Starts a cache that keeps nothing on disk.
pub(super) fn start_redis(workspace: &Workspace, state: &mut State) -> Result<(), Failure> {
    let port = state.redis.address.port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru", "--dir"]);
    command.arg(State::folder(workspace));
    state.redis.process = Some(Process::start(&command, &State::log(workspace, "redis"))?);
    state.save(workspace)?;
    let answers = || asked(Command::new("redis-cli").args(["-p", &port, "PING"])).filter(|said| said.trim() == "PONG");
    process::wait_for(START_WITHIN, answers).map(|_| ()).ok_or_else(|| Failure("Redis does not start".into()))
}

/// How many shards each living node owns, by the address other nodes reach it at; empty while the database is silent.
pub(super) fn shards_by_address(state: &State) -> BTreeMap<String, u32> {
    const OWNED: &str =
        "SELECT rtrim(n.address, '/'), count(*) FROM nodes n JOIN shards s ON s.owner = n.node_id GROUP BY 1";
    let rows = query(state, DATABASE, OWNED).unwrap_or_default();
    let pair = |row: &str| {
        let (address, count) = row.rsplit_once('|')?;
        Some((address.to_owned(), count.parse().ok()?))
    };
    rows.lines().filter_map(pair).collect()
}

/// Asks the database as its superuser.
fn query(state: &State, database: &str, statement: &str) -> Option<String> {
    let port = state.postgres.address.port().to_string();
    let mut command = Command::new(programs()?.join("psql"));
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port]);
    command.args(["-U", "postgres", "-d", database, "-c", statement]);
    asked(command.env("PGPASSWORD", &state.password).env("PGCONNECT_TIMEOUT", "3"))
}

fn initialize(programs: &Path, state: &State) -> Result<(), Failure> {
    let password = state.data.join("password");
    let failed = |error| Failure(format!("{}: {error}", state.data.display()));
    fs::write(&password, &state.password).map_err(failed)?;
    if let Some(user) = lent_user() {
        for path in [&state.data, &password] {
            chown(path, Some(user.id), None).map_err(failed)?;
        }
    }
    let mut command = lent(&programs.join("initdb"));
    command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    command.arg("--pgdata").arg(state.data.join("data")).arg(format!("--pwfile={}", password.display()));
    asked(command.current_dir(&state.data)).ok_or_else(|| Failure("initdb makes no database server".into()))?;
    fs::remove_file(&password).map_err(failed)
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let folders = fs::read_dir(DEBIAN_FOLDER).into_iter().flatten().filter_map(Result::ok);
    let debian = folders.map(|entry| entry.path().join("bin")).filter(|folder| folder.join("initdb").exists());
    debian.max_by_key(|folder| version_of(folder)).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    })
}

fn version_of(folder: &Path) -> u32 {
    let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A user a server may run as in place of root.
struct User {
    name: &'static str,
    id: u32,
}

/// `None` when this is not root, and no other user is needed.
fn lent_user() -> Option<User> {
    let id_of =
        |name: Option<&str>| -> Option<u32> { asked(Command::new("id").arg("-u").args(name))?.trim().parse().ok() };
    if id_of(None) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| Some(User { name, id: id_of(Some(name))? }))
}

/// A program as the user it may run as.
fn lent(program: &Path) -> Command {
    let Some(user) = lent_user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", user.name)).args(["--regid=65534", "--clear-groups", "--"]).arg(program);
    command.env("HOME", "/");
    command
}
