//! `agentcal serve`

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agentcal_peers::{PeerTls, ServeOptions};
use agentcal_provider_sandbox::SandboxSettings;
use agentcal_store_sqlite::DataFolderLock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::CommandResult;
use crate::boot::{self, Cluster, Plan};
use crate::config::{Config, DatabaseConfig, PeersConfig};
use crate::durable::Durable;
use crate::metrics;
use crate::server::{self, Limits, Server, Stage};

/// How long a node answers on after it began to say that it is not to be sent requests, where there are others that can be.
/// What `deploy/compose/haproxy.cfg` needs to hear it twice. Then come at most ten seconds for what was accepted, and one
/// or two to end the lease: well below the twenty that a container is given.
const LEAVING: Duration = Duration::from_secs(2);

pub(super) async fn run(config: Config) -> CommandResult {
    let stopped = server::stop_signal()?;
    let _lock = match &config.database {
        DatabaseConfig::Sqlite { path } => Some(DataFolderLock::acquire(folder_of(path))?),
        DatabaseConfig::Postgres { .. } => None,
    };
    let store = open(&config).await?;
    let listener = bind(config.server.listen).await?;
    let internal_listener = TcpListener::bind(config.server.internal_listen)
        .await
        .map_err(|error| format!("failed to listen on {}: {error}", config.server.internal_listen))?;
    let (address, internal_address) = (listener.address()?, internal_listener.local_addr()?);
    let internal_options = ServeOptions::new(config.peers.tls.as_ref().map(PeerTls::server));
    let public_url = config
        .server
        .public_url
        .as_ref()
        .map_or_else(|| format!("http://{address}"), |url| url.as_str().trim_end_matches('/').to_owned());
    let plan = Plan {
        webhooks: config.webhooks,
        caldav: config.caldav,
        mail: config.mail,
        redis_url: config.redis_url,
        cluster: cluster(&config.database, config.peers, internal_address),
        holds: config.holds,
        limits: config.limits,
        vendors: config.vendors,
        sandbox: SandboxSettings::default(),
        public_url,
        outbox: None,
        dev: false,
        metrics: metrics::start()?,
        signing: Arc::new(config.encryption.keyring.signing_keys()),
    };
    let node = boot::start(&store, plan).await?;
    let (stage, staged) = watch::channel(Stage::Open);
    let (stop_internal, internal_stopping) = watch::channel(false);
    let internal =
        agentcal_peers::serve(internal_listener, node.internal_router(), internal_options, internal_stopping);
    let internal = tokio::spawn(internal);
    let api = tokio::spawn(listener.run(node.public_router(), staged));
    node.readiness.set(true);
    tracing::info!(%address, %internal_address, "ready");
    node.look_around();

    let signal = stopped.await;
    tracing::info!(signal, "stopping: finishing what was accepted");
    node.readiness.set(false);
    if node.has_others() {
        stage.send_replace(Stage::Leaving);
        // Owners from here on are nodes that stay. What still comes here is passed on to them.
        tokio::join!(node.scheduler.hand_over(), tokio::time::sleep(LEAVING));
    }
    stage.send_replace(Stage::Closed);
    let api = api.await?;
    // Other nodes go on asking while shards are handed to them.
    node.scheduler.shutdown().await;
    stop_internal.send_replace(true);
    let internal = internal.await?;
    store.close().await;
    Ok(exit_code(api && internal))
}

/// Refuses what would not keep its promises rather than starting on it.
async fn open(config: &Config) -> Result<Durable, Box<dyn Error>> {
    boot::require_database(&config.database)?;
    let store = Durable::open(&config.database, config.encryption.keyring.clone()).await?;
    boot::require_current_schema(&store).await?;
    boot::require_durability(&store).await?;
    boot::require_right_keys(&store).await?;
    boot::require_clock(&store).await?;
    let rewrapped = store.rewrap_keys().await?;
    if rewrapped > 0 {
        tracing::info!(rewrapped, "tenants' keys are now protected by the first encryption key");
    }
    Ok(store)
}

/// Nodes that share a database; a file is of one alone.
fn cluster(database: &DatabaseConfig, peers: PeersConfig, internal_address: SocketAddr) -> Option<Cluster> {
    let DatabaseConfig::Postgres { .. } = database else { return None };
    if let Some(says) = peers.nowhere(internal_address) {
        tracing::warn!("{says}");
    }
    Some(Cluster { address: peers.address(internal_address), peers })
}

async fn bind(address: SocketAddr) -> Result<Server, Box<dyn Error>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = include_str!("../../../deploy/compose/haproxy.cfg");

    /// The proxy that is shipped asks often enough to hear of a node's leaving before the node refuses connections.
    #[test]
    fn the_proxy_hears_it_in_time() {
        let checks = PROXY.lines().find(|line| line.contains("default-server check")).expect("how it checks");
        let value = |name: &str| checks.split(&format!(" {name} ")).nth(1)?.split(' ').next();
        let time = |name: &str| {
            let text = value(name).expect("a time");
            let (number, unit) = match text.strip_suffix("ms") {
                Some(number) => (number, Duration::from_millis(1)),
                None => (text.strip_suffix('s').expect("seconds"), Duration::from_secs(1)),
            };
            unit * number.parse().expect("a number")
        };
        let fall: u32 = value("fall").and_then(|fall| fall.parse().ok()).expect("a number");
        let heard = time("inter") + time("fastinter") * (fall - 1);
        assert!(heard * 3 / 2 <= LEAVING, "{heard:?}, with time for answers, is more than {LEAVING:?}");
    }
}
