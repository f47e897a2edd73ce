//! Sets of instants, kept as sorted half-open ranges that neither overlap nor touch.

mod packed;

pub use packed::{DecodeError, PACKED_RANGES_MAX};

use crate::time::{TimeRange, Timestamp};

/// A set of instants: ascending, disjoint ranges with a gap between any two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct BusySet {
    ranges: Vec<TimeRange>,
}

/// What has to be added to and removed from one set to make another of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BusyDiff {
    /// In the new set only.
    pub added: BusySet,
    /// In the old set only.
    pub removed: BusySet,
}

impl BusySet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The union of ranges in any order; empty or reversed ones count for nothing.
    pub fn from_ranges(ranges: impl IntoIterator<Item = TimeRange>) -> Self {
        let mut ranges: Vec<TimeRange> = ranges.into_iter().filter(|range| range.start < range.end).collect();
        ranges.sort_unstable();
        let mut set = Self { ranges: Vec::with_capacity(ranges.len()) };
        ranges.into_iter().for_each(|range| set.append(range));
        set
    }

    /// The ranges, ascending.
    pub fn as_slice(&self) -> &[TimeRange] {
        &self.ranges
    }

    /// The ranges, ascending.
    pub fn into_ranges(self) -> Vec<TimeRange> {
        self.ranges
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = TimeRange> + '_ {
        self.ranges.iter().copied()
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether no instant is inside.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the instant is inside.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.range_around(instant).is_some()
    }

    /// The range the instant is inside of.
    pub fn range_around(&self, instant: Timestamp) -> Option<TimeRange> {
        let index = self.ranges.partition_point(|range| range.end <= instant);
        self.ranges.get(index).copied().filter(|range| range.start <= instant)
    }

    /// Whether all of `wanted` is inside.
    pub fn covers(&self, wanted: &TimeRange) -> bool {
        self.range_around(wanted.start).is_some_and(|range| range.covers(wanted))
    }

    /// The ranges that share an instant with `wanted`, whole.
    pub fn overlapping(&self, wanted: &TimeRange) -> &[TimeRange] {
        let from = self.ranges.partition_point(|range| range.end <= wanted.start);
        let to = self.ranges.partition_point(|range| range.start < wanted.end);
        &self.ranges[from..to.max(from)]
    }

    /// The set of the ranges that share an instant with `wanted`, whole.
    pub fn part(&self, wanted: &TimeRange) -> Self {
        Self { ranges: self.overlapping(wanted).to_vec() }
    }

    /// Instants in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut set = Self { ranges: Vec::with_capacity(self.len() + other.len()) };
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.start <= b.start => ours.next(),
                (_, Some(_)) => theirs.next(),
                (Some(_), None) => ours.next(),
                (None, None) => return set,
            };
            next.into_iter().for_each(|range| set.append(range));
        }
    }

    /// Instants in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(ours), Some(theirs)) = (self.ranges.get(i), other.ranges.get(j)) {
            ranges.extend(ours.intersection(theirs));
            if ours.end <= theirs.end {
                i += 1;
            } else {
                j += 1;
            }
        }
        Self { ranges }
    }

    /// Instants in this set and not in the other.
    pub fn subtract(&self, other: &Self) -> Self {
        let mut ranges = Vec::with_capacity(self.len());
        let mut cuts = other.ranges.as_slice();
        for range in self.iter() {
            let mut start = range.start;
            while let Some((cut, rest)) = cuts.split_first().filter(|(cut, _)| cut.start < range.end) {
                ranges.extend(TimeRange::new(start, cut.start));
                start = start.max(cut.end);
                if cut.end > range.end {
                    break;
                }
                cuts = rest;
            }
            ranges.extend(TimeRange::new(start, range.end));
        }
        Self { ranges }
    }

    /// How `newer` differs from this set.
    pub fn diff(&self, newer: &Self) -> BusyDiff {
        BusyDiff { added: newer.subtract(self), removed: self.subtract(newer) }
    }

    /// Adds a range that starts no earlier than the last one of the set.
    fn append(&mut self, range: TimeRange) {
        match self.ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }
}

impl FromIterator<TimeRange> for BusySet {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Self {
        Self::from_ranges(ranges)
    }
}
