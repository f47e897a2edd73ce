//! Opening the store for commands that work beside a running server, and so without its lock.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use agentcal_store_sqlite::{OpenOptions, SqliteStore};
use agentcal_store_vault::KeyRing;

use super::Surroundings;
use crate::boot::{self, DATABASE_FILE};
use crate::cli::StoreArgs;
use crate::clock::OsEntropy;

/// The store of the data folder that was named, else the configured one, as it is.
pub(crate) async fn open(surroundings: &Surroundings, args: &StoreArgs) -> Result<SqliteStore, Box<dyn Error>> {
    Ok(SqliteStore::open(options(surroundings, args)?).await?)
}

/// The same, refused where the schema is not this program's or the keys do not open what is stored.
pub(crate) async fn open_current(surroundings: &Surroundings, args: &StoreArgs) -> Result<SqliteStore, Box<dyn Error>> {
    let options = options(surroundings, args)?;
    if !options.path.is_file() {
        return Err(
            format!("there is no database {}; run `agentcal migrate` to make it", options.path.display()).into()
        );
    }
    let store = SqliteStore::open(options).await?;
    boot::require_current_schema(&store).await?;
    boot::require_right_keys(&store).await?;
    Ok(store)
}

fn options(surroundings: &Surroundings, args: &StoreArgs) -> Result<OpenOptions, Box<dyn Error>> {
    match &args.data_dir {
        Some(data_dir) => of_data_dir(data_dir),
        None => {
            let config = surroundings.raw_config()?.check_store()?;
            Ok(boot::open_options(config.database.path, config.encryption.keyring))
        }
    }
}

fn of_data_dir(data_dir: &Path) -> Result<OpenOptions, Box<dyn Error>> {
    let path = data_dir.join(DATABASE_FILE);
    if !path.is_file() {
        return Err(format!("there is no database in {}; `agentcal dev` makes one", data_dir.display()).into());
    }
    let keyring = KeyRing::load_or_create(&data_dir.join(boot::KEYRING_FILE), &OsEntropy)?;
    Ok(boot::open_options(path, Arc::new(keyring)))
}
