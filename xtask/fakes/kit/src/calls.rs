//! How often whom was asked for what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A count of calls by user and operation. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<(String, String), u64>>>);

impl Calls {
    /// Counts one call.
    pub fn count(&self, user: &str, operation: &str) {
        *self.counts().entry((user.to_owned(), operation.to_owned())).or_default() += 1;
    }

    /// Calls of one operation in the name of one user.
    pub fn of(&self, user: &str, operation: &str) -> u64 {
        self.counts().get(&(user.to_owned(), operation.to_owned())).copied().unwrap_or_default()
    }

    /// Calls of one operation.
    pub fn of_operation(&self, operation: &str) -> u64 {
        self.counts().iter().filter(|((_, counted), _)| counted == operation).map(|(_, count)| count).sum()
    }

    /// Calls in the name of one user.
    pub fn of_user(&self, user: &str) -> u64 {
        self.counts().iter().filter(|((counted, _), _)| counted == user).map(|(_, count)| count).sum()
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// Every count, by user and operation.
    pub fn all(&self) -> BTreeMap<(String, String), u64> {
        self.counts().clone()
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.counts().clear();
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_user_and_operation() {
        let calls = Calls::default();
        for (user, operation) in [("ada", "list"), ("ada", "list"), ("ada", "get"), ("bob", "list")] {
            calls.count(user, operation);
        }
        assert_eq!(calls.of("ada", "list"), 2);
        assert_eq!(calls.of("bob", "get"), 0);
        assert_eq!(calls.of_operation("list"), 3);
        assert_eq!(calls.of_user("ada"), 3);
        assert_eq!(calls.total(), 4);
        assert_eq!(calls.all().len(), 3);
        calls.reset();
        assert_eq!(calls.total(), 0);
    }
}
