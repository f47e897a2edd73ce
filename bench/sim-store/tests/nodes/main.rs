//! Several nodes on one simulated store: who owns what, where commits go, and what readers see while links, owners and the
//! cache fail. Time is virtual.

#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

mod arrears;
mod bells;
mod desk;
mod doubt;
mod grants;
mod handing;
mod heirs;
mod links;
mod marks;
mod rules;
mod stories;
mod town;
mod turns;
