//! Helper scripts, run in the Python environment, which has a Node.js as well.

use std::path::Path;
use std::process::Command;

use crate::places::{node_modules, venv};
use crate::skip_or_fail;

/// Runs a Python script with arguments and returns what it printed to its standard output; `None` when there is no
/// environment.
///
/// # Panics
/// When the script ends with an error; the message carries what it said.
pub fn python(script: &Path, args: &[&str]) -> Option<String> {
    let Some(venv) = venv() else {
        skip_or_fail("there is no Python environment");
        return None;
    };
    let mut command = Command::new(venv.join("bin/python"));
    // Compiled modules would land beside the scripts, in the source tree.
    command.arg("-B").arg(script).args(args);
    Some(printed(command))
}

/// Runs a script of JavaScript (CommonJS, so that packages are found), as [`python`] does; `None` when Node.js or the
/// packages from npm are not there.
///
/// # Panics
/// When the script ends with an error; the message carries what it said.
pub fn javascript(script: &Path, args: &[&str]) -> Option<String> {
    let node = venv().map(|venv| venv.join("bin/node")).filter(|node| node.exists());
    let (Some(node), Some(modules)) = (node, node_modules()) else {
        skip_or_fail("there are no packages from npm");
        return None;
    };
    let mut command = Command::new(node);
    command.arg(script).args(args).env("NODE_PATH", modules);
    Some(printed(command))
}

fn printed(mut command: Command) -> String {
    let output = command.output().expect("the environment's programs start");
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("scripts print UTF-8")
}
