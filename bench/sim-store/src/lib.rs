//! A store in memory for simulations: it keeps every port a durable store keeps, and models durability.
//!
//! A [`Disk`] is what outlives a crash. A [`SimStore`] is one node's connection to it; [`Disk::crash`] ends all of them.
//! Every method of a port is one transaction: it takes its time on tokio's clock, and at one instant in that time all of
//! it happens, or nothing. A crash before that instant loses it, one after it keeps it, and in both cases the caller
//! never hears.
//!
//! [`Settings`] say how long transactions take, how often the store does not answer, and which of its guarantees are
//! broken on purpose ([`Planted`]), so that whoever watches a simulation can prove that they would see it. They may be
//! changed at any time. What follows is drawn from the [`Entropy`](agentcal_engine::ports::Entropy) the disk was made
//! with, so a seed replays a run; with settings at their default nothing is drawn and nothing waits.

mod cache;
mod clients;
mod dice;
mod disk;
mod draw;
mod line;
mod ports;
mod settings;
mod state;
mod store;
mod view;

pub use cache::{CacheConnection, Manner, SharedCache};
pub use clients::NoClients;
pub use dice::Dice;
pub use disk::{Disk, Fate};
pub use draw::Seeded;
pub use line::{Line, Severed, Way};
pub use settings::{Planted, Settings, SlowPhases, Span};
pub use state::CommitNote;
pub use store::{Fault, SimStore};
pub use view::{AnswerOwner, KeptAnswer, View};
