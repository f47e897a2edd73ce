//! Where things lie: the target folder and the Python environment in it.

use std::path::{Path, PathBuf};

/// Names the folder of a Python environment, in place of the one in the target folder.
const VENV_VARIABLE: &str = "AGENTCAL_TEST_VENV";
/// Names the folder of packages from npm, in place of the one in the target folder.
const NODE_MODULES_VARIABLE: &str = "AGENTCAL_TEST_NODE_MODULES";
/// The same for the environment of schemathesis.
const SCHEMATHESIS_VENV_VARIABLE: &str = "AGENTCAL_TEST_SCHEMATHESIS_VENV";

/// The target folder this test was built into: the nearest folder above the running program that cargo marked as its
/// own, else `CARGO_TARGET_DIR`.
pub fn target_dir() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_path_buf);
    marked.or_else(|| std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from))
}

/// The Python environment with what tests need, where there is one.
pub fn venv() -> Option<PathBuf> {
    environment(VENV_VARIABLE, "venv")
}

/// The packages from npm that tests read with, where they are installed.
pub(crate) fn node_modules() -> Option<PathBuf> {
    let named = std::env::var_os(NODE_MODULES_VARIABLE).map(PathBuf::from);
    let folder = named.or_else(|| Some(target_dir()?.join("node/node_modules")))?;
    folder.exists().then_some(folder)
}

/// Schemathesis, in its own environment, where it is installed.
pub fn schemathesis() -> Option<PathBuf> {
    let program = environment(SCHEMATHESIS_VENV_VARIABLE, "venv-schemathesis")?.join("bin/schemathesis");
    program.exists().then_some(program)
}

fn environment(variable: &str, name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os(variable) {
        Some(folder) => PathBuf::from(folder),
        None => target_dir()?.join(name),
    };
    folder.join("bin/python").exists().then_some(folder)
}
