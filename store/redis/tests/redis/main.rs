//! The fact cache and the shared limits on a real Redis, a cluster of them, and one behind Sentinel.

#![expect(clippy::unwrap_used, reason = "a failure is what a test is for")]

mod common;
mod conformance;
mod outages;
mod quotas;
mod races;
mod returns;
mod rights;
mod topologies;
mod values;
