//! Rows of API keys. How a key's text is made and hashed is the api's business, which reads them.

use agentcal_api::key;
use agentcal_engine::ids::{KeyId, OrganizationId};
use agentcal_engine::model::{ApiKey, KeyKind, Mode};
use agentcal_engine::ports::Entropy;
use agentcal_engine::time::Timestamp;
use secrecy::SecretString;

/// What a new key shall be.
#[derive(Clone, Debug)]
pub(crate) struct KeySpec {
    /// Whose.
    pub(crate) organization_id: OrganizationId,
    /// What it may do.
    pub(crate) kind: KeyKind,
    /// Which accounts it sees.
    pub(crate) mode: Mode,
    /// Origins of a publishable key.
    pub(crate) allowed_origins: Vec<String>,
}

/// A new key: its text, which nobody can have again, and the row to keep.
pub(crate) fn mint(spec: KeySpec, now: Timestamp, entropy: &dyn Entropy) -> (SecretString, ApiKey) {
    let minted = key::mint(spec.kind, spec.mode, entropy);
    let row = ApiKey {
        id: KeyId::mint(now, entropy),
        organization_id: spec.organization_id,
        kind: spec.kind,
        mode: spec.mode,
        hash: minted.hash,
        hint: minted.hint,
        allowed_origins: spec.allowed_origins,
        created_at: now,
        revoked_at: None,
    };
    (SecretString::from(minted.text), row)
}
