//! Shells of moving parts round the engine's machines: one supervised actor per awake calendar, the sweep that wakes
//! those whose time has come, and the [`Scheduler`], the one handle the floors above use.
//!
//! An actor decides nothing. It moves messages, time and IO results into the machines of
//! `agentcal_engine::calendar` and carries out what they ask for.

mod beats;
mod bells;
mod bulletin;
mod calendar;
mod commit;
mod config;
mod context;
mod decide;
mod deliveries;
mod directory;
mod doorbells;
mod elsewhere;
mod followups;
mod jobs;
mod loads;
mod made;
pub mod metrics;
mod occasions;
mod outbound;
mod ownerless;
mod ownership;
mod parts;
mod peer;
mod publication;
mod questions;
mod refusals;
mod relay;
mod revocations;
mod routing;
mod scheduler;
mod settled;
mod shown;
mod slot;
mod spot_check;
mod supervisor;
mod sweep;
mod tenure;
mod together;
mod tokens;
mod turns;
mod watching;
mod work;
mod writeback;

pub use calendar::CalendarPicture;
pub use doorbells::Doorbells;
pub use parts::{Freshness, Jobs, Oauth, Providers, Relay, SchedulerParts, SchedulerSettings, StartError, Webhooks};
pub use peer::NotOwner;
pub use scheduler::Scheduler;
pub use watching::Farewell;
