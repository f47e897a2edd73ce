//! CalDAV servers nobody here wrote, each in a temporary folder on a spare port.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::http::status_of;
use crate::places::venv;
use crate::process::Process;
use crate::skip_or_fail;
use crate::wait::{WAIT_MAX, wait_for};

/// The user whose calendars tests connect.
pub const USERNAME: &str = "alice";
/// Radicale only: may write everywhere, so that it can fill what `USERNAME` may only read.
pub const ADMIN: &str = "admin";
/// The password of both.
pub const PASSWORD: &str = "correct horse battery";
/// Radicale only: `USERNAME` may read collections of its own whose name begins like this, and not write them.
pub const READ_ONLY_PREFIX: &str = "readonly";

const START_WITHIN: Duration = WAIT_MAX;
const STARTS_MAX: u32 = 3;

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Asks for a password, has rights, answers sync-collection.
    Radicale,
    /// Has no authentication over plain HTTP: everybody is `USERNAME`, and any password is accepted.
    Xandikos,
}

/// A CalDAV server; stops, and its data goes, on drop.
pub struct Server {
    kind: ServerKind,
    address: SocketAddr,
    process: Option<Process>,
    venv: PathBuf,
    folder: TempDir,
}

/// A Radicale with the users [`USERNAME`] and [`ADMIN`] and no calendars yet; `None` when it is not installed.
pub fn radicale() -> Option<Server> {
    start(ServerKind::Radicale)
}

/// A Xandikos whose only principal is [`USERNAME`], with one calendar of its own making; `None` when it is not installed.
pub fn xandikos() -> Option<Server> {
    start(ServerKind::Xandikos)
}

fn start(kind: ServerKind) -> Option<Server> {
    let program = kind.program();
    let Some(venv) = venv().filter(|venv| venv.join("bin").join(program).exists()) else {
        skip_or_fail(&format!("{program} is not installed"));
        return None;
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = Server { kind, address, process: None, venv, folder };
    let started = (0..STARTS_MAX).any(|_| {
        server.address = spare_address();
        server.try_start()
    });
    assert!(started, "{program} does not start:\n{}", server.said());
    Some(server)
}

/// Ports below those that Linux gives to whoever connects to somewhere. One of these would be gone when a server that was
/// away comes back to it: among those who try to reach it meanwhile, somebody may have been given the very port as its own.
const SPARE_PORTS: Range<u16> = 12_000..32_000;

/// An address nobody listens on. Another program may take it before the server does, which is why starting is tried
/// more than once.
///
/// # Panics
/// When every port is taken.
pub fn spare_address() -> SocketAddr {
    let count = usize::from(SPARE_PORTS.end - SPARE_PORTS.start);
    // Random keys: tests of several processes look in different places.
    let first = RandomState::new().hash_one(std::process::id());
    let first = usize::try_from(first % u64::from(SPARE_PORTS.end - SPARE_PORTS.start)).expect("few ports");
    let ports = SPARE_PORTS.cycle().skip(first).take(count);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a loopback port can be had")
}

impl ServerKind {
    fn program(self) -> &'static str {
        match self {
            Self::Radicale => "radicale",
            Self::Xandikos => "xandikos",
        }
    }
}

impl Server {
    /// Which program serves.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root, with a slash at the end: where discovery may begin.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The calendar home of [`USERNAME`], with a slash at the end.
    pub fn home_url(&self) -> String {
        match self.kind {
            ServerKind::Radicale => format!("{}{USERNAME}/", self.url()),
            ServerKind::Xandikos => format!("{}{USERNAME}/calendars/", self.url()),
        }
    }

    /// What it has written to its log.
    pub fn said(&self) -> String {
        self.process.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Ends it; its data and its address stay, for [`Server::start_again`].
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was, on the data it had.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        self.stop();
        assert!(self.try_start(), "{} does not start again:\n{}", self.kind.program(), self.said());
    }

    /// Stops it from answering, while connections are still accepted by the system: what a hanging server looks like.
    pub fn suspend(&self) {
        if let Some(process) = &self.process {
            process.signal("STOP");
        }
    }

    /// Ends [`Server::suspend`].
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.signal("CONT");
        }
    }

    fn try_start(&mut self) -> bool {
        let command = match self.kind {
            ServerKind::Radicale => radicale_command(&self.venv, self.folder.path(), self.address),
            ServerKind::Xandikos => xandikos_command(&self.venv, self.folder.path(), self.address),
        };
        let mut process = Process::start(command, &self.folder.path().join("log"));
        let address = self.address;
        let answers = wait_for(self.kind.program(), START_WITHIN, || match process.ended() {
            Some(_) => Some(false),
            None => status_of(address, "/").map(|_| true),
        });
        self.process = Some(process);
        answers
    }
}

fn radicale_command(venv: &Path, folder: &Path, address: SocketAddr) -> Command {
    write(&folder.join("users"), &format!("{USERNAME}:{PASSWORD}\n{ADMIN}:{PASSWORD}\n"));
    write(&folder.join("rights"), &radicale_rights());
    write(&folder.join("config"), &radicale_config(folder, address));
    let mut command = Command::new(venv.join("bin/radicale"));
    command.arg("--config").arg(folder.join("config"));
    command
}

fn radicale_config(folder: &Path, address: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "[server]\nhosts = {address}\n\
         [auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\nhtpasswd_encryption = plain\ndelay = 0\n\
         [rights]\ntype = from_file\nfile = {folder}/rights\n\
         [storage]\nfilesystem_folder = {folder}/data\n\
         [web]\ntype = none\n"
    )
}

fn radicale_rights() -> String {
    let read_only = format!("{USERNAME}/{READ_ONLY_PREFIX}[^/]*");
    format!(
        "[admin]\nuser = {ADMIN}\ncollection = .*\npermissions = RrWw\n\
         [root]\nuser = .+\ncollection =\npermissions = R\n\
         [readonly]\nuser = {USERNAME}\ncollection = {read_only}\npermissions = r\n\
         [home]\nuser = .+\ncollection = {{user}}\npermissions = RW\n\
         [own]\nuser = .+\ncollection = {{user}}/[^/]+\npermissions = rw\n"
    )
}

fn xandikos_command(venv: &Path, folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(venv.join("bin/xandikos"));
    command.arg("serve").arg("--defaults").arg("--no-detect-systemd");
    command.arg("--directory").arg(folder.join("data")).arg("--state-dir").arg(folder.join("state"));
    command.arg("--current-user-principal").arg(format!("/{USERNAME}/"));
    command.arg("--listen-address").arg(address.ip().to_string()).arg("--port").arg(address.port().to_string());
    command
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file in a temporary folder can be written");
}
