//! The machines behind one calendar's actor, without IO: the sync machine, the commit-first queue, what a commit decides
//! and plans, the check of last resort, the policy of writebacks, and the comparison of our events with what a sync saw.

pub mod ask;
pub mod attempt;
pub(crate) mod backoff;
pub mod compare;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod judge;
pub mod keeper;
pub mod machine;
pub mod plan;
pub mod request;
mod schedule;
pub mod spot_check;
pub mod sync;
pub mod watch;
pub mod writeback;

/// Failures in a row after which a calendar counts as unknown and its connection is shown as `error`.
pub const FAILURES_UNTIL_ERROR: u32 = 5;
/// Most instances one resource may contribute; what goes beyond makes the resource block its whole span.
pub const INSTANCES_PER_RESOURCE_MAX: usize = 10_000;
