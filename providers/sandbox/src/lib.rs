//! Calendars inside the process, for trying things out and for tests: no HTTP, no account anywhere.
//!
//! Their busy time is computed from a seed, a calendar and a date, and stored nowhere; only what was changed (bookings
//! written back, edits made through [`SandboxProvider::edit`]) is kept, in the store's [`SandboxState`]. A cursor is the
//! number of the last change, so an incremental sync is exactly what a real provider's would be. [`SandboxFaults`] makes
//! the calendars misbehave on request.

mod calendar;
mod dice;
mod faults;
mod life;
mod popups;
mod provider;
mod sync;
mod write;

pub use calendar::{HOLIDAYS, WORK, WORK_LATE};
pub use faults::{Fault, FaultScope, SandboxCalls, SandboxFaults};
pub use life::{SeededEvent, seeded_events};
pub use provider::{SandboxProvider, SandboxSettings};
pub use write::event_id_of;
