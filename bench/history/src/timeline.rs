//! Things with a time, by person, found by the time they meet.

use std::collections::BTreeMap;

use agentcal_engine::ids::UserId;
use agentcal_engine::time::TimeRange;

/// Of each person: things ascending by start, and the length of the longest in microseconds.
#[derive(Debug)]
pub(crate) struct Timelines<T>(BTreeMap<UserId, (Vec<(TimeRange, T)>, i64)>);

impl<T> Default for Timelines<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Timelines<T> {
    /// Adds one. [`Timelines::sort`] must follow before anything is looked for.
    pub(crate) fn insert(&mut self, user_id: UserId, range: TimeRange, thing: T) {
        let (things, longest) = self.0.entry(user_id).or_default();
        things.push((range, thing));
        *longest = (*longest).max(range.len_micros());
    }

    pub(crate) fn sort(&mut self) {
        for (things, _) in self.0.values_mut() {
            things.sort_by_key(|(range, _)| *range);
        }
    }

    /// Whether there is anything of this person.
    pub(crate) fn has(&self, user_id: UserId) -> bool {
        self.0.contains_key(&user_id)
    }

    /// Everything of everybody, by person, ascending by start.
    pub(crate) fn all(&self) -> impl Iterator<Item = (UserId, &[(TimeRange, T)])> {
        self.0.iter().map(|(&user_id, (things, _))| (user_id, things.as_slice()))
    }

    /// Things of a person that meet a time.
    pub(crate) fn meeting(&self, user_id: UserId, range: TimeRange) -> impl Iterator<Item = &T> {
        let (things, longest) = self.0.get(&user_id).map_or((&[][..], 0), |(things, longest)| (things, *longest));
        let from = things.partition_point(|(other, _)| other.start < range.start.plus_micros(-longest));
        let near = things[from..].iter().take_while(move |(other, _)| other.start < range.end);
        near.filter(move |(other, _)| other.overlaps(&range)).map(|(_, thing)| thing)
    }
}
