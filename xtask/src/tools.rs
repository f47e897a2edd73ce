//! Programs tests need that cargo can build.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::run::{Failure, asked, shown};
use crate::workspace::Workspace;

const CARGO_DENY_VERSION: &str = "0.20.2";

/// `cargo-deny`: the installed one, else one built into the target folder. Built without optimisation, which takes two
/// minutes of one core instead of ten and costs three seconds a run.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let own = workspace.tools().join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), own.clone()] {
        if asked(Command::new(&program).arg("--version")).is_some() {
            return Ok(program);
        }
    }
    let build = workspace.tools().join("build");
    let mut command = workspace.cargo();
    command.args(["install", "cargo-deny", "--version", CARGO_DENY_VERSION, "--locked", "--debug", "--quiet"]);
    command.arg("--root").arg(workspace.tools()).arg("--target-dir").arg(&build);
    shown(command.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    // Half a gigabyte that nothing needs again; if it stays, nothing is wrong.
    let _ = fs::remove_dir_all(build);
    Ok(own)
}
