//! What iCalendar means as busy time, and what bookings look like as iCalendar.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hostile;
mod reading;
mod support;
mod writing;
mod zones;
