//! How enumerations, numbers and JSON stand in columns.

use agentcal_engine::model::{
    BookingStatus, BufferMode, ConferenceKind, ConferenceState, ConnectionStatus, DeliveryState, EventKind,
    ExternalState, JobKind, JobState, KeyKind, MailKind, Mode, OnStale, ProviderKind, SchedulingMode, WatchState,
    WebhookStanding, WritebackState,
};
use agentcal_engine::ports::StoreError;
use agentcal_engine::time::{TimeRange, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, corrupt};

/// An enumeration kept by name.
pub(crate) trait Named: Sized + Copy + 'static {
    /// Every value with its name.
    const NAMES: &'static [(Self, &'static str)];

    /// The value's name.
    fn name(self) -> &'static str;

    /// The value of a name.
    fn named(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|&(value, _)| value).ok_or_else(|| corrupt("unknown name", name))
    }
}

macro_rules! named {
    ($($type:ident { $($variant:ident = $name:literal),* $(,)? })*) => {$(
        impl Named for $type {
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),*];
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    )*};
}

named! {
    Mode { Live = "live", Test = "test" }
    KeyKind { Secret = "secret", Publishable = "publishable" }
    ProviderKind {
        Sandbox = "sandbox", Caldav = "caldav", Google = "google", Microsoft = "microsoft", Internal = "internal",
    }
    ConnectionStatus {
        Syncing = "syncing", Active = "active", ReauthorizationRequired = "reauthorization_required", Error = "error",
    }
    WatchState { Polling = "polling", Push = "push", None = "none" }
    BufferMode { Larger = "larger", Sum = "sum" }
    SchedulingMode { Individual = "individual", RoundRobin = "round_robin", Collective = "collective" }
    OnStale { Verify = "verify", Accept = "accept", Refuse = "refuse" }
    ConferenceKind { GoogleMeet = "google_meet", MicrosoftTeams = "microsoft_teams" }
    ConferenceState { Pending = "pending", Ready = "ready", Failed = "failed" }
    BookingStatus { Confirmed = "confirmed", Cancelled = "cancelled", Completed = "completed" }
    WritebackState { Pending = "pending", Written = "written", Failed = "failed" }
    EventKind {
        BookingCreated = "booking.created", BookingRescheduled = "booking.rescheduled",
        BookingCancelled = "booking.cancelled", BookingReminder = "booking.reminder",
        BookingCompleted = "booking.completed", BookingWritebackFailed = "booking.writeback_failed",
        BookingConflict = "booking.conflict",
        ConnectionReauthorizationRequired = "connection.reauthorization_required",
    }
    JobKind { Mail = "mail", Notice = "notice", Reminder = "reminder", Completed = "completed", Writeback = "writeback" }
    JobState { Pending = "pending", Done = "done", Dead = "dead" }
    DeliveryState { Pending = "pending", Delivered = "delivered", Failed = "failed" }
    WebhookStanding { Enabled = "enabled", SwitchedOff = "switched_off", Gone = "gone", Failing = "failing" }
    MailKind {
        Confirmation = "confirmation", Reschedule = "reschedule", Cancellation = "cancellation", Reminder = "reminder",
    }
    ExternalState { InSync = "in_sync", Moved = "moved", Deleted = "deleted", Conflict = "conflict" }
}

/// A value as JSON text.
///
/// # Panics
/// Never in practice: the engine's values hold no maps with keys that are not texts.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("engine values are JSON")
}

/// A value from JSON text.
pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| corrupt(what, error))
}

/// A zone from its IANA name.
pub(crate) fn zone(name: &str) -> Result<chrono_tz::Tz> {
    name.parse().map_err(|error| corrupt("unknown zone", error))
}

/// A counter as a column holds it; far below the sign bit in any life of a store.
pub(crate) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A counter from its column.
pub(crate) fn to_u64(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|error| corrupt("negative count", error))
}

/// A small number from its column.
pub(crate) fn to_u32(number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|error| corrupt("number out of range", error))
}

/// A range from its two columns.
pub(crate) fn range(start: i64, end: i64) -> Result<TimeRange> {
    let range = TimeRange::new(Timestamp::from_micros(start), Timestamp::from_micros(end));
    range.ok_or_else(|| StoreError::Corrupt("a range that is empty".to_owned()))
}

/// An e-mail address as searches compare it.
pub(crate) fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A telephone number as searches compare it: its digits and a leading plus.
pub(crate) fn phone_key(phone: &str) -> String {
    let plus = if phone.trim_start().starts_with('+') { "+" } else { "" };
    let digits = phone.chars().filter(char::is_ascii_digit);
    plus.chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_compare_by_digits_and_plus() {
        let check = |given: &str, expected: &str| assert_eq!(phone_key(given), expected, "{given}");
        check("+49 (30) 901820", "+4930901820");
        check(" +1-202-555-0123 ext. 4", "+120255501234");
        check("030/90 18 20", "030901820");
        check("call me", "");
    }

    #[test]
    fn names_are_the_ones_outside_too() {
        fn check<T: Named + Serialize>() {
            for &(value, name) in T::NAMES {
                assert_eq!(to_json(&value), format!("\"{name}\""));
                assert_eq!(T::named(name).expect("its own name").name(), name);
            }
            assert!(T::named("something else").is_err());
        }
        check::<Mode>();
        check::<KeyKind>();
        check::<ProviderKind>();
        check::<ConnectionStatus>();
        check::<WatchState>();
        check::<BufferMode>();
        check::<SchedulingMode>();
        check::<OnStale>();
        check::<ConferenceKind>();
        check::<ConferenceState>();
        check::<BookingStatus>();
        check::<WritebackState>();
        check::<ExternalState>();
        check::<EventKind>();
        check::<DeliveryState>();
        check::<WebhookStanding>();
        check::<MailKind>();
    }
}
