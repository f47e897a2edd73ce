//! The whole api, over a real store and a real scheduler; folders mirror the URLs.

mod bad_input;
mod keys;
mod limits;
mod operations;
mod races;
mod support;
mod tenants;
mod v1;
