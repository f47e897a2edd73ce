//! `agentcal openapi`

use std::process::ExitCode;

use super::CommandResult;

pub(super) fn run() -> CommandResult {
    println!("{}", agentcal_api::openapi().to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}
