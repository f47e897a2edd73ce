//! The description of the api, written from the code.

use std::fs;

use crate::run::{Failure, asked};
use crate::workspace::Workspace;

const FILE: &str = "docs/openapi.json";

/// Writes `docs/openapi.json` anew. A test fails while it differs from the code.
pub(crate) fn write(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--package", "agentcal", "--", "openapi"]);
    let text = asked(&mut command).ok_or_else(|| Failure("`cargo run -- openapi` failed; run it to see why".into()))?;
    let file = workspace.root.join(FILE);
    fs::write(&file, text).map_err(|error| Failure(format!("{FILE}: {error}")))?;
    println!("{FILE} is written");
    Ok(())
}
