//! One transaction that writes: all of it, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::StoreError;
use agentcal_engine::time::Timestamp;

use super::{AccountRows, Globals, Present, State};
use crate::settings::Planted;

/// How a transaction ends.
pub(crate) enum Done<T> {
    /// What it did stays.
    Keep(T),
    /// What it did is undone.
    Undo(T),
}

impl<T> Done<T> {
    pub(crate) fn keep_if(is_kept: bool, answer: T) -> Self {
        if is_kept { Self::Keep(answer) } else { Self::Undo(answer) }
    }
}

/// A transaction under way: the state, and what it was in every place that was written.
pub(crate) struct Work<'s> {
    state: &'s mut State,
    present: Present,
    globals_before: Globals,
    accounts_before: BTreeMap<AccountId, Option<Arc<AccountRows>>>,
    owners_before: BTreeMap<CalendarId, Option<AccountId>>,
}

impl<'s> Work<'s> {
    /// Performs a transaction. One that fails leaves nothing behind.
    pub(crate) fn perform<T>(
        state: &'s mut State,
        present: Present,
        transaction: impl FnOnce(&mut Work<'_>) -> Result<Done<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let globals_before = state.globals.clone();
        let mut work =
            Work { state, present, globals_before, accounts_before: BTreeMap::new(), owners_before: BTreeMap::new() };
        match transaction(&mut work) {
            Ok(Done::Keep(answer)) => Ok(answer),
            Ok(Done::Undo(answer)) => {
                work.undo();
                Ok(answer)
            }
            Err(error) => {
                work.undo();
                Err(error)
            }
        }
    }

    fn undo(self) {
        self.state.globals = self.globals_before;
        for (id, before) in self.accounts_before {
            match before {
                Some(rows) => self.state.accounts.insert(id, rows),
                None => self.state.accounts.remove(&id),
            };
        }
        for (id, before) in self.owners_before {
            match before {
                Some(owner) => self.state.calendar_owners.insert(id, owner),
                None => self.state.calendar_owners.remove(&id),
            };
        }
    }

    /// The store's clock, read once.
    pub(crate) fn now(&self) -> Timestamp {
        self.present.now
    }

    pub(crate) fn present(&self) -> &Present {
        &self.present
    }

    pub(crate) fn is_planted(&self, planted: Planted) -> bool {
        self.present.planted.contains(&planted)
    }

    pub(crate) fn state(&self) -> &State {
        self.state
    }

    pub(crate) fn globals(&mut self) -> &mut Globals {
        &mut self.state.globals
    }

    pub(crate) fn account(&self, id: AccountId) -> Option<&AccountRows> {
        self.state.account(id)
    }

    /// An account's rows, to be written.
    pub(crate) fn account_mut(&mut self, id: AccountId) -> Option<&mut AccountRows> {
        let rows = self.state.accounts.get_mut(&id)?;
        self.accounts_before.entry(id).or_insert_with(|| Some(Arc::clone(rows)));
        Some(Arc::make_mut(rows))
    }

    /// Writes a new account; false when there is one of this id.
    pub(crate) fn insert_account(&mut self, id: AccountId, rows: AccountRows) -> bool {
        if self.state.accounts.contains_key(&id) {
            return false;
        }
        self.accounts_before.entry(id).or_insert(None);
        self.state.accounts.insert(id, Arc::new(rows));
        true
    }

    /// Deletes an account with everything in it.
    pub(crate) fn remove_account(&mut self, id: AccountId) {
        let Some(rows) = self.state.accounts.remove(&id) else { return };
        for (&calendar_id, _) in rows.calendars.iter() {
            self.release_calendar_id(calendar_id);
        }
        self.accounts_before.entry(id).or_insert(Some(rows));
    }

    /// Takes a calendar id for an account; false when it is taken.
    pub(crate) fn take_calendar_id(&mut self, id: CalendarId, account_id: AccountId) -> bool {
        if self.state.calendar_owners.contains_key(&id) {
            return false;
        }
        self.owners_before.entry(id).or_insert(None);
        self.state.calendar_owners.insert(id, account_id);
        true
    }

    /// Gives a calendar id back.
    pub(crate) fn release_calendar_id(&mut self, id: CalendarId) {
        if let Some(owner) = self.state.calendar_owners.remove(&id) {
            self.owners_before.entry(id).or_insert(Some(owner));
        }
    }
}
