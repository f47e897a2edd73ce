//! The pages, driven in this process over a real store, scheduler and sandbox calendars.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changes;
mod looks;
mod outbox;
mod refusals;
mod support;
