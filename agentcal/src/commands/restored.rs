//! `agentcal restored`

use std::process::ExitCode;

use super::{CommandResult, Surroundings, say, store};
use crate::cli::StoreArgs;

pub(super) async fn run(surroundings: &Surroundings, args: StoreArgs) -> CommandResult {
    let store = store::open_current(surroundings, &args).await?;
    let epoch = store.port.raise_epoch().await?;
    store.close().await;
    say(format_args!("every shard is nobody's, under epoch {}; whatever ran before is refused", epoch.0))?;
    Ok(ExitCode::SUCCESS)
}
