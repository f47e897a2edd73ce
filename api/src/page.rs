//! Pages of lists. A cursor is the sort key and id of the last row, opaque to callers.

use agentcal_engine::ports::{ListPage, PageRequest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::checks::Checks;

/// Rows of a page when the caller does not say.
const LIMIT_DEFAULT: u32 = 20;
/// Most rows of a page.
const LIMIT_MAX: u32 = 100;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The rows of this page.
    pub(crate) data: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    pub(crate) fn of<Row>(page: ListPage<Row>, view: impl FnMut(Row) -> T) -> Self {
        Self { data: page.rows.into_iter().map(view).collect(), next_cursor: page.next.map(encode) }
    }

    /// Nothing, and nothing after it.
    pub(crate) fn empty() -> Self {
        Self { data: Vec::new(), next_cursor: None }
    }

    /// A page somebody else made, whose cursor is theirs.
    pub(crate) fn of_service<Row>(rows: Vec<Row>, next_cursor: Option<String>, view: impl FnMut(Row) -> T) -> Self {
        Self { data: rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// What `limit` and `cursor` ask for.
pub(crate) fn page_request(checks: &mut Checks, limit: Option<&str>, cursor: Option<&str>) -> PageRequest {
    let limit = limit_of(checks, limit);
    let after = cursor.and_then(|cursor| {
        let decoded = decode(cursor);
        if decoded.is_none() {
            checks.unreadable("cursor", "must be a `next_cursor` as it was answered, or left out");
        }
        decoded
    });
    PageRequest { limit, after }
}

/// Most rows that `limit` asks for.
pub(crate) fn limit_of(checks: &mut Checks, limit: Option<&str>) -> u32 {
    limit.map_or(LIMIT_DEFAULT, |limit| checks.query_whole("limit", limit, 1..=LIMIT_MAX))
}

fn encode((key, id): (i64, Uuid)) -> String {
    let mut bytes = [0u8; 24];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[8..].copy_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(cursor: &str) -> Option<(i64, Uuid)> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (key, id) = bytes.split_at(8);
    Some((i64::from_be_bytes(key.try_into().ok()?), Uuid::from_slice(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        for place in [(0, Uuid::nil()), (i64::MAX, Uuid::max()), (-5, Uuid::from_u128(7))] {
            assert_eq!(decode(&encode(place)), Some(place));
        }
        for text in ["", "a", "AAAA", "!!!!", &"A".repeat(33), &"A".repeat(400)] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
