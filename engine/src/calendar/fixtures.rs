//! Values for this folder's tests.

use chrono_tz::Tz;
use uuid::Uuid;

use crate::ids::{AccountId, BookingId, CalendarId, UserId};
use crate::model::{Attendee, Booking, BookingHost, BookingStatus, ExternalState, Writeback, WritebackState};
use crate::ports::{Entropy, WritebackJob, WrittenEvent};
use crate::time::{TimeRange, Timestamp};

pub(crate) struct Zero;

impl Entropy for Zero {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

/// Hours `from..to` after [`at`]`(0)`.
pub(crate) const fn hours(from: i64, to: i64) -> TimeRange {
    TimeRange { start: at(from * 3_600), end: at(to * 3_600) }
}

pub(crate) fn account() -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(1))
}

pub(crate) fn calendar(number: u128) -> CalendarId {
    CalendarId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn booking_id(number: u128) -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn booking(number: u128, range: TimeRange) -> Booking {
    Booking {
        id: booking_id(number),
        account_id: account(),
        event_type_id: None,
        title: "Intro call".into(),
        location: None,
        range,
        status: BookingStatus::Confirmed,
        timezone: Tz::UTC,
        attendee: Attendee { name: "Ada".into(), email: Some("ada@example.com".into()), phone: None, timezone: None },
        metadata: serde_json::Map::new(),
        hosts: vec![BookingHost {
            user_id: UserId::from_uuid(Uuid::from_u128(1)),
            calendar_id: Some(calendar(2)),
            provider_event_id: None,
            writeback: Some(Writeback { state: WritebackState::Written, attempts: 1, last_error: None }),
            external_state: Some(ExternalState::InSync),
        }],
        sequence: 0,
        cancel_reason: None,
        created_at: at(0),
    }
}

pub(crate) fn job(booking: Booking) -> WritebackJob {
    WritebackJob {
        calendar_id: calendar(2),
        version: 3,
        attempts: 0,
        due_at: at(0),
        written: Some(WrittenEvent { provider_event_id: "event".into(), etag: None }),
        written_range: Some(booking.range),
        booking,
    }
}
