//! What tests read with that comes from npm, for the Node.js of the Python environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, shown};
use crate::workspace::Workspace;

/// The packages, each version with its hash, and where they are installed in the target folder.
const MANIFEST: &str = "xtask/node/package.json";
const LOCK: &str = "xtask/node/package-lock.json";
const FOLDER: &str = "node";
/// Kept beside the packages: what they were installed from.
const STAMP: &str = "made-from.json";

/// Installs the packages, unless they are there and of the same lock. Returns their folder.
pub(crate) fn ensure(workspace: &Workspace, venv: &Path) -> Result<PathBuf, Failure> {
    let read = |path: &str| fs::read_to_string(workspace.root.join(path)).map_err(|error| failure(path, &error));
    let (manifest, lock) = (read(MANIFEST)?, read(LOCK)?);
    let folder = workspace.target.join(FOLDER);
    let modules = folder.join("node_modules");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == lock) && modules.exists() {
        println!("{} is up to date", modules.display());
        return Ok(modules);
    }
    fs::create_dir_all(&folder).map_err(|error| failure(FOLDER, &error))?;
    for (name, text) in [("package.json", &manifest), ("package-lock.json", &lock)] {
        fs::write(folder.join(name), text).map_err(|error| failure(name, &error))?;
    }
    let mut command = Command::new(venv.join("bin/npm"));
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
    shown(command.arg(&folder).current_dir(&folder))?;
    fs::write(folder.join(STAMP), lock).map_err(|error| failure(STAMP, &error))?;
    Ok(modules)
}

fn failure(what: &str, error: &std::io::Error) -> Failure {
    Failure(format!("{what}: {error}"))
}
