//! The ports of a store, a file for each: every method one transaction.

mod bookings;
mod commit;
mod config;
mod connections;
mod decisions;
mod facts;
mod holds;
mod ownership;
mod sandbox;
mod tenants;
mod writebacks;
