//! The product on virtual time: engine, actors and the api's handlers on one simulated node or on several, with a store
//! that models durability, a cache that can be lost, simulated providers and a simulated network. Clients ask, hold, book,
//! move and cancel, people edit their calendars, and everything fails in turn. A seed decides all of it, so a seed replays
//! it.
//!
//! After every step the store's rows are compared with a small model of how they may change; at quiet points everything
//! clients were told is compared with what there is.

mod client;
mod clock;
mod cluster;
mod director;
mod journal;
mod node;
mod peers;
mod people;
mod plan;
mod provider;
mod quiet;
mod run;
mod watch;
mod wire;
mod world;

pub use agentcal_sim_store::Planted;
pub use director::Tally;
pub use node::NODES_MAX;
pub use plan::{PLANTED_NAMES, Plan};
pub use run::{Verdict, run};
