//! Nodes that ask each other, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bed;
mod crowd;
mod deadlines;
mod listener;
mod methods;
mod probes;
mod refusals;
mod relay;
mod samples;
mod silence;
mod tls;
