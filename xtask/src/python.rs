//! Python environments: one with the CalDAV servers and clients tests speak to, one with what speaks to us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, asked, shown};
use crate::servers::{apt_get, may_install};
use crate::workspace::Workspace;

/// An environment: its folder in the target folder, and what is installed in it, every version pinned.
pub(crate) struct Environment {
    folder: &'static str,
    requirements: &'static str,
}

/// CalDAV servers and clients.
pub(crate) const CALDAV: Environment = Environment { folder: "venv", requirements: "xtask/requirements.txt" };
/// Schemathesis.
pub(crate) const SCHEMATHESIS: Environment =
    Environment { folder: "venv-schemathesis", requirements: "xtask/requirements-schemathesis.txt" };

/// Kept in the environment: what it was made from.
const STAMP: &str = "made-from.txt";
/// Prints something when this Python is new enough and can make environments.
const PROBE: &str = "import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print('good')";
/// Names Python is known by, best first.
const NAMES: [&str; 4] = ["python3", "python3.13", "python3.12", "python3.11"];
const DEBIAN_PACKAGES: [&str; 2] = ["python3", "python3-venv"];

/// Makes the environment, unless it is there and made from the same requirements. Returns its folder.
pub(crate) fn ensure(workspace: &Workspace, environment: &Environment) -> Result<PathBuf, Failure> {
    let venv = workspace.target.join(environment.folder);
    let requirements = workspace.root.join(environment.requirements);
    let wanted =
        fs::read_to_string(&requirements).map_err(|error| Failure(format!("{}: {error}", environment.requirements)))?;
    if is_made_from(&venv, &wanted) {
        println!("{} is up to date", venv.display());
        return Ok(venv);
    }
    let python = usable_python()?;
    // One that was left half made would stay so for ever.
    if venv.exists() {
        fs::remove_dir_all(&venv).map_err(|error| Failure(format!("{}: {error}", venv.display())))?;
    }
    shown(Command::new(&python).args(["-m", "venv"]).arg(&venv))?;
    install(&venv, &requirements)?;
    fs::write(venv.join(STAMP), wanted).map_err(|error| Failure(format!("{}: {error}", venv.display())))?;
    Ok(venv)
}

fn is_made_from(venv: &Path, wanted: &str) -> bool {
    let made_from = fs::read_to_string(venv.join(STAMP)).unwrap_or_default();
    made_from == wanted && asked(Command::new(venv.join("bin/python")).arg("--version")).is_some()
}

fn install(venv: &Path, requirements: &Path) -> Result<(), Failure> {
    let mut command = Command::new(venv.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]);
    shown(command.arg(requirements))
}

/// A Python that can make environments; from Debian's packages where there is none and this may install one.
fn usable_python() -> Result<PathBuf, Failure> {
    if let Some(python) = find_python() {
        return Ok(python);
    }
    let missing = "tests need Python 3.10 or later with the modules venv and ensurepip";
    if !may_install() {
        let packages = DEBIAN_PACKAGES.join(" ");
        return Err(Failure(format!(
            "{missing}; this user may not install packages. On Debian and Ubuntu: `sudo apt-get install {packages}`; \
             elsewhere install Python from your system's packages, then run this again"
        )));
    }
    shown(apt_get().arg("update"))?;
    shown(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(DEBIAN_PACKAGES))?;
    find_python().ok_or_else(|| Failure(format!("{missing}; Debian's packages did not bring one")))
}

fn find_python() -> Option<PathBuf> {
    let usable = |name: &&str| asked(Command::new(name).args(["-c", PROBE])).is_some();
    NAMES.into_iter().find(usable).map(PathBuf::from)
}
