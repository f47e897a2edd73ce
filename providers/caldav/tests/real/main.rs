//! The provider against servers nobody here wrote: Radicale and Xandikos. Where they are not installed, each test says
//! so and ends; under `cargo xtask test` it fails instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod discovery;
#[path = "../../../egress/tests/guard/dns_server.rs"]
mod dns_server;
mod domain;
mod free_busy;
mod guard;
mod hostile;
mod reading;
mod support;
mod writing;
