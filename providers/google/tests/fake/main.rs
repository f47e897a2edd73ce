//! The provider against a Google Calendar on this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conferences;
mod conformance;
mod discovery;
mod failing;
mod hostile;
mod random;
mod reading;
mod spot_checks;
mod support;
mod watching;
mod writing;
