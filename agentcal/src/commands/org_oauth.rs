//! `agentcal org redirect-url` and `agentcal org oauth-client`

use std::io::Read as _;
use std::process::ExitCode;

use agentcal_engine::ids::OrganizationId;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::oauth::RedirectUrl;
use agentcal_engine::ports::{OauthClient, REDIRECT_URLS_MAX, Write};

use super::{CommandResult, Surroundings, say, store};
use crate::cli::{OauthClientCommand, RedirectUrlCommand, StoreArgs, VendorArg};

/// Longest id or secret of a client.
const CLIENT_LEN_MAX: usize = 1_024;
const VENDORS: [VendorArg; 2] = [VendorArg::Google, VendorArg::Microsoft];

pub(super) async fn redirect_url(surroundings: &Surroundings, command: RedirectUrlCommand) -> CommandResult {
    match command {
        RedirectUrlCommand::Add { organization, url, store } => add(surroundings, organization, &url, &store).await,
        RedirectUrlCommand::Remove { organization, url, store } => {
            remove(surroundings, organization, &url, &store).await
        }
        RedirectUrlCommand::List { organization, store: args } => {
            let store = store::open_current(surroundings, &args).await?;
            let urls = store.oauth().redirect_urls(organization).await;
            store.close().await;
            for url in urls? {
                say(url)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(super) async fn oauth_client(surroundings: &Surroundings, command: OauthClientCommand) -> CommandResult {
    match command {
        OauthClientCommand::Set { organization, provider, client_id, store } => {
            set(surroundings, organization, provider, &client_id, &store).await
        }
        OauthClientCommand::Remove { organization, provider, store: args } => {
            let store = store::open_current(surroundings, &args).await?;
            let removed = store.oauth().remove_oauth_client(organization, provider.into()).await;
            store.close().await;
            if !removed? {
                return Err(format!("{organization} has no client at {}", name(provider)).into());
            }
            say(format_args!("{organization} has no client of its own at {} any more", name(provider)))?;
            Ok(ExitCode::SUCCESS)
        }
        OauthClientCommand::List { organization, store } => list(surroundings, organization, &store).await,
    }
}

async fn add(surroundings: &Surroundings, organization: OrganizationId, url: &str, args: &StoreArgs) -> CommandResult {
    let url = RedirectUrl::parse(url).map_err(|refusal| format!("the address {refusal}"))?;
    let store = store::open_current(surroundings, args).await?;
    let write = store.oauth().add_redirect_url(organization, &url.to_string()).await;
    store.close().await;
    match write? {
        Write::Done => {
            say(format_args!("browsers may come back to {url}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Write::Refused(_) => {
            Err(format!("{organization} lists {REDIRECT_URLS_MAX} addresses, as many as it may; remove one").into())
        }
        _ => Err(format!("there is no organization {organization}; see `agentcal org list`").into()),
    }
}

async fn remove(
    surroundings: &Surroundings,
    organization: OrganizationId,
    url: &str,
    args: &StoreArgs,
) -> CommandResult {
    // As it is listed, however it was typed.
    let listed = RedirectUrl::parse(url).map_or_else(|_refusal| url.to_owned(), |url| url.to_string());
    let store = store::open_current(surroundings, args).await?;
    let removed = store.oauth().remove_redirect_url(organization, &listed).await;
    store.close().await;
    if !removed? {
        return Err(format!("{listed} is not in the list; see `agentcal org redirect-url list`").into());
    }
    say(format_args!("browsers may not come back to {listed} any more"))?;
    Ok(ExitCode::SUCCESS)
}

async fn set(
    surroundings: &Surroundings,
    organization: OrganizationId,
    provider: VendorArg,
    client_id: &str,
    args: &StoreArgs,
) -> CommandResult {
    let client = OauthClient { client_id: checked("--client-id", client_id)?, client_secret: secret()? };
    let store = store::open_current(surroundings, args).await?;
    let kept = store.oauth().put_oauth_client(organization, provider.into(), &client).await;
    store.close().await;
    if !kept? {
        return Err(format!("there is no organization {organization}; see `agentcal org list`").into());
    }
    say(format_args!("{organization} is {} at {} from now on", client.client_id, name(provider)))?;
    Ok(ExitCode::SUCCESS)
}

async fn list(surroundings: &Surroundings, organization: OrganizationId, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    for provider in VENDORS {
        let client = store.oauth().oauth_client(organization, ProviderKind::from(provider)).await?;
        if let Some(client) = client {
            say(format_args!("{}  {}", name(provider), client.client_id))?;
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Arguments are seen by everybody on a machine; what comes in on standard input is not.
fn secret() -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();
    let limit = u64::try_from(CLIENT_LEN_MAX).unwrap_or(u64::MAX) + 2;
    std::io::stdin().take(limit).read_to_string(&mut text)?;
    Ok(checked("the secret on standard input", &text)?)
}

fn checked(what: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_fine = !text.is_empty() && text.len() <= CLIENT_LEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fine { Ok(text.to_owned()) } else { Err(format!("{what} must be 1 to {CLIENT_LEN_MAX} plain characters")) }
}

fn name(provider: VendorArg) -> &'static str {
    match provider {
        VendorArg::Google => "google",
        VendorArg::Microsoft => "microsoft",
    }
}
