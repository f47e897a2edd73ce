//! Helper scripts, run by the Node.js of the Python environment with packages from npm.

use std::path::Path;
use std::process::Command;

use crate::places::{node_modules, venv};
use crate::skip_or_fail;

/// Runs a script (CommonJS, so that packages are found) with arguments and returns what it printed to its standard output;
/// `None` when Node.js or the packages are not there.
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
    let output = command.output().expect("the environment's Node.js starts");
    assert!(
        output.status.success(),
        "{} {args:?} failed ({}):\n{}{}",
        script.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Some(String::from_utf8(output.stdout).expect("scripts print UTF-8"))
}
