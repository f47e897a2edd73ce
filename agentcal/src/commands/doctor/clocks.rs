//! Clocks beside this machine's.

use super::Finding;
use crate::boot::skew::{Skew, Weight};

/// What leases and holds go by, so that nothing else is the time.
pub(super) fn database(skew: Skew) -> Finding {
    let says = format!("this machine's clock is {skew} the database's");
    match skew.weight() {
        Weight::Little => Finding::good("clock", says),
        Weight::Much => Finding::warning("clock", format!("{says}: have a time service set both")),
        Weight::TooMuch => Finding::bad("clock", format!("{says}, too much to serve: have a time service set both")),
    }
}

/// Only limits go by it, and nodes do not compare it with theirs.
pub(super) fn redis(skew: Skew) -> Option<Finding> {
    let says = || format!("this machine's clock is {skew} that of Redis: have a time service set both");
    (skew.weight() != Weight::Little).then(|| Finding::warning("clock", says()))
}
