//! One file for each kind of question put to a history.

pub(crate) mod asked;
pub(crate) mod bookings;
pub(crate) mod claims;
pub(crate) mod epochs;
pub(crate) mod healed;
pub(crate) mod holds;
pub(crate) mod offers;
pub(crate) mod overlaps;
pub(crate) mod provider;
pub(crate) mod replays;
