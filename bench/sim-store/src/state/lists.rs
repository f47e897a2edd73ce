//! Pages of lists.

use agentcal_engine::ports::{ListPage, PageRequest};
use uuid::Uuid;

/// Where a row stands in its list.
pub(crate) type Place = (i64, Uuid);

/// A page of rows that are listed from the largest place down.
pub(crate) fn newest_first<T>(
    rows: impl Iterator<Item = T>,
    page: &PageRequest,
    place: impl Fn(&T) -> Place,
) -> ListPage<T> {
    let mut rows: Vec<T> = rows.filter(|row| page.after.is_none_or(|after| place(row) < after)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
    cut(rows, page, place)
}

/// A page of rows that are listed from the smallest place up.
pub(crate) fn ascending<T>(
    rows: impl Iterator<Item = T>,
    page: &PageRequest,
    place: impl Fn(&T) -> Place,
) -> ListPage<T> {
    let mut rows: Vec<T> = rows.filter(|row| page.after.is_none_or(|after| place(row) > after)).collect();
    rows.sort_by_key(&place);
    cut(rows, page, place)
}

fn cut<T>(mut rows: Vec<T>, page: &PageRequest, place: impl Fn(&T) -> Place) -> ListPage<T> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(place) } else { None };
    ListPage { rows, next }
}

/// A page without rows.
pub(crate) fn nothing<T>() -> ListPage<T> {
    ListPage { rows: Vec::new(), next: None }
}
