//! Counting instructions: this program runs itself under callgrind, once for a number of units and once for twice as
//! many. What the second run executes more is what the units cost; whatever is done once falls out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::workload::Workload;

/// Instructions of one unit.
pub(crate) fn instructions_per_unit(workload: Workload) -> Result<f64, String> {
    let units = workload.units();
    let (once, twice) = (instructions(workload, units)?, instructions(workload, 2 * units)?);
    let more = twice.checked_sub(once).ok_or_else(|| format!("{}: twice as much is less", workload.name()))?;
    Ok(more as f64 / (units * workload.repeats()) as f64)
}

fn instructions(workload: Workload, units: u64) -> Result<u64, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join("callgrind.out");
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(program).args(["perform", workload.name(), &units.to_string()]).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("valgrind does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} of {units} units ended with {}: {said}", workload.name(), output.status));
    }
    total(&file)
}

/// Instructions of the whole run.
fn total(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| "callgrind wrote no total".to_owned())
}
