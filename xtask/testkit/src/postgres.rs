//! A PostgreSQL of a test's own, in a temporary folder on a spare port.
//!
//! The server refuses to run as root, so root lends it the user `postgres` (or `nobody`). A shell stands between: it ends
//! the server and removes the folder when it is told to, and the kernel tells it when this process ends, however it ends.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::spawn_for_life;
use crate::servers::spare_address;
use crate::skip_or_fail;
use crate::wait::wait_for;

/// The role that owns what tests make. No superuser, so that row-level security holds for it.
pub const POSTGRES_USER: &str = "agentcal";
/// Its password, and that of the superuser `postgres`.
pub const POSTGRES_PASSWORD: &str = "correct horse battery";

const PASSWORD_IN_URL: &str = "correct%20horse%20battery";
const START_WITHIN: Duration = Duration::from_secs(60);
const STARTS_MAX: u32 = 3;
/// Where Debian puts the programs of each version.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";

/// Runs `$1` to the end, or until it is told to stop, whereupon the folder `$0` goes.
const KEEPER: &str = r#"trap 'kill -QUIT "$server" 2>/dev/null; wait "$server"; rm -rf "$0"; exit 0' TERM
"$@" & server=$!
wait "$server""#;

/// How a server keeps what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Full,
    /// Nothing is forced to disk: quick, and good enough for all that does not end the machine.
    None,
}

/// A server; stops, and its data goes, on drop.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    durability: Durability,
    settings: Vec<(String, String)>,
    keeper: Option<Child>,
}

/// A new server; `None` when it is not installed.
///
/// # Panics
/// When it is installed and does not start.
pub fn postgres(durability: Durability) -> Option<Postgres> {
    postgres_with(durability, &[])
}

/// A new server with settings of its own; `None` when it is not installed.
///
/// # Panics
/// When it is installed and does not start.
pub fn postgres_with(durability: Durability, settings: &[(&str, &str)]) -> Option<Postgres> {
    let Some(programs) = programs() else {
        skip_or_fail("PostgreSQL is not installed");
        return None;
    };
    let folder = tempfile::Builder::new().prefix("agentcal-postgres-").tempdir();
    let folder = folder.expect("a temporary folder can be made").keep();
    if let Some(user) = lent_user() {
        chown(&folder, Some(user.id), None).expect("root may give a folder away");
    }
    let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = Postgres { programs, folder, address, durability, settings, keeper: None };
    server.make_cluster();
    let started = (0..STARTS_MAX).any(|_| {
        server.address = spare_address();
        server.try_start()
    });
    assert!(started, "PostgreSQL does not start:\n{}", server.said());
    // A cheap hash: tests open thousands of connections, and the passwords are public.
    let roles = format!(
        "SET password_encryption = 'md5'; CREATE ROLE {POSTGRES_USER} LOGIN CREATEDB PASSWORD '{POSTGRES_PASSWORD}'; \
         ALTER ROLE postgres PASSWORD '{POSTGRES_PASSWORD}'"
    );
    server.execute("postgres", &roles);
    Some(server)
}

impl Postgres {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A database of it, for [`POSTGRES_USER`].
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{POSTGRES_USER}:{PASSWORD_IN_URL}@{}/{database}", self.address)
    }

    /// A database of it, for the superuser.
    pub fn superuser_url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD_IN_URL}@{}/{database}", self.address)
    }

    /// Makes an empty database that belongs to [`POSTGRES_USER`].
    pub fn create_database(&self, name: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {name} OWNER {POSTGRES_USER}"));
    }

    /// Makes a copy of a database nobody is connected to.
    pub fn copy_database(&self, template: &str, name: &str) {
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {POSTGRES_USER}"));
    }

    /// Removes a database, whoever is connected to it.
    pub fn drop_database(&self, name: &str) {
        self.execute("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    /// Runs statements as the superuser and returns what they print.
    ///
    /// # Panics
    /// When one fails.
    pub fn execute(&self, database: &str, statements: &str) -> String {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.superuser_url(database)]);
        let output = command.args(["-c", statements]).output().expect("psql starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {said}: {statements}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// One of the programs that came with the server, such as `pgbench`, to be run by whoever runs this.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// What it has written to its log.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it in an orderly way, without waiting for its clients; its data and its address stay, for
    /// [`Postgres::start_again`].
    pub fn stop(&mut self) {
        self.end_with("INT");
    }

    /// Ends it as a crash would; its data and its address stay, for [`Postgres::start_again`].
    pub fn crash(&mut self) {
        self.end_with("QUIT");
    }

    /// Starts it again where it was, on the data it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "PostgreSQL does not start again:\n{}", self.said());
    }

    fn end_with(&mut self, signal: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            // It may have ended in this moment, which is what is wanted.
            let _ = Command::new("kill").args([&format!("-{signal}"), pid]).stderr(Stdio::null()).status();
        }
        let _ = keeper.wait();
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make_cluster(&self) {
        let password = self.folder.join("password");
        fs::write(&password, POSTGRES_PASSWORD).expect("a file in a temporary folder can be written");
        let mut command = lent(&self.programs.join("initdb"));
        command.args([
            "--username=postgres",
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--pgdata",
        ]);
        command.arg(self.data()).arg(format!("--pwfile={}", password.display()));
        if let Some(user) = lent_user() {
            chown(&password, Some(user.id), None).expect("root may give a file away");
        }
        let output = command.current_dir(&self.folder).output().expect("initdb starts");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        // All addresses of the loopback, so that tests can tell their clients apart by these.
        let rules = fs::File::options().append(true).open(self.data().join("pg_hba.conf"));
        let rules = rules.and_then(|mut rules| writeln!(rules, "host all all 127.0.0.0/8 password"));
        rules.expect("the server's rules can be written");
    }

    fn try_start(&mut self) -> bool {
        self.keeper = Some(spawn_for_life(self.server_command()));
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut keeper = self.keeper.take().expect("just started");
        let answers = wait_for("PostgreSQL", START_WITHIN, || {
            if keeper.try_wait().ok().flatten().is_some() {
                return Some(false);
            }
            let mut asked = self.program("pg_isready");
            let asked = asked.args(["-q", "-h", &host, "-p", &port]).status();
            asked.is_ok_and(|status| status.success()).then_some(true)
        });
        self.keeper = Some(keeper);
        answers
    }

    fn server_command(&self) -> Command {
        let mut command = lent(Path::new("sh"));
        command.args(["-c", KEEPER]).arg(&self.folder).arg(self.programs.join("postgres")).arg("-D").arg(self.data());
        let forced = if self.durability == Durability::Full { "on" } else { "off" };
        let mut settings = String::new();
        let port = self.address.port();
        let _ =
            write!(settings, "listen_addresses=127.0.0.1 port={port} unix_socket_directories= max_connections=300 ");
        let _ = write!(settings, "fsync={forced} full_page_writes={forced} log_min_messages=warning");
        let own = settings.split_whitespace().map(str::to_owned);
        let given = self.settings.iter().map(|(name, value)| format!("{name}={value}"));
        for setting in own.chain(given) {
            command.args(["-c", &setting]);
        }
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the log can be written");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file handle can be cloned")).stderr(log);
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            let _ = Command::new("kill").args(["-TERM", &keeper.id().to_string()]).stderr(Stdio::null()).status();
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let folders = fs::read_dir(DEBIAN_FOLDER).ok();
    let debian = folders.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let mut debian: Vec<PathBuf> = debian.filter(|folder| folder.join("initdb").exists()).collect();
    debian.sort_by_key(|folder| version_of(folder));
    debian.pop().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    })
}

fn version_of(folder: &Path) -> u32 {
    let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A user the server may run as in place of root.
struct User {
    name: &'static str,
    id: u32,
}

/// `None` when this is not root, and no other user is needed.
fn lent_user() -> Option<User> {
    let id_of = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").arg("-u").args(arguments).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if id_of(&[]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|name| Some(User { name, id: id_of(&[name])? }))
}

/// A program as the user it may run as, told to end when this process has.
fn lent(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]);
    if let Some(user) = lent_user() {
        command.arg(format!("--reuid={}", user.name)).args(["--regid=65534", "--clear-groups"]);
        command.env("HOME", "/");
    }
    command.arg("--").arg(program);
    command
}
