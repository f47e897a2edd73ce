//! Keys that protect stored tokens, passwords and kept answers.

use std::fmt;
use std::sync::Arc;

use agentcal_store_vault::KeyRing;
use serde::Deserialize;

use super::error::Problem;
use super::secret::SecretText;
use super::settings::ENCRYPTION_KEYS;

/// How to make one.
const WAY_OUT: &str = "make a key with `openssl rand -base64 32` and set it as k1:<that key>; keep it as safe as the \
                       database: what it protects cannot be read without it";

/// Keys that protect stored secrets.
#[derive(Clone)]
pub(crate) struct EncryptionConfig {
    /// The first one protects, all of them open.
    pub(crate) keyring: Arc<KeyRing>,
}

impl fmt::Debug for EncryptionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keyring.key_ids()).finish()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    keys: Option<SecretText>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<EncryptionConfig, Vec<Problem>> {
        let problem = |says: String| vec![Problem::of(ENCRYPTION_KEYS, says)];
        let keys = self.keys.as_ref().and_then(SecretText::said);
        let keys = keys.ok_or_else(|| problem(format!("is not set; {WAY_OUT}")))?;
        let keyring = KeyRing::parse(keys).map_err(|error| problem(format!("{error}; {WAY_OUT}")))?;
        Ok(EncryptionConfig { keyring: Arc::new(keyring) })
    }
}
