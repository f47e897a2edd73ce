//! Pages of lists: a limit, and the id after which to go on.

use serde::Deserialize;
use serde_json::{Value, json};

/// Rows of a page when nobody says.
const LIMIT_DEFAULT: usize = 50;
/// Most rows of a page.
const LIMIT_MAX: usize = 250;

#[derive(Default, Deserialize)]
pub(crate) struct Page {
    pub(crate) limit: Option<usize>,
    pub(crate) iterator: Option<String>,
}

/// The page of rows that were sorted, each beside its id.
pub(crate) fn page(rows: Vec<(String, Value)>, query: &Page) -> Value {
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let after = query.iterator.as_ref().and_then(|iterator| rows.iter().position(|(id, _)| id == iterator));
    let rest: Vec<_> = rows.into_iter().skip(after.map_or(0, |place| place + 1)).collect();
    let done = rest.len() <= limit;
    let shown: Vec<_> = rest.into_iter().take(limit).collect();
    let (first, last) = (shown.first().map(|(id, _)| format!("-{id}")), shown.last().map(|(id, _)| id.clone()));
    let data: Vec<Value> = shown.into_iter().map(|(_, row)| row).collect();
    json!({"data": data, "iterator": last, "prevIterator": first, "done": done})
}
