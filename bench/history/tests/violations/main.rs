//! For each thing that can be wrong: the smallest history that has it, and its sound twin, which differs from it in one
//! detail only.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bookings;
mod holds;
mod lines;
mod nodes;
mod offers;
mod provider;
mod sketch;
