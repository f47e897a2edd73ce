//! Revisions: one per account configuration, calendar and user.

use agentcal_engine::commit::RevisionKey;
use agentcal_engine::ids::{CalendarId, UserId};

use super::AccountRows;

/// Revision of a row that was just made.
pub(crate) const FIRST: u64 = 1;

impl AccountRows {
    /// Begins a row's revisions.
    pub(crate) fn begin_revisions(&mut self, key: RevisionKey) {
        self.revisions.insert(key, FIRST);
    }

    /// The revision as it is; `None` when the row is gone.
    pub(crate) fn revision(&self, key: RevisionKey) -> Option<u64> {
        self.revisions.get(&key).copied()
    }

    /// Raises a revision and returns it; `None` when the row is gone.
    pub(crate) fn raise(&mut self, key: RevisionKey) -> Option<u64> {
        let revision = self.revisions.get_mut(&key)?;
        *revision += 1;
        Some(*revision)
    }

    pub(crate) fn raise_calendar(&mut self, id: CalendarId) -> Option<u64> {
        self.raise(RevisionKey::Calendar(id))
    }

    pub(crate) fn raise_user(&mut self, id: UserId) -> Option<u64> {
        self.raise(RevisionKey::User(id))
    }

    /// Ends a row's revisions, so that no plan that rests on it stands.
    pub(crate) fn end_revisions(&mut self, key: RevisionKey) {
        self.revisions.remove(&key);
    }
}
