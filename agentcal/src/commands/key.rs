//! `agentcal key`

use std::process::ExitCode;

use agentcal_engine::ids::KeyId;
use agentcal_engine::model::{ApiKey, KeyKind, Mode};
use agentcal_engine::ports::Clock;
use secrecy::ExposeSecret;
use url::Url;

use super::{CommandResult, Surroundings, say, store};
use crate::cli::{KeyCommand, StoreArgs};
use crate::clock::{OsEntropy, SystemClock};
use crate::keys::{self, KeySpec};

pub(super) async fn run(surroundings: &Surroundings, command: KeyCommand) -> CommandResult {
    match command {
        KeyCommand::Create { organization, mode, kind, origins, store } => {
            let (kind, allowed_origins) = (kind.into(), checked_origins(kind.into(), &origins)?);
            let spec = KeySpec { organization_id: organization, kind, mode: mode.into(), allowed_origins };
            create(surroundings, spec, &store).await
        }
        KeyCommand::Revoke { id, store } => revoke(surroundings, id, &store).await,
        KeyCommand::List { organization, store: args } => {
            let store = store::open_current(surroundings, &args).await?;
            for key in store.port.list_keys(organization).await? {
                say(line(&key))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The key alone goes to standard output, so that a script can take it.
async fn create(surroundings: &Surroundings, spec: KeySpec, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    if store.port.organization(spec.organization_id).await?.is_none() {
        return Err(format!("there is no organization {}; see `agentcal org list`", spec.organization_id).into());
    }
    let (text, row) = keys::mint(spec, SystemClock.now(), &OsEntropy);
    store.port.create_key(&row).await?;
    store.close().await;
    eprintln!("{} made; this is the only time it is shown:", row.id);
    say(text.expose_secret())?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(surroundings: &Surroundings, id: KeyId, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    let revoked = store.port.revoke_key(id, SystemClock.now()).await?;
    store.close().await;
    if !revoked {
        return Err(format!("there is no key {id} that could be revoked; see `agentcal key list`").into());
    }
    say(format_args!("{id} revoked; every node refuses it within five seconds"))?;
    Ok(ExitCode::SUCCESS)
}

fn line(key: &ApiKey) -> String {
    let kind = match key.kind {
        KeyKind::Secret => "secret",
        KeyKind::Publishable => "publishable",
    };
    let mode = match key.mode {
        Mode::Live => "live",
        Mode::Test => "test",
    };
    let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
    let made = key.created_at.to_utc().format("%Y-%m-%d");
    let origins = key.allowed_origins.join(" ");
    format!("{}  {}…  {mode}  {kind}  {state}  {made}  {origins}", key.id, key.hint).trim_end().to_owned()
}

/// Origins are compared as browsers send them: scheme, host and port, nothing else.
fn checked_origins(kind: KeyKind, origins: &[String]) -> Result<Vec<String>, String> {
    match kind {
        KeyKind::Secret if !origins.is_empty() => {
            Err("--origin is for publishable keys; secret keys must not be used in browsers".to_owned())
        }
        KeyKind::Publishable if origins.is_empty() => {
            Err("a publishable key needs at least one --origin, as in --origin https://example.com".to_owned())
        }
        _ => origins.iter().map(|origin| checked_origin(origin)).collect(),
    }
}

fn checked_origin(text: &str) -> Result<String, String> {
    let origin = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(|url| url.origin());
    let origin = origin.map(|origin| origin.ascii_serialization());
    let same = origin.as_deref() == Some(text.trim_end_matches('/'));
    origin
        .filter(|_| same)
        .ok_or_else(|| format!("--origin {text}: must be scheme and host, as in https://example.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        let check = |kind: KeyKind, origins: &[&str], expected: Option<&[&str]>| {
            let given: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
            let taken = checked_origins(kind, &given).ok();
            let expected = expected.map(|origins| origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>());
            assert_eq!(taken, expected, "{kind:?} {origins:?}");
        };
        check(KeyKind::Secret, &[], Some(&[]));
        check(KeyKind::Secret, &["https://example.com"], None);
        check(KeyKind::Publishable, &[], None);
        check(KeyKind::Publishable, &["https://example.com/"], Some(&["https://example.com"]));
        check(KeyKind::Publishable, &["http://localhost:3000"], Some(&["http://localhost:3000"]));
        check(KeyKind::Publishable, &["https://example.com/shop"], None);
        check(KeyKind::Publishable, &["example.com"], None);
        check(KeyKind::Publishable, &["ftp://example.com"], None);
        check(KeyKind::Publishable, &["*"], None);
    }
}
