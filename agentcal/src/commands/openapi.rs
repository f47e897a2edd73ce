//! `agentcal openapi`

use std::process::ExitCode;

use super::{CommandResult, say};

pub(super) fn run() -> CommandResult {
    say(agentcal_api::openapi().to_pretty_json()?)?;
    Ok(ExitCode::SUCCESS)
}
