//! The durable store, whichever it is: what commands ask of it besides what the engine does.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use agentcal_engine::ports::{
    FactStore as _, JobStore, MailSettingsStore, NodeRecord, OauthStore, RelayStore, Store, StoreError, WebhookStore,
};
use agentcal_store_postgres::{PostgresStore, SchemaState};
use agentcal_store_sqlite::SqliteStore;
use agentcal_store_vault::KeyRing;

use crate::boot::skew::Skew;
use crate::clock::{OsEntropy, SystemClock};
use crate::config::{DatabaseConfig, SecretText};

/// An open store. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Durable {
    /// A file.
    Sqlite(SqliteStore),
    /// A server.
    Postgres(Box<PostgresStore>),
}

/// Where a schema stands against this program's.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Migrations this program brings that the store does not have yet, by name.
    pub(crate) pending: Vec<String>,
    /// Whether a newer program was here.
    pub(crate) is_ahead: bool,
    /// What the store has to be given before those migrations can be made.
    pub(crate) missing_extension: Option<&'static str>,
}

/// What stands in the way of keeping what was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Durability {
    /// With these the program must not run.
    pub(crate) fatal: Vec<String>,
    /// With these it may.
    pub(crate) remarks: Vec<String>,
}

impl Durable {
    /// Opens what is there. A file that is not is made; tables are not, see [`Durable::migrate`].
    pub(crate) async fn open(database: &DatabaseConfig, keyring: Arc<KeyRing>) -> Result<Self, Box<dyn Error>> {
        Ok(match database {
            DatabaseConfig::Sqlite { path } => Self::open_file(path, keyring).await?,
            DatabaseConfig::Postgres { url, connections_max } => {
                let options = postgres_options(url, *connections_max, keyring);
                Self::Postgres(Box::new(PostgresStore::open(options).await?))
            }
        })
    }

    /// Opens a SQLite file.
    pub(crate) async fn open_file(path: &Path, keyring: Arc<KeyRing>) -> Result<Self, Box<dyn Error>> {
        let (entropy, clock) = (Arc::new(OsEntropy), Arc::new(SystemClock));
        let options = agentcal_store_sqlite::OpenOptions { path: path.to_owned(), keyring, entropy, clock };
        Ok(Self::Sqlite(SqliteStore::open(options).await?))
    }

    /// As the engine knows it.
    pub(crate) fn port(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// As what keeps webhooks.
    pub(crate) fn webhooks(&self) -> Arc<dyn WebhookStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// As what keeps what a service for webhooks is to be told.
    pub(crate) fn relays(&self) -> Arc<dyn RelayStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// As what keeps jobs.
    pub(crate) fn jobs(&self) -> Arc<dyn JobStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// As what keeps what mails look like.
    pub(crate) fn mail_settings(&self) -> Arc<dyn MailSettingsStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// As what keeps connecting by consent.
    pub(crate) fn oauth(&self) -> Arc<dyn OauthStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(PostgresStore::clone(store)),
        }
    }

    /// Brings the schema up to date. What it has to wait for is told.
    pub(crate) async fn migrate(&self, tell: &(dyn Fn(&str) + Sync)) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Sqlite(store) => store.migrate().await?,
            Self::Postgres(store) => store.migrate_telling(tell).await?,
        }
        Ok(())
    }

    /// Where the schema stands; reads only.
    pub(crate) async fn schema(&self) -> Result<Schema, StoreError> {
        Ok(match self {
            Self::Sqlite(store) => {
                let state = store.schema_state().await?;
                Schema { is_ahead: !state.unknown.is_empty(), pending: state.pending, missing_extension: None }
            }
            Self::Postgres(store) => {
                let SchemaState { pending, unknown, missing_extension, .. } = store.schema_state().await?;
                Schema { is_ahead: !unknown.is_empty(), pending, missing_extension }
            }
        })
    }

    /// Whether what is acknowledged survives.
    pub(crate) async fn durability(&self) -> Result<Durability, StoreError> {
        Ok(match self {
            Self::Sqlite(store) => sorted(&store.durability_check().await?, |_| true),
            Self::Postgres(store) => sorted(&store.durability_check().await?, |problem| problem.is_fatal()),
        })
    }

    /// Nodes that live, by their leases; `None`: a file is of one alone.
    pub(crate) async fn living_nodes(&self) -> Result<Option<Vec<NodeRecord>>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(store) => store.living_nodes().await.map(Some),
        }
    }

    /// How far this machine's clock is from the store's; `None`: a file has no other clock.
    pub(crate) async fn skew(&self) -> Option<Result<Skew, StoreError>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store) => Some(Skew::measure(|| store.store_now()).await),
        }
    }

    /// Ids of keys that protect something here and are not among those given, or are others.
    pub(crate) async fn unreadable_key_ids(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Sqlite(store) => store.unreadable_key_ids().await,
            Self::Postgres(store) => store.unreadable_key_ids().await,
        }
    }

    /// Protects every tenant's key by the first encryption key; how many were protected by another.
    pub(crate) async fn rewrap_keys(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.rewrap_keys().await,
            Self::Postgres(store) => store.rewrap_keys().await,
        }
    }

    /// The same for some of them, in one transaction; none: there are none left.
    pub(crate) async fn rewrap_some_keys(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.rewrap_some_keys().await,
            Self::Postgres(store) => store.rewrap_some_keys().await,
        }
    }

    /// The id of the first encryption key.
    pub(crate) fn active_key_id(&self) -> &str {
        match self {
            Self::Sqlite(store) => store.active_key_id(),
            Self::Postgres(store) => store.active_key_id(),
        }
    }

    /// Ends all connections, after the statements under way.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

fn postgres_options(
    url: &SecretText,
    connections_max: u32,
    keyring: Arc<KeyRing>,
) -> agentcal_store_postgres::OpenOptions {
    let url = url.said().unwrap_or_default().to_owned();
    let options = agentcal_store_postgres::OpenOptions::new(url, keyring, Arc::new(OsEntropy));
    agentcal_store_postgres::OpenOptions { connections_max, ..options }
}

fn sorted<P: fmt::Display>(problems: &[P], is_fatal: impl Fn(&P) -> bool) -> Durability {
    let (fatal, remarks): (Vec<&P>, Vec<&P>) = problems.iter().partition(|problem| is_fatal(problem));
    let in_words = |problems: Vec<&P>| problems.iter().map(ToString::to_string).collect();
    Durability { fatal: in_words(fatal), remarks: in_words(remarks) }
}
