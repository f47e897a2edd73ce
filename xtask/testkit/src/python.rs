//! Helper scripts, run in the Python environment.

use std::path::Path;
use std::process::Command;

use crate::places::venv;
use crate::skip_or_fail;

/// Runs a script with arguments and returns what it printed to its standard output; `None` when there is no Python
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
    let output = command.output().expect("the environment's Python starts");
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
