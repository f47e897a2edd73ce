//! The pure core of AgentCal: time, busy sets, availability, the one decision function, the calendar and sync
//! machines, the mapping from and to iCalendar, and the ports the other floors implement.
//!
//! Nothing here performs IO, reads a clock or draws a random number; whatever needs one of these takes it as a
//! parameter or is a trait in [`ports`] that a higher floor implements. So a seed replays a failure.

pub mod busy;
pub mod calendar;
pub mod civil;
pub mod cluster;
pub mod commit;
pub mod decision;
pub mod facts;
pub mod icalendar;
pub mod ids;
pub mod invariants;
pub mod model;
pub mod ports;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
pub mod shard;
pub mod signed;
pub mod time;
pub mod windows;
