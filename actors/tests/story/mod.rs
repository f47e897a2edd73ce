//! Helpers, and one file per subject.

mod bookings;
mod crashes;
mod external;
mod holds;
mod limits;
mod provider;
mod stage;
mod syncs;

pub(crate) use provider::ScriptedProvider;
pub(crate) use stage::{Stage, Terms, hours, wait_for};
