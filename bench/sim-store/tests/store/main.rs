//! The simulated store: what the ports ask of it, what a crash takes, and what it breaks when told to.

#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

mod common;
mod conformance;
mod events;
mod faults;
mod lasting;
mod planted;
