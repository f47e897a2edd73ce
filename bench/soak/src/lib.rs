//! Weeks of the product with real providers' protocols, on virtual time: api, actors and the provider crates for Google and
//! Microsoft 365 speak HTTP over loopback to fakes of both, which ring over HTTP at the api's notification routes. People
//! edit their calendars, callers book, and everything goes wrong that goes wrong in weeks: notifications are lost and
//! repeated, tokens and sync cursors die, quotas bite, providers fail, nodes restart and crash.
//!
//! Time is tokio's paused clock: where nothing is to be done it jumps to the next timer. What tokio does not see, an answer
//! on its way through a socket, holds it still meanwhile ([`brake`]).
//!
//! At quiet points what is known must be what there is.

mod brake;
mod caller;
mod clock;
mod cloud;
mod consent;
mod figures;
mod judge;
mod ledger;
mod neighbours;
mod node;
mod people;
mod plan;
mod provider;
mod run;
mod trouble;
mod world;

pub use figures::Figures;
pub use plan::{PLANTED_NAMES, Plan, Planted};
pub use run::{Verdict, run};
