//! The machines behind one calendar's actor, without IO: the sync machine and the commit-first queue.

/// Failures in a row after which a calendar counts as unknown and its connection is shown as `error`.
pub const FAILURES_UNTIL_ERROR: u32 = 5;
/// Most instances one resource may contribute; what goes beyond makes the resource block its whole span.
pub const INSTANCES_PER_RESOURCE_MAX: usize = 10_000;
