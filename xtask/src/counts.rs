//! Instruction counts: building what counts, with the valgrind it needs.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{Failure, asked, shown};
use crate::workspace::Workspace;

/// Names the built program to the test that compares.
pub(crate) const PROGRAM_VARIABLE: &str = "AGENTCAL_TEST_COUNTS";
const FILE: &str = "bench/counts/counts.toml";
const PACKAGE: &str = "agentcal-counts";

/// The program that counts, optimised, and able to.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf, Failure> {
    ensure_valgrind()?;
    shown(workspace.cargo().args(["build", "--profile", "counts", "--locked", "--package", PACKAGE]))?;
    Ok(workspace.target.join("counts").join(PACKAGE))
}

/// Counts, and either keeps the counts or compares them with those that are kept.
pub(crate) fn run(workspace: &Workspace, update: bool) -> Result<(), Failure> {
    let mut command = Command::new(program(workspace)?);
    command.arg(if update { "update" } else { "check" }).arg(workspace.root.join(FILE));
    shown(&mut command)
}

/// Callgrind is part of valgrind; from Debian's packages where it is missing and this may install it.
fn ensure_valgrind() -> Result<(), Failure> {
    let is_there = || asked(Command::new("valgrind").arg("--version")).is_some();
    if is_there() {
        return Ok(());
    }
    let is_root = asked(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !is_root || asked(Command::new("apt-get").arg("--version")).is_none() {
        let advice = "on Debian and Ubuntu: `sudo apt-get install valgrind`";
        return Err(Failure(format!("instructions are counted by valgrind, which is not installed; {advice}")));
    }
    shown(apt_get().arg("update"))?;
    shown(apt_get().args(["install", "--yes", "--no-install-recommends", "valgrind"]))?;
    if is_there() { Ok(()) } else { Err(Failure("Debian's package of valgrind did not bring it".into())) }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive");
    command
}
