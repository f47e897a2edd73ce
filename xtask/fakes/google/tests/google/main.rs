//! The server as clients meet it: in our words, by the discovery document, and with clients nobody here wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod behaviour;
mod client;
mod python;
mod shapes;
