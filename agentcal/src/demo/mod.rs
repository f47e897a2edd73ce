//! What `agentcal dev` has in it on its first start: an organization with two keys, an account, three people on three
//! continents with lifelike calendars, and three things to book.

mod manifest;
mod people;
mod seed;
#[cfg(test)]
mod tests;

pub(crate) use manifest::Manifest;
pub(crate) use seed::seed;
