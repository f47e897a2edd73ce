//! Which of the virtual shards an account's calendars belong to.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::AccountId;

/// Number of virtual shards; a power of two, fixed for the life of a database.
pub const SHARD_COUNT: u16 = 4_096;

/// A virtual shard: `xxh3(account id) & 4095`. All calendars of one account share it, and with it an owner, a Redis hash
/// slot and a database partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(u16);

impl Shard {
    /// The shard of an account.
    pub fn of(account_id: AccountId) -> Self {
        let hash = xxh3_64(account_id.as_uuid().as_bytes());
        Self((hash & u64::from(SHARD_COUNT - 1)) as u16)
    }

    /// The shard of a number; `None` when there is no such shard.
    pub const fn from_number(number: u16) -> Option<Self> {
        if number < SHARD_COUNT { Some(Self(number)) } else { None }
    }

    /// All shards, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARD_COUNT).map(Self)
    }

    /// The shard's number, below [`SHARD_COUNT`].
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The number of an ownership of a shard; only ever raised. Writes under a superseded epoch are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A running node; another start of the program is another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub Uuid);
