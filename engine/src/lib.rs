//! The pure core of AgentCal: time, busy sets, availability, the one decision function, the calendar and sync
//! machines, the mapping from and to iCalendar, and the ports the other floors implement.
//!
//! Nothing here performs IO, reads a clock or draws a random number; whatever needs one of these takes it as a
//! parameter or is a trait in [`ports`] that a higher floor implements. So a seed replays a failure.

pub mod busy;
pub mod calendar;
pub mod civil;
pub mod cluster;
pub mod commit;
pub mod decision;
pub mod facts;
pub mod followups;
pub mod icalendar;
pub mod ids;
pub mod invariants;
pub mod limits;
pub mod model;
pub mod oauth;
#[cfg(feature = "planted")]
pub mod planted;
pub mod ports;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
pub mod relay;
pub mod schedule;
pub mod shard;
pub mod signed;
pub mod time;
pub mod tokens;
pub mod webhooks;
pub mod windows;

/// Whether a bug is planted: `false`, and nothing else, in every build without the feature `planted`. With code behind the
/// bug's name, that code, or nothing.
#[cfg(feature = "planted")]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is_planted($crate::planted::Bug::$bug)
    };
    ($bug:ident => $code:block) => {
        if $crate::planted::is_planted($crate::planted::Bug::$bug) $code
    };
}

/// Whether a bug is planted: `false`, and nothing else, in every build without the feature `planted`. With code behind the
/// bug's name, that code, or nothing.
#[cfg(not(feature = "planted"))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
    ($bug:ident => $code:block) => {};
}

/// Plants the bug of a name, if there is one and this is a build with the feature `planted`.
#[cfg(feature = "planted")]
#[macro_export]
macro_rules! plant {
    ($name:expr) => {
        $crate::planted::plant($name.as_deref())
    };
}

/// Plants the bug of a name, if there is one and this is a build with the feature `planted`.
#[cfg(not(feature = "planted"))]
#[macro_export]
macro_rules! plant {
    ($name:expr) => {
        drop($name)
    };
}
