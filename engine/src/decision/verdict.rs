//! What the decision says.

use serde::{Deserialize, Serialize};

use crate::facts::UnknownReason;
use crate::ids::UserId;
use crate::time::TimeRange;

/// Why a host cannot take a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not wholly inside one window of the host's and the event type's rules.
    OutsideRules,
    /// Inside the rules, but not a multiple of the interval from the start of the window.
    NotOnSlotGrid,
    /// Somebody else's event is then.
    Busy,
    /// Another booking is then.
    Booked,
    /// Somebody is being offered this time.
    Held,
    /// Too close to an event, a booking or a hold.
    Buffer,
    /// In the past, or sooner than the notice allows.
    TooSoon,
    /// Further away than can be booked.
    BeyondBookingWindow,
    /// The host has taken as many of these on that day as it may.
    DailyLimitReached,
    /// The host's time is not known.
    Unknown(UnknownReason),
}

impl Reason {
    /// The stable name callers see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutsideRules => "outside_rules",
            Self::NotOnSlotGrid => "not_on_slot_grid",
            Self::Busy => "busy",
            Self::Booked => "booked",
            Self::Held => "held",
            Self::Buffer => "buffer",
            Self::TooSoon => "too_soon",
            Self::BeyondBookingWindow => "beyond_booking_window",
            Self::DailyLimitReached => "daily_limit_reached",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What one host's facts say about a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostVerdict {
    /// The host.
    pub user_id: UserId,
    /// Everything that speaks against it, ascending, none twice. Empty: the host is free.
    pub reasons: Vec<Reason>,
}

impl HostVerdict {
    /// Whether nothing speaks against it.
    pub fn is_free(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Why the host's time is not known, where it is not.
    pub fn unknown(&self) -> Option<UnknownReason> {
        self.reasons.iter().find_map(|reason| match reason {
            Reason::Unknown(why) => Some(*why),
            _ => None,
        })
    }
}

/// What the facts say about a time, host by host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The time, without buffers.
    pub range: TimeRange,
    /// One verdict per host, in the order of the question.
    pub verdicts: Vec<HostVerdict>,
}

impl Decision {
    /// The hosts that are free, in the order of the question.
    pub fn free(&self) -> impl Iterator<Item = UserId> + '_ {
        self.verdicts.iter().filter(|verdict| verdict.is_free()).map(|verdict| verdict.user_id)
    }
}
