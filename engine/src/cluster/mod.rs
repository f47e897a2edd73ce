//! Many nodes: which of them should own which shard.
//!
//! Everybody who knows the same nodes comes to the same answer, so nobody has to be asked. The store's rows say who does
//! own a shard; this says where they should go.

mod placement;

pub use placement::{MOVES_PER_ROUND_MAX, Moves, Scene, candidates, moves, rightful_owner};
