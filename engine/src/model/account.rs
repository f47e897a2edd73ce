//! Who holds keys, and whose data is whose.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, KeyId, OrganizationId};
use crate::time::Timestamp;

/// Whether an account was made by a live or by a test key. Fixed for its life; the other mode does not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Made by `sk_live_..` keys.
    Live,
    /// Made by `sk_test_..` keys; its mail stays in the local outbox.
    Test,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// `sk_..`: everything in its organization and mode.
    Secret,
    /// `pk_..`: public event types only, from the allowed origins.
    Publishable,
}

/// A customer of AgentCal: holds the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key as it is kept: by hash, never by text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, which logs may name.
    pub id: KeyId,
    /// Whose key it is.
    pub organization_id: OrganizationId,
    /// What it may do.
    pub kind: KeyKind,
    /// Which accounts it sees.
    pub mode: Mode,
    /// SHA-256 of the whole key text. The text has 256 bits of chance, so a slow hash would add nothing.
    pub hash: [u8; 32],
    /// The first characters of the key text, to tell keys apart in lists.
    pub hint: String,
    /// Origins a publishable key may be used from; empty for secret keys.
    pub allowed_origins: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// One customer of an organization; the border no query crosses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The organization it belongs to.
    pub organization_id: OrganizationId,
    /// The mode of the key that made it.
    pub mode: Mode,
    /// Its name, for people.
    pub name: String,
    /// IANA zone used where a user has none; UTC when absent.
    pub timezone: Option<chrono_tz::Tz>,
    /// The caller's own data, kept and returned, never read.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Proof that a request's key may see an account; every tenant query takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenant {
    /// The organization of the key.
    pub organization_id: OrganizationId,
    /// The mode of the key.
    pub mode: Mode,
    /// The account named in the path, verified to belong to both.
    pub account_id: AccountId,
}
