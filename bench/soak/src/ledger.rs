//! What callers were told they have.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentcal_engine::ids::BookingId;
use agentcal_engine::time::{TimeRange, Timestamp};

/// Every booking that was acknowledged, as it was last acknowledged. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Book>>);

/// What is written in it.
#[derive(Default)]
pub(crate) struct Book {
    /// By id, in the order of their making.
    pub(crate) entries: BTreeMap<BookingId, Entry>,
    /// Requests that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Requests that were refused for good reason.
    pub(crate) refused: u64,
    /// Questions nobody could answer at that time.
    pub(crate) unanswered: u64,
    /// Requests sent again, because nobody knew what had become of them.
    pub(crate) repeated: u64,
    /// Answers that must never come.
    pub(crate) oddities: Vec<String>,
}

/// A booking as its caller knows it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Whose time it takes: the number of a person.
    pub(crate) person: usize,
    /// When.
    pub(crate) range: TimeRange,
    /// Whether it was cancelled.
    pub(crate) is_cancelled: bool,
    /// When somebody last wanted something of it.
    pub(crate) asked_at: Timestamp,
    /// Whether somebody is asking something of it right now.
    pub(crate) is_in_hand: bool,
    /// What its host did to its event since, behind our back.
    pub(crate) touch: Option<Touch>,
}

/// What somebody did to an event of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Moved it to another time.
    Moved(TimeRange),
    /// Deleted it.
    Deleted,
}

impl Ledger {
    /// Opens it.
    pub(crate) fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
