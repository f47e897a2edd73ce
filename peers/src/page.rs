//! Whether the page about clusters says what is so.

use std::collections::BTreeSet;

use crate::problem::Problem;
use crate::wire::{Kind, SHARDS_PATH};

/// The first cells of rows in the page's tables, without their quotes, as far as they are of a kind.
fn first_cells(is_one: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cluster.md")).expect("there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    rows.map(|(cell, _)| cell.replace('`', "")).filter(|cell| is_one(cell)).collect()
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let posted = Kind::ALL.map(|kind| format!("POST {}", kind.path()));
    let routes = posted.into_iter().chain([format!("GET {SHARDS_PATH}")]).collect();
    assert_eq!(first_cells(|cell| cell.contains("/internal/")), routes);
}

#[test]
fn every_refusal_has_a_row_and_every_row_a_refusal() {
    let problems = [
        Problem::NotOwner,
        Problem::Unauthorized(""),
        Problem::Malformed(String::new()),
        Problem::InvalidDeadline,
        Problem::TooLarge(0),
        Problem::TooSlow,
        Problem::TooMany,
        Problem::Method,
    ];
    let told = problems.map(|problem| {
        let (status, code, _) = problem.kind();
        format!("{} {code}", status.as_u16())
    });
    assert_eq!(first_cells(|cell| cell.starts_with('4')), told.into());
}
