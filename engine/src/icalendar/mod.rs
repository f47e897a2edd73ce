//! From iCalendar (RFC 5545) to busy time, and from bookings to iCalendar.
//!
//! What is read comes from strangers: it is bounded, never trusted, and never able to make this panic. What cannot be
//! understood blocks, because unknown is never free (law 6).

mod event;
mod read;
mod retime;
mod rrule;
mod write;
mod zone;

pub use read::{ReadContext, ReadError, Resource, TEXT_LEN_MAX, read_resource};
pub use retime::{RetimeError, retime, shows};
pub use write::{booking_of_uid, booking_uid, folded, write_event};
pub use zone::{timezone_named, timezone_of};
