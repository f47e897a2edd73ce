//! What a sync remembers between its pages.

use std::collections::BTreeMap;

use agentcal_engine::ports::ProviderError;
use serde::{Deserialize, Serialize};

use crate::event::Traits;
use crate::session::PageLen;

/// Most series whose traits are carried from page to page; those of others are asked for again.
const SERIES_MAX: usize = 500;

/// Where a round goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The link to the next page, as given.
    pub(crate) link: String,
    /// What is known of series whose occurrences may come on later pages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) series: BTreeMap<String, Traits>,
    /// How long its pages are.
    #[serde(default)]
    pub(crate) len: PageLen,
}

impl Place {
    pub(crate) fn at(link: String, mut series: BTreeMap<String, Traits>, len: PageLen) -> Self {
        while series.len() > SERIES_MAX {
            series.pop_first();
        }
        Self { link, series, len }
    }

    pub(crate) fn token(&self) -> String {
        serde_json::to_string(self).expect("a place is plain data")
    }

    pub(crate) fn of(token: &str) -> Result<Self, ProviderError> {
        serde_json::from_str(token).map_err(|error| {
            tracing::warn!(%error, "a page of a sync cannot be read");
            ProviderError::CursorGone
        })
    }
}
