//! Text that must not be seen.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Text that shows itself to nobody who does not ask by name.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub(crate) struct SecretText(SecretString);

impl SecretText {
    /// The text; `None` where nothing was said.
    pub(crate) fn said(&self) -> Option<&str> {
        Some(self.0.expose_secret()).filter(|text| !text.is_empty())
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for SecretText {}
