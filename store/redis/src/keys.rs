//! Names of keys. All keys of a shard carry its number in braces, and so share a hash slot of a cluster.

use agentcal_engine::ids::CalendarId;
use agentcal_engine::limits::LimitKey;
use agentcal_engine::shard::Shard;

/// Names with one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(crate) fn facts(&self, shard: Shard, calendar_id: CalendarId) -> String {
        format!("{}:{{{}}}:facts:{}", self.prefix, shard.number(), calendar_id.as_uuid().simple())
    }

    pub(crate) fn beat(&self, shard: Shard) -> String {
        format!("{}:{{{}}}:beat", self.prefix, shard.number())
    }

    pub(crate) fn dirty(&self, shard: Shard) -> String {
        format!("{}:{{{}}}:dirty", self.prefix, shard.number())
    }

    /// A bucket, alone in its hash slot: there is nothing it is read together with.
    pub(crate) fn cells(&self, key: LimitKey) -> String {
        format!("{}:cells:{}:{{{:032x}}}", self.prefix, key.kind.as_str(), key.id)
    }
}
