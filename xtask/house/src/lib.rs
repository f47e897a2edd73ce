//! The rules of the house, written so that a test can hold them: what may import what, how long files and functions
//! may be, which words stay where, and that what the documents promise is there.
//!
//! Each rule is a function from text to findings. `tests/house.rs` asks all of them about this repository.

mod deny;
mod documents;
mod files;
mod floors;
mod metadata;
mod sizes;
mod syntax;
mod words;

pub use deny::{DenyRules, banned, duplicated, unlicensed};
pub use documents::{broken_links, commands_in};
pub use files::{SourceFile, root, source_files};
pub use floors::{forbidden_edges, impurities, missing_from_table};
pub use metadata::{Metadata, Package};
pub use sizes::{FILE_LINES_MAX, FUNCTION_LINES_MAX, long_file, long_functions};
pub use words::{allowed_lints, clock_and_chance, foreign_words, machine_paths, unfinished, unordered_maps};

use std::fmt;

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File, relative to the root; or package.
    pub place: String,
    /// Line, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    pub(crate) fn at(place: &str, line: usize, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line: Some(line), what: what.into() }
    }

    pub(crate) fn of(place: &str, what: impl Into<String>) -> Self {
        Self { place: place.to_owned(), line: None, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.place, self.what),
            None => write!(f, "{}: {}", self.place, self.what),
        }
    }
}
