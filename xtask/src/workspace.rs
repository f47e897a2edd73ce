//! Where this repository and what is built from it lie.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::run::{Failure, asked};

/// This repository.
pub(crate) struct Workspace {
    /// Its root.
    pub(crate) root: PathBuf,
    /// Where cargo builds, which is also where tools of the tests are installed.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that `CARGO_TARGET_DIR` and configuration files count.
    pub(crate) fn find() -> Result<Self, Failure> {
        let mut command = Command::new(cargo_program());
        command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        let text = asked(command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        let text = text.ok_or_else(|| Failure("cargo cannot read this workspace; try `cargo metadata`".into()))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| Failure(format!("cargo metadata: {error}")))?;
        let path = |name: &str| {
            let found = value[name].as_str().map(PathBuf::from);
            found.ok_or_else(|| Failure(format!("cargo metadata names no {name}")))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// Cargo, in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root);
        command
    }

    /// Where programs that tests need are installed.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}

/// The cargo that runs this.
fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
