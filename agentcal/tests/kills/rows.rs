//! What a database holds, row by row, read without any of the program's code.

use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, HoldId, UserId};
use agentcal_engine::model::{Attendee, Booking, BookingHost, BookingStatus, Claim, ClaimOwner, Hold, HoldState};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_history::EventAtProvider;
use chrono_tz::Tz;
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

#[derive(Deserialize, FromRow)]
pub(crate) struct EventRow {
    calendar_id: Uuid,
    booking_id: Uuid,
    start_at: i64,
    end_at: i64,
}

impl EventRow {
    pub(crate) fn event(self) -> EventAtProvider {
        EventAtProvider {
            calendar_id: CalendarId::from_uuid(self.calendar_id),
            booking_id: BookingId::from_uuid(self.booking_id),
            range: range(self.start_at, self.end_at),
        }
    }
}

#[derive(Deserialize, FromRow)]
pub(crate) struct HostRow {
    booking_id: Uuid,
    user_id: Uuid,
    calendar_id: Option<Uuid>,
}

#[derive(Deserialize, FromRow)]
pub(crate) struct BookingRow {
    booking_id: Uuid,
    start_at: i64,
    end_at: i64,
    status: String,
    metadata: String,
    attendee_name: String,
    sequence: u32,
    created_at: i64,
}

impl BookingRow {
    pub(crate) fn booking(self, account_id: AccountId, hosts: &[HostRow]) -> Booking {
        let hosts = hosts.iter().filter(|host| host.booking_id == self.booking_id);
        let hosts = hosts.map(|host| BookingHost {
            user_id: UserId::from_uuid(host.user_id),
            calendar_id: host.calendar_id.map(CalendarId::from_uuid),
            provider_event_id: None,
            writeback: None,
            external_state: None,
        });
        Booking {
            id: BookingId::from_uuid(self.booking_id),
            account_id,
            event_type_id: None,
            title: String::new(),
            location: None,
            range: range(self.start_at, self.end_at),
            status: if self.status == "cancelled" { BookingStatus::Cancelled } else { BookingStatus::Confirmed },
            timezone: Tz::UTC,
            attendee: Attendee { name: self.attendee_name, email: None, phone: None, timezone: None },
            metadata: serde_json::from_str(&self.metadata).expect("metadata is JSON"),
            hosts: hosts.collect(),
            sequence: self.sequence,
            attendee_reschedules: 0,
            cancel_reason: None,
            conference: None,
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}

#[derive(Deserialize, FromRow)]
pub(crate) struct ClaimRow {
    claim_id: Uuid,
    user_id: Uuid,
    home_calendar_id: Uuid,
    start_at: i64,
    end_at: i64,
    hold_id: Option<Uuid>,
    booking_id: Option<Uuid>,
    expires_at: Option<i64>,
    session_id: Option<String>,
}

impl ClaimRow {
    pub(crate) fn claim(self, account_id: AccountId) -> Claim {
        let owner = match (self.hold_id, self.booking_id) {
            (Some(hold_id), None) => ClaimOwner::Hold(HoldId::from_uuid(hold_id)),
            (None, Some(booking_id)) => ClaimOwner::Booking(BookingId::from_uuid(booking_id)),
            both => panic!("a claim belongs to {both:?}"),
        };
        Claim {
            id: ClaimId::from_uuid(self.claim_id),
            account_id,
            user_id: UserId::from_uuid(self.user_id),
            home_calendar_id: CalendarId::from_uuid(self.home_calendar_id),
            range: range(self.start_at, self.end_at),
            owner,
            event_type_id: None,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            expires_at: self.expires_at.map(Timestamp::from_micros),
            session_id: self.session_id,
        }
    }
}

#[derive(Deserialize, FromRow)]
pub(crate) struct HoldRow {
    hold_id: Uuid,
    start_at: i64,
    end_at: i64,
    user_ids: String,
    session_id: Option<String>,
    state: String,
    booking_id: Option<Uuid>,
    expires_at: i64,
    created_at: i64,
}

impl HoldRow {
    pub(crate) fn hold(self, account_id: AccountId) -> Hold {
        let state = match (self.state.as_str(), self.booking_id) {
            ("active", None) => HoldState::Active,
            ("released", None) => HoldState::Released,
            ("confirmed", Some(booking_id)) => HoldState::Confirmed(BookingId::from_uuid(booking_id)),
            other => panic!("a hold is {other:?}"),
        };
        Hold {
            id: HoldId::from_uuid(self.hold_id),
            account_id,
            event_type_id: None,
            range: range(self.start_at, self.end_at),
            user_ids: serde_json::from_str(&self.user_ids).expect("users are JSON"),
            session_id: self.session_id,
            state,
            expires_at: Timestamp::from_micros(self.expires_at),
            created_at: Timestamp::from_micros(self.created_at),
        }
    }
}

fn range(start_at: i64, end_at: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_micros(start_at), Timestamp::from_micros(end_at)).expect("ends after its start")
}
