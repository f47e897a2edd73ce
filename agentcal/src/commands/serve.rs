//! `agentcal serve`

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use agentcal_provider_sandbox::SandboxSettings;
use agentcal_store_sqlite::{DataFolderLock, SqliteStore};
use tokio::sync::watch;

use super::CommandResult;
use crate::boot::{self, Plan};
use crate::config::Config;
use crate::metrics;
use crate::server::{self, Limits, Server};

pub(super) async fn run(config: Config) -> CommandResult {
    let stopped = server::stop_signal()?;
    let _lock = DataFolderLock::acquire(folder_of(&config.database.path))?;
    let store = open(&config).await?;
    let listener = bind(config.server.listen).await?;
    let internal_listener = bind(config.server.internal_listen).await?;
    let (address, internal_address) = (listener.address()?, internal_listener.address()?);
    let public_url = config
        .server
        .public_url
        .as_ref()
        .map_or_else(|| format!("http://{address}"), |url| url.as_str().trim_end_matches('/').to_owned());
    let plan = Plan {
        caldav: config.caldav,
        holds: config.holds,
        sandbox: SandboxSettings::default(),
        public_url,
        dev: false,
        metrics: metrics::start()?,
        signing: Arc::new(config.encryption.keyring.signing_keys()),
    };
    let node = boot::start(store.clone(), plan).await?;
    let (stop, stopping) = watch::channel(false);
    let internal =
        tokio::spawn(internal_listener.run(agentcal_api::internal_router(node.api.clone()), stopping.clone()));
    let api = tokio::spawn(listener.run(node.public_router(), stopping));
    node.readiness.set(true);
    tracing::info!(%address, %internal_address, "ready");

    let signal = stopped.await;
    tracing::info!(signal, "stopping: finishing what was accepted");
    node.readiness.set(false);
    stop.send_replace(true);
    let (api, internal) = (api.await?, internal.await?);
    node.scheduler.shutdown().await;
    store.close().await;
    Ok(exit_code(api && internal))
}

/// Refuses what would not keep its promises rather than starting on it.
async fn open(config: &Config) -> Result<SqliteStore, Box<dyn Error>> {
    if !config.database.path.is_file() {
        let path = config.database.path.display();
        return Err(format!("there is no database {path}; run `agentcal migrate` to make it").into());
    }
    let keyring = config.encryption.keyring.clone();
    let store = SqliteStore::open(boot::open_options(config.database.path.clone(), keyring)).await?;
    boot::require_current_schema(&store).await?;
    boot::require_durability(&store).await?;
    boot::require_right_keys(&store).await?;
    let rewrapped = store.rewrap_keys().await?;
    if rewrapped > 0 {
        tracing::info!(rewrapped, "tenants' keys are now protected by the first encryption key");
    }
    Ok(store)
}

async fn bind(address: std::net::SocketAddr) -> Result<Server, Box<dyn Error>> {
    Server::bind(address, Limits::default())
        .await
        .map_err(|error| format!("failed to listen on {address}: {error}").into())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Success only if everything that was accepted was answered.
pub(super) fn exit_code(drained: bool) -> ExitCode {
    if drained {
        tracing::info!("stopped");
        return ExitCode::SUCCESS;
    }
    tracing::error!("stopped with requests unanswered: they took longer than a stop may");
    ExitCode::FAILURE
}
