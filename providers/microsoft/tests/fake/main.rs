//! The provider against something that behaves like Microsoft Graph, with what goes wrong there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

mod conferences;
mod conformance;
mod discovery;
mod hostile;
mod reading;
mod refusals;
mod spot_checks;
mod support;
mod watching;
mod writing;
