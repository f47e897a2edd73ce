//! Decisions in small worlds made by hand, and the invariants.

mod explanations;
mod invariants;
mod people;
mod tables;
