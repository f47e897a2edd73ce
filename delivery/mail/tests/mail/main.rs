//! Mails as others read them, templates as authors break them, and servers at their worst.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod chance;
mod invitations;
mod outbox;
mod real;
mod reports;
mod scripted;
mod smtp;
mod templates;
mod tls;
mod world;
