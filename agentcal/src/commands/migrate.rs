//! `agentcal migrate`

use std::process::ExitCode;

use super::{CommandResult, Surroundings, store};
use crate::cli::StoreArgs;

pub(super) async fn run(surroundings: &Surroundings, args: StoreArgs) -> CommandResult {
    let store = store::open(surroundings, &args).await?;
    let before = store.schema_state().await?;
    store.migrate().await?;
    store.close().await;
    for migration in &before.pending {
        println!("applied {migration}");
    }
    if before.pending.is_empty() {
        println!("nothing to do: the schema is up to date");
    }
    Ok(ExitCode::SUCCESS)
}
