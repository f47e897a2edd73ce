//! Shells of moving parts round the engine's machines: one supervised actor per awake calendar, the sweep that wakes
//! those whose time has come, and the [`Scheduler`], the one handle the floors above use.
//!
//! An actor decides nothing. It moves messages, time and IO results into the machines of
//! `agentcal_engine::calendar` and carries out what they ask for.

pub mod metrics;
mod parts;
mod scheduler;

pub use parts::{Freshness, Providers, SchedulerParts, SchedulerSettings, StartError};
pub use scheduler::Scheduler;
