//! The long form of the test that kills the program under load.

use crate::run::{Failure, shown};
use crate::workspace::Workspace;

/// Runs the test of `agentcal/tests/kills` in release, with so many kills. It prints what happened and its verdict.
pub(crate) fn run(workspace: &Workspace, kills: u64, seed: u64) -> Result<(), Failure> {
    let mut command = workspace.cargo();
    command.args(["test", "--release", "--package", "agentcal", "--test", "kills", "--", "--nocapture"]);
    command.env("AGENTCAL_KILLS", kills.to_string()).env("AGENTCAL_KILLS_SEED", seed.to_string());
    shown(&mut command)
}
