//! A table that is cheap to keep a copy of: whoever writes copies what somebody else still looks at.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows by key, in the order of keys.
#[derive(Debug)]
pub(crate) struct Table<K, V>(Arc<BTreeMap<K, Arc<V>>>);

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// Whether both are one table that nobody wrote since. Two that differ in nothing may say no.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(|row| &**row)
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// A row to change. Nothing is copied where there is none.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if !self.contains(key) {
            return None;
        }
        Arc::make_mut(&mut self.0).get_mut(key).map(Arc::make_mut)
    }

    /// Writes a row; returns whether there was one of this key.
    pub(crate) fn insert(&mut self, key: K, row: V) -> bool {
        Arc::make_mut(&mut self.0).insert(key, Arc::new(row)).is_some()
    }

    /// Deletes a row; returns whether there was one.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.contains(key) && Arc::make_mut(&mut self.0).remove(key).is_some()
    }

    /// Deletes rows; returns how many.
    pub(crate) fn remove_all(&mut self, keys: &[K]) -> usize {
        keys.iter().filter(|key| self.remove(key)).count()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, row)| (key, &**row))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values().map(|row| &**row)
    }

    /// The row with the highest key.
    pub(crate) fn last(&self) -> Option<&V> {
        self.0.last_key_value().map(|(_, row)| &**row)
    }

    /// The keys of rows that are of some kind.
    pub(crate) fn keys_where(&self, is_wanted: impl Fn(&V) -> bool) -> Vec<K> {
        self.iter().filter(|(_, row)| is_wanted(row)).map(|(key, _)| key.clone()).collect()
    }

    /// Changes rows of some kind; returns how many.
    pub(crate) fn change_where(&mut self, is_wanted: impl Fn(&V) -> bool, mut change: impl FnMut(&mut V)) -> usize {
        let keys = self.keys_where(is_wanted);
        for key in &keys {
            if let Some(row) = self.get_mut(key) {
                change(row);
            }
        }
        keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_was() {
        let mut table: Table<u8, &str> = Table::default();
        assert!(!table.insert(1, "one"));
        assert!(!table.insert(2, "two"));
        let before = table.clone();
        *table.get_mut(&1).expect("there") = "uno";
        assert!(table.remove(&2));
        assert!(!table.remove(&2));
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&1, &"uno")]);
        assert_eq!(before.values().collect::<Vec<_>>(), [&"one", &"two"]);
    }
}
