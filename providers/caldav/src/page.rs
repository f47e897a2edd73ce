//! What a sync remembers between its pages and between two syncs.

use agentcal_engine::ports::{ProviderError, SyncCursor};
use serde::{Deserialize, Serialize};

/// Most resources one sync delivers.
pub(crate) const RESOURCES_MAX: usize = 100_000;
/// Most resources of one calendar a server may fail to deliver before the calendar as a whole counts as unavailable.
pub(crate) const UNREAD_MAX: usize = 20;
/// Resources whose text is asked for at once.
pub(crate) const PAGE_LEN: usize = 50;

/// Where a collection's history stands, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Position {
    /// A sync-token (RFC 6578).
    Token(String),
    /// The collection's tag, on servers that keep no history: equal means unchanged.
    Tag(String),
    /// A digest over every resource's ETag, on servers that have no tag either.
    Etags(String),
}

/// What a cursor carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Where the history stands.
    pub(crate) position: Position,
    /// Hrefs of resources the server could not deliver. They block meanwhile, and each sync asks for them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unread: Vec<String>,
}

impl Place {
    pub(crate) fn cursor(&self) -> SyncCursor {
        SyncCursor(serde_json::to_string(self).expect("a place is plain data"))
    }

    /// A cursor that cannot be read is of no use any more: a full sync makes a new one.
    pub(crate) fn of(cursor: &SyncCursor) -> Result<Self, ProviderError> {
        serde_json::from_str(&cursor.0).map_err(|error| {
            tracing::warn!(%error, "a sync cursor cannot be read");
            ProviderError::CursorGone
        })
    }
}

/// What is left of a sync after a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rest {
    /// What the whole sync will stand for.
    pub(crate) place: Place,
    /// Hrefs whose text is still to be asked for, the next ones last.
    pub(crate) hrefs: Vec<String>,
}

impl Rest {
    pub(crate) fn token(&self) -> String {
        serde_json::to_string(self).expect("a page is plain data")
    }

    pub(crate) fn of(token: &str) -> Result<Self, ProviderError> {
        serde_json::from_str(token).map_err(|error| {
            tracing::warn!(%error, "a page of a sync cannot be read");
            ProviderError::CursorGone
        })
    }

    /// Takes the hrefs of the next page.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.hrefs.split_off(self.hrefs.len().saturating_sub(PAGE_LEN))
    }
}
