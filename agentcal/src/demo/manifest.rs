//! The demo's ids and keys, as they are kept beside the database. The database has only the keys' hashes.

use std::io;
use std::path::{Path, PathBuf};

use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, EventTypeId, OrganizationId, UserId};
use agentcal_engine::model::{ApiKey, KeyKind, Mode};
use agentcal_engine::ports::Entropy;
use agentcal_engine::time::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::people::{OFFERS_LEN, PEOPLE_LEN};
use crate::files;
use crate::keys::{self, KeySpec};

/// Name of the file in the data folder.
const KEYS_FILE: &str = "keys.json";

/// Why there are no ids and keys.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The file could not be read or written.
    #[error("failed to keep the demo's keys in {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("failed to read the demo's keys from {path}; move it away to start with new ones")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Every id of the demo, chosen before anything is written, so that a seeding that was interrupted can go on.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Whether everything was written once. From then on the demo is the user's to change.
    pub(crate) seeded: bool,
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// The secret key.
    pub(crate) secret_key: DemoKey,
    /// The publishable key.
    pub(crate) publishable_key: DemoKey,
    /// The account.
    pub(crate) account_id: AccountId,
    /// The people, in order.
    pub(crate) people: [PersonIds; PEOPLE_LEN],
    /// The event types, in order.
    pub(crate) event_type_ids: [EventTypeId; OFFERS_LEN],
}

/// A key of the demo with its text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DemoKey {
    /// What callers send.
    pub(crate) text: String,
    /// What the store keeps.
    pub(crate) row: ApiKey,
}

/// Ids of a person and what belongs to it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonIds {
    /// The user.
    pub(crate) user_id: UserId,
    /// Its connection.
    pub(crate) connection_id: ConnectionId,
    /// Its working calendar.
    pub(crate) work_calendar_id: CalendarId,
    /// Its calendar of holidays.
    pub(crate) holidays_calendar_id: CalendarId,
}

impl Manifest {
    /// The ids and keys of this data folder; new ones, safely kept, on the first start.
    pub(crate) fn load_or_create(
        data_dir: &Path,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, ManifestError> {
        let path = data_dir.join(KEYS_FILE);
        match std::fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map_err(|source| ManifestError::Content { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let manifest = Self::mint(now, entropy);
                manifest.save(data_dir)?;
                Ok(manifest)
            }
            Err(source) => Err(ManifestError::File { path, source }),
        }
    }

    /// Keeps it.
    pub(crate) fn save(&self, data_dir: &Path) -> Result<(), ManifestError> {
        let path = data_dir.join(KEYS_FILE);
        let content = serde_json::to_vec_pretty(self).expect("ids and texts can be written as JSON");
        files::replace(&path, &content).map_err(|source| ManifestError::File { path, source })
    }

    fn mint(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let organization_id = OrganizationId::mint(now, entropy);
        let key = |kind| {
            let spec = KeySpec { organization_id, kind, mode: Mode::Test, allowed_origins: allowed_origins(kind) };
            let (text, row) = keys::mint(spec, now, entropy);
            DemoKey { text: text.expose_secret().to_owned(), row }
        };
        Self {
            seeded: false,
            organization_id,
            secret_key: key(KeyKind::Secret),
            publishable_key: key(KeyKind::Publishable),
            account_id: AccountId::mint(now, entropy),
            people: std::array::from_fn(|_| PersonIds {
                user_id: UserId::mint(now, entropy),
                connection_id: ConnectionId::mint(now, entropy),
                work_calendar_id: CalendarId::mint(now, entropy),
                holidays_calendar_id: CalendarId::mint(now, entropy),
            }),
            event_type_ids: std::array::from_fn(|_| EventTypeId::mint(now, entropy)),
        }
    }
}

/// Where a page under development is commonly served from.
fn allowed_origins(kind: KeyKind) -> Vec<String> {
    let origins: &[&str] = match kind {
        KeyKind::Secret => &[],
        KeyKind::Publishable => &[
            "http://localhost:3000",
            "http://localhost:5173",
            "http://localhost:8000",
            "http://localhost:8080",
            "http://127.0.0.1:3000",
            "http://127.0.0.1:5173",
            "http://127.0.0.1:8000",
            "http://127.0.0.1:8080",
        ],
    };
    origins.iter().map(|&origin| origin.to_owned()).collect()
}
