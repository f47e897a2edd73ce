//! `agentcal org`

use std::process::ExitCode;

use agentcal_delivery_mail::Address;
use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::{Mode, Organization};
use agentcal_engine::ports::Clock;

use super::{CommandResult, Surroundings, org_oauth, say, store};
use crate::cli::{OrgCommand, StoreArgs};
use crate::clock::{OsEntropy, SystemClock};

/// Longest name, in characters.
const NAME_LEN_MAX: usize = 200;

pub(super) async fn run(surroundings: &Surroundings, command: OrgCommand) -> CommandResult {
    match command {
        OrgCommand::Create { name, email, store } => create(surroundings, &name, email.as_deref(), &store).await,
        OrgCommand::Update { id, email, no_email: _, store } => {
            update(surroundings, id, email.as_deref(), &store).await
        }
        OrgCommand::List { store } => list(surroundings, &store).await,
        OrgCommand::RedirectUrl(command) => org_oauth::redirect_url(surroundings, command).await,
        OrgCommand::OauthClient(command) => org_oauth::oauth_client(surroundings, command).await,
    }
}

async fn create(surroundings: &Surroundings, name: &str, email: Option<&str>, args: &StoreArgs) -> CommandResult {
    let (name, email) = (checked_name(name)?, email.map(checked_address).transpose()?);
    let store = store::open_current(surroundings, args).await?;
    let now = SystemClock.now();
    let organization = Organization { id: OrganizationId::mint(now, &OsEntropy), name, created_at: now };
    store.port.create_organization(&organization).await?;
    if let Some(email) = email {
        store.mail_settings().set_notice_email(organization.id, Some(&email)).await?;
    }
    store.close().await;
    say(organization.id)?;
    Ok(ExitCode::SUCCESS)
}

async fn update(
    surroundings: &Surroundings,
    id: OrganizationId,
    email: Option<&str>,
    args: &StoreArgs,
) -> CommandResult {
    let email = email.map(checked_address).transpose()?;
    let store = store::open_current(surroundings, args).await?;
    let is_there = store.mail_settings().set_notice_email(id, email.as_deref()).await;
    store.close().await;
    if !is_there? {
        return Err(format!("there is no organization {id}; see `agentcal org list`").into());
    }
    match email {
        Some(email) => say(format_args!("{id} is told of its own affairs at {email}"))?,
        None => say(format_args!("{id} is not told of its own affairs any more"))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(surroundings: &Surroundings, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    for organization in store.port.list_organizations().await? {
        let reader = store.mail_settings().notice_reader(organization.id, Mode::Live).await?;
        let email = reader.and_then(|reader| reader.email).map(|email| format!("  {email}")).unwrap_or_default();
        say(format_args!("{}  {}{email}", organization.id, organization.name))?;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        return Err(format!("--name must have 1 to {NAME_LEN_MAX} characters, none of them a control character"));
    }
    Ok(name.to_owned())
}

fn checked_address(text: &str) -> Result<String, String> {
    let address: Result<Address, _> = text.trim().parse();
    address
        .map(|address| address.to_string())
        .map_err(|error| format!("--email is no address that mail reaches: {error}"))
}
