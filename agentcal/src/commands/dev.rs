//! `agentcal dev`

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::commit::HoldLimits;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{Clock, Store};
use agentcal_engine::signed::SigningKeys;
use agentcal_provider_sandbox::SandboxSettings;
use agentcal_store_sqlite::DataFolderLock;
use agentcal_store_vault::KeyRing;
use tokio::sync::watch;

use super::dev_files::{DevFile, banner};
use super::serve::exit_code;
use super::{CommandResult, say};
use crate::boot::{self, DATABASE_FILE, KEYRING_FILE, Node, OUTBOX_FOLDER, Plan};
use crate::cli::DevArgs;
use crate::clock::{OsEntropy, SystemClock};
use crate::config::{CaldavConfig, LimitsConfig, MailConfig, VendorsConfig, WebhooksConfig};
use crate::demo::{self, Manifest};
use crate::durable::Durable;
use crate::server::{self, Limits, Server, Stage};
use crate::{files, metrics};

/// Longest wait for the demo calendars' first syncs. They are in this process, so this never passes in good health.
const FIRST_SYNCS_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(
    args: DevArgs,
    holds: HoldLimits,
    limits: LimitsConfig,
    vendors: VendorsConfig,
) -> CommandResult {
    let stopped = server::stop_signal()?;
    files::make_folder(&args.data_dir)?;
    let _lock = DataFolderLock::acquire(&args.data_dir)?;
    let (store, signing) = open(&args.data_dir).await?;
    let port = store.port();
    let manifest = demo_data(&*port, &args.data_dir).await?;
    let listener = bind(SocketAddr::new(args.bind, args.port)).await?;
    let base_url = base_url(listener.address()?);
    let plan = Plan {
        outbox: Some(args.data_dir.join(OUTBOX_FOLDER)),
        ..plan(&args.data_dir, base_url.clone(), signing, holds, limits, vendors)?
    };
    let node = boot::start(&store, plan).await?;
    let (stage, staged) = watch::channel(Stage::Open);
    let router = node.public_router();
    let api = tokio::spawn(listener.run(router.clone(), staged));

    let running = async {
        first_syncs(&*port, &node, &manifest).await?;
        let file = DevFile::of(base_url, &manifest);
        file.write(&args.data_dir)?;
        node.readiness.set(true);
        say(banner(&file, &args.data_dir, router).await)?;
        Ok::<(), Box<dyn Error>>(())
    };
    tokio::pin!(stopped);
    let signal = tokio::select! {
        signal = &mut stopped => signal,
        started = running => {
            started?;
            stopped.await
        }
    };
    tracing::info!(signal, "stopping: finishing what was accepted");
    node.readiness.set(false);
    stage.send_replace(Stage::Closed);
    let drained = api.await?;
    node.scheduler.shutdown().await;
    store.close().await;
    Ok(exit_code(drained))
}

async fn open(data_dir: &Path) -> Result<(Durable, Arc<SigningKeys>), Box<dyn Error>> {
    let keyring = KeyRing::load_or_create(&data_dir.join(KEYRING_FILE), &OsEntropy)?;
    let signing = Arc::new(keyring.signing_keys());
    let store = Durable::open_file(&data_dir.join(DATABASE_FILE), Arc::new(keyring)).await?;
    store.migrate(&|_| ()).await?;
    boot::require_durability(&store).await?;
    boot::require_right_keys(&store).await?;
    Ok((store, signing))
}

/// The demo's ids and keys; on the first start, and after the database was taken away, its rows too.
async fn demo_data(store: &dyn Store, data_dir: &Path) -> Result<Manifest, Box<dyn Error>> {
    let now = SystemClock.now();
    let mut manifest = Manifest::load_or_create(data_dir, now, &OsEntropy)?;
    if !manifest.seeded || store.list_organizations().await?.is_empty() {
        demo::seed(store, &manifest, now).await?;
        manifest.seeded = true;
        manifest.save(data_dir)?;
    }
    Ok(manifest)
}

async fn bind(address: SocketAddr) -> Result<Server, Box<dyn Error>> {
    Server::bind(address, Limits::default())
        .await
        .map_err(|error| format!("failed to listen on {address}: {error}; try --port 0 for a free port").into())
}

/// An address to open from this machine.
fn base_url(address: SocketAddr) -> String {
    let everywhere = address.ip().is_unspecified();
    if everywhere { format!("http://127.0.0.1:{}", address.port()) } else { format!("http://{address}") }
}

fn plan(
    data_dir: &Path,
    public_url: String,
    signing: Arc<SigningKeys>,
    holds: HoldLimits,
    limits: LimitsConfig,
    vendors: VendorsConfig,
) -> Result<Plan, Box<dyn Error>> {
    Ok(Plan {
        caldav: CaldavConfig::in_dev(),
        webhooks: WebhooksConfig::in_dev(),
        mail: Some(MailConfig::in_dev(data_dir.join(OUTBOX_FOLDER))),
        redis_url: None,
        cluster: None,
        holds,
        limits,
        vendors,
        sandbox: SandboxSettings::default(),
        public_url,
        outbox: None,
        dev: true,
        metrics: metrics::start()?,
        signing,
    })
}

/// Waits until the demo can be asked. Other calendars are not waited for: their servers may be down.
async fn first_syncs(store: &dyn Store, node: &Node, manifest: &Manifest) -> Result<(), Box<dyn Error>> {
    let Some(config) = store.account_config(manifest.account_id).await? else { return Ok(()) };
    let sandboxes = config.calendars.iter().filter(|calendar| calendar.provider == ProviderKind::Sandbox);
    let calendar_ids: Vec<CalendarId> = sandboxes.map(|calendar| calendar.id).collect();
    if !node.scheduler.synced(manifest.account_id, &calendar_ids, FIRST_SYNCS_MAX).await {
        return Err("the demo calendars did not sync in time".into());
    }
    Ok(())
}
