//! Bookings, and how they stand in the hosts' calendars.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::Conference;
use crate::ids::{AccountId, BookingId, CalendarId, EventTypeId, UserId};
use crate::time::{TimeRange, Timestamp};

/// Where a booking is in its life, as it is stored. `completed` is not stored: see [`Booking::status_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookingStatus {
    /// Stands.
    Confirmed,
    /// Was cancelled; its claims are gone.
    Cancelled,
    /// Stood until its end.
    Completed,
}

/// Where writing a booking to a calendar stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WritebackState {
    /// Not yet written as it now is.
    Pending,
    /// The calendar shows it as it now is.
    Written,
    /// Given up; `last_error` says why.
    Failed,
}

/// Writing a booking to one calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writeback {
    /// Where it stands.
    pub state: WritebackState,
    /// Tries since the booking last changed.
    pub attempts: u32,
    /// What went wrong last, without anybody's data.
    pub last_error: Option<String>,
}

/// How the calendar's event compares to the booking, seen by sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalState {
    /// As we wrote it.
    InSync,
    /// Somebody moved it in the calendar.
    Moved,
    /// Somebody deleted it in the calendar.
    Deleted,
    /// Another busy event covers its time.
    Conflict,
}

/// Who booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendee {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone number, as given.
    pub phone: Option<String>,
    /// IANA zone.
    pub timezone: Option<Tz>,
}

/// One host of a booking, and how the booking stands in that host's calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingHost {
    /// The host.
    pub user_id: UserId,
    /// The calendar it is written to, as it was when booked; `None` where the host had none.
    pub calendar_id: Option<CalendarId>,
    /// The event's id at the provider, once written.
    pub provider_event_id: Option<String>,
    /// Writing it; `None` without a calendar.
    pub writeback: Option<Writeback>,
    /// What sync last saw; `None` without a calendar.
    pub external_state: Option<ExternalState>,
}

/// A booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// Its id.
    pub id: BookingId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// What was booked; `None` for a meeting without an event type.
    pub event_type_id: Option<EventTypeId>,
    /// What the calendar event is called: the event type's name at the time of booking, or "Meeting".
    pub title: String,
    /// Where it takes place.
    pub location: Option<String>,
    /// The conference it has, or is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conference: Option<Conference>,
    /// When.
    pub range: TimeRange,
    /// Stored status: confirmed or cancelled.
    pub status: BookingStatus,
    /// The zone its times are answered in: the attendee's, else the first host's.
    pub timezone: Tz,
    /// Who booked.
    pub attendee: Attendee,
    /// The caller's own data.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// The hosts; the first is repeated at the top level of the answer.
    pub hosts: Vec<BookingHost>,
    /// Raised by every change of time or status; iCalendar's SEQUENCE (RFC 5545, 3.8.7.4).
    pub sequence: u32,
    /// How often the attendee moved it through its link.
    pub attendee_reschedules: u32,
    /// Why it was cancelled, if a reason was given.
    pub cancel_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Booking {
    /// Where it takes place, for people: its location, else where its conference is joined.
    pub fn place(&self) -> Option<&str> {
        let join_url = || self.conference.as_ref()?.join_url.as_deref();
        self.location.as_deref().or_else(join_url)
    }

    /// The status at an instant: a confirmed booking whose end has passed is completed.
    pub fn status_at(&self, now: Timestamp) -> BookingStatus {
        match self.status {
            BookingStatus::Confirmed if self.range.end <= now => BookingStatus::Completed,
            status => status,
        }
    }
}
