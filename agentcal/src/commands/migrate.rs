//! `agentcal migrate`

use std::process::ExitCode;

use super::{CommandResult, Surroundings, say, store};
use crate::cli::StoreArgs;

pub(super) async fn run(surroundings: &Surroundings, args: StoreArgs) -> CommandResult {
    let store = store::open(surroundings, &args).await?;
    let before = store.schema().await?;
    store.migrate(&|news| eprintln!("agentcal: {news}")).await?;
    store.close().await;
    for migration in &before.pending {
        say(format_args!("applied {migration}"))?;
    }
    if before.pending.is_empty() {
        say("nothing to do: the schema is up to date")?;
    }
    Ok(ExitCode::SUCCESS)
}
