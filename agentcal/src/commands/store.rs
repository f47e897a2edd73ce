//! Opening the store for commands that work beside a running server, and so without its lock.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use agentcal_engine::ports::{JobStore, MailSettingsStore, OauthStore, Store, StoreError};
use agentcal_store_vault::KeyRing;

use super::Surroundings;
use crate::boot::{self, DATABASE_FILE};
use crate::cli::StoreArgs;
use crate::clock::OsEntropy;
use crate::config::DatabaseConfig;
use crate::durable::Durable;

/// The store of the data folder that was named, else the configured one, as it is.
pub(crate) async fn open(surroundings: &Surroundings, args: &StoreArgs) -> Result<Durable, Box<dyn Error>> {
    let (database, keyring) = place(surroundings, args)?;
    Durable::open(&database, keyring).await
}

/// The same, refused where the schema is not this program's or the keys do not open what is stored.
pub(crate) async fn open_current(surroundings: &Surroundings, args: &StoreArgs) -> Result<Opened, Box<dyn Error>> {
    let (database, keyring) = place(surroundings, args)?;
    boot::require_database(&database)?;
    let durable = Durable::open(&database, keyring).await?;
    boot::require_current_schema(&durable).await?;
    boot::require_right_keys(&durable).await?;
    Ok(Opened { port: durable.port(), durable })
}

/// A store to ask and to close.
pub(crate) struct Opened {
    /// What to ask.
    pub(crate) port: Arc<dyn Store>,
    durable: Durable,
}

impl Opened {
    /// The store, as what keeps jobs.
    pub(crate) fn jobs(&self) -> Arc<dyn JobStore> {
        self.durable.jobs()
    }

    /// The store, as what keeps what mails look like and whom notices reach.
    pub(crate) fn mail_settings(&self) -> Arc<dyn MailSettingsStore> {
        self.durable.mail_settings()
    }

    /// The store, as what keeps connecting by consent.
    pub(crate) fn oauth(&self) -> Arc<dyn OauthStore> {
        self.durable.oauth()
    }

    /// Protects some tenants' keys by the first encryption key; how many were protected by another, none: all are done.
    pub(crate) async fn rewrap_some_keys(&self) -> Result<u64, StoreError> {
        self.durable.rewrap_some_keys().await
    }

    /// The id of the first encryption key.
    pub(crate) fn active_key_id(&self) -> &str {
        self.durable.active_key_id()
    }

    /// Ends all connections.
    pub(crate) async fn close(self) {
        self.durable.close().await;
    }
}

fn place(surroundings: &Surroundings, args: &StoreArgs) -> Result<(DatabaseConfig, Arc<KeyRing>), Box<dyn Error>> {
    match &args.data_dir {
        Some(data_dir) => of_data_dir(data_dir),
        None => {
            let config = surroundings.raw_config()?.check_store()?;
            Ok((config.database, config.encryption.keyring))
        }
    }
}

fn of_data_dir(data_dir: &Path) -> Result<(DatabaseConfig, Arc<KeyRing>), Box<dyn Error>> {
    let path = data_dir.join(DATABASE_FILE);
    if !path.is_file() {
        return Err(format!("there is no database in {}; `agentcal dev` makes one", data_dir.display()).into());
    }
    let keyring = KeyRing::load_or_create(&data_dir.join(boot::KEYRING_FILE), &OsEntropy)?;
    Ok((DatabaseConfig::Sqlite { path }, Arc::new(keyring)))
}
