//! `agentcal rotate-keys`

use std::process::ExitCode;

use super::{CommandResult, Surroundings, say, store};
use crate::cli::StoreArgs;

pub(super) async fn run(surroundings: &Surroundings, args: &StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, args).await?;
    let active = store.active_key_id().to_owned();
    let rotated = rotate(&store).await;
    store.close().await;
    let rotated = rotated?;
    match rotated {
        0 => say(format_args!("everything is protected by the key {active} already"))?,
        rotated => say(format_args!("{rotated} keys of tenants are protected by the key {active} from now on"))?,
    }
    say("other keys may leave AGENTCAL_ENCRYPTION_KEYS once no node runs that has another one in front")?;
    Ok(ExitCode::SUCCESS)
}

/// Batch by batch, each a transaction of its own: stopped anywhere and begun again, it does what is left.
async fn rotate(store: &store::Opened) -> Result<u64, Box<dyn std::error::Error>> {
    let mut rotated = 0;
    loop {
        match store.rewrap_some_keys().await? {
            0 => return Ok(rotated),
            batch => {
                rotated += batch;
                say(format_args!("{rotated} done"))?;
            }
        }
    }
}
