//! The query every plain list takes.

use agentcal_engine::ports::PageRequest;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::checks::Checks;
use crate::error::ApiError;
use crate::page::page_request;

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Most rows of the page, 1 to 100; 20 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    pub(super) fn read(&self) -> Result<PageRequest, ApiError> {
        let mut checks = Checks::default();
        let page = page_request(&mut checks, self.limit.as_deref(), self.cursor.as_deref());
        checks.finish().map(|()| page)
    }
}

/// The query of routes that take none: whatever is sent is refused by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}
