//! `agentcal org`

use std::process::ExitCode;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::Organization;
use agentcal_engine::ports::Clock;

use super::{CommandResult, Surroundings, say, store};
use crate::cli::OrgCommand;
use crate::clock::{OsEntropy, SystemClock};

/// Longest name, in characters.
const NAME_LEN_MAX: usize = 200;

pub(super) async fn run(surroundings: &Surroundings, command: OrgCommand) -> CommandResult {
    match command {
        OrgCommand::Create { name, store: args } => {
            let name = checked_name(&name)?;
            let store = store::open_current(surroundings, &args).await?;
            let now = SystemClock.now();
            let organization = Organization { id: OrganizationId::mint(now, &OsEntropy), name, created_at: now };
            store.port.create_organization(&organization).await?;
            store.close().await;
            say(organization.id)?;
        }
        OrgCommand::List { store: args } => {
            let store = store::open_current(surroundings, &args).await?;
            for organization in store.port.list_organizations().await? {
                say(format_args!("{}  {}", organization.id, organization.name))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        return Err(format!("--name must have 1 to {NAME_LEN_MAX} characters, none of them a control character"));
    }
    Ok(name.to_owned())
}
