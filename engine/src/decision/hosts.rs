//! Who of a question's hosts: a set of indexes that fits two registers.

use crate::model::HOSTS_PER_EVENT_TYPE_MAX;

const _: () = assert!(HOSTS_PER_EVENT_TYPE_MAX <= u128::BITS as usize, "every host has a bit");

/// A set of hosts, by their index in the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostSet {
    bits: u128,
}

impl HostSet {
    /// Nobody.
    pub const EMPTY: Self = Self { bits: 0 };

    /// The first `count` hosts.
    pub fn first(count: usize) -> Self {
        (0..count).collect()
    }

    /// The set whose bits these are: bit n stands for host n.
    pub const fn from_bits(bits: u128) -> Self {
        Self { bits }
    }

    /// Its bits: bit n stands for host n.
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// Adds a host. An index no host can have is left out: such a host is never offered.
    pub const fn insert(&mut self, index: usize) {
        if index < u128::BITS as usize {
            self.bits |= 1 << index;
        }
    }

    /// Whether the host is in the set.
    pub const fn contains(&self, index: usize) -> bool {
        index < u128::BITS as usize && self.bits >> index & 1 == 1
    }

    /// Hosts in either set.
    pub const fn union(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits }
    }

    /// Number of hosts.
    pub const fn len(&self) -> usize {
        self.bits.count_ones() as usize
    }

    /// Whether nobody is in the set.
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// The indexes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        let mut bits = self.bits;
        std::iter::from_fn(move || {
            let index = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (index < u128::BITS).then_some(index as usize)
        })
    }
}

impl FromIterator<usize> for HostSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indexes: I) -> Self {
        let mut set = Self::EMPTY;
        indexes.into_iter().for_each(|index| set.insert(index));
        set
    }
}
