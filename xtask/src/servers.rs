//! Database servers that tests start for themselves: installed from Debian's packages where they are missing.

use std::path::Path;
use std::process::Command;

use crate::run::{Failure, asked, shown};

/// A server: a program that shows it is there, and the Debian package it comes in.
struct Server {
    name: &'static str,
    is_there: fn() -> bool,
    package: &'static str,
}

const SERVERS: [Server; 2] = [
    Server { name: "PostgreSQL", is_there: has_postgres, package: "postgresql" },
    Server { name: "Redis", is_there: has_redis, package: "redis-server" },
];

/// Installs what is missing, where this user may.
pub(crate) fn ensure() -> Result<(), Failure> {
    let missing: Vec<&Server> = SERVERS.iter().filter(|server| !(server.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|server| server.name).collect::<Vec<_>>().join(" and ");
    let packages: Vec<&str> = missing.iter().map(|server| server.package).collect();
    if !may_install() {
        return Err(Failure(format!(
            "tests need {names}; this user may not install packages. On Debian and Ubuntu: `sudo apt-get install {}`; \
             elsewhere install them from your system's packages, then run this again",
            packages.join(" ")
        )));
    }
    shown(apt_get().arg("update"))?;
    shown(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Debian keeps the server's programs out of the search path.
fn has_postgres() -> bool {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let is_installed = |folder: &Path| folder.join("bin/initdb").exists();
    debian.map(|entry| entry.path()).any(|folder| is_installed(&folder))
        || asked(Command::new("initdb").arg("--version")).is_some()
}

/// Cluster and Sentinel are the same program.
fn has_redis() -> bool {
    asked(Command::new("redis-server").arg("--version")).is_some()
}

/// Debian's package manager is here, and we are root.
pub(crate) fn may_install() -> bool {
    let is_root = asked(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    is_root && asked(Command::new("apt-get").arg("--version")).is_some()
}

/// Debian's package manager, which asks nothing and starts no service.
pub(crate) fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}
