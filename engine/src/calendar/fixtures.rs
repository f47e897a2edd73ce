//! Values for this folder's tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use uuid::Uuid;

use crate::ids::{AccountId, BookingId, CalendarId, EventTypeId, HoldId, OrganizationId, UserId};
use crate::model::{
    Account, Attendee, AttendeePolicy, AvailabilityRules, Booking, BookingHost, BookingStatus, BufferMode, Calendar,
    CivilTime, CivilWindow, EventType, ExternalState, FollowUp, Hold, HoldState, Mode, OnStale, ProviderKind,
    SchedulingMode, Tenant, User, Watch, WatchState, WeeklyRule, Writeback, WritebackState,
};
use crate::ports::{AccountConfig, Entropy, HoldStoreItem, WritebackJob, WrittenEvent};
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
        attendee_reschedules: 0,
        cancel_reason: None,
        conference: None,
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

pub(crate) fn user_id(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(number))
}

/// The live hold `number` of these users, until [`at`]`(120)`.
pub(crate) fn hold(number: u128, users: &[u128], range: TimeRange) -> HoldStoreItem {
    let hold = Hold {
        id: HoldId::from_uuid(Uuid::from_u128(number)),
        account_id: account(),
        event_type_id: Some(event_type_id()),
        range,
        user_ids: users.iter().map(|&number| user_id(number)).collect(),
        session_id: Some("call".into()),
        state: HoldState::Active,
        expires_at: at(120),
        created_at: at(0),
    };
    HoldStoreItem { hold, claim_count: users.len() as u32 }
}

pub(crate) fn event_type_id() -> EventTypeId {
    EventTypeId::from_uuid(Uuid::from_u128(77))
}

pub(crate) fn tenant() -> Tenant {
    let organization_id = OrganizationId::from_uuid(Uuid::from_u128(5));
    Tenant { organization_id, mode: Mode::Test, account_id: account() }
}

/// Rules without an end.
pub(crate) fn always() -> AvailabilityRules {
    let time = |minutes| CivilTime::from_minutes(minutes).expect("a time of day");
    let window = CivilWindow { civil_start: time(0), civil_end: time(1_440) };
    let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
    AvailabilityRules { timezone: Tz::UTC, weekly, overrides: BTreeMap::new() }
}

/// User `number`, at home in calendar `number`, who also reads these.
pub(crate) fn user(number: u128, busy: &[u128]) -> User {
    User {
        id: user_id(number),
        account_id: account(),
        name: format!("User {number}"),
        email: format!("user{number}@example.com"),
        timezone: Tz::Europe__Berlin,
        calendar_id: Some(calendar(number)),
        home_calendar_id: calendar(number),
        busy_calendar_ids: busy.iter().map(|&number| calendar(number)).collect(),
        created_at: at(0),
    }
}

fn calendar_row(number: u128) -> Calendar {
    Calendar {
        id: calendar(number),
        account_id: account(),
        connection_id: None,
        provider: ProviderKind::Sandbox,
        provider_calendar_id: number.to_string(),
        name: number.to_string(),
        timezone: Tz::UTC,
        writable: true,
        watch: Watch { state: WatchState::Polling, expires_at: None },
        last_synced_at: None,
        created_at: at(0),
    }
}

/// An account at revision 40 with these users, calendars 1 to 9, and an event type of an hour with all of them.
pub(crate) fn config(mode: SchedulingMode, users: &[User]) -> AccountConfig {
    let event_type = EventType {
        id: event_type_id(),
        account_id: account(),
        name: "Intro call".into(),
        slug: "intro".into(),
        duration_minutes: 60,
        slot_interval_minutes: 60,
        buffer_before_minutes: 5,
        buffer_after_minutes: 10,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: 60,
        max_bookings_per_day: None,
        user_ids: users.iter().map(|user| user.id).collect(),
        scheduling_mode: mode,
        public: true,
        location: Some("Room 1".into()),
        require_slot_id: false,
        conference: None,
        on_stale: OnStale::Verify,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: at(0),
    };
    AccountConfig {
        account: Account {
            id: account(),
            organization_id: tenant().organization_id,
            mode: Mode::Test,
            name: "Account".into(),
            timezone: None,
            metadata: serde_json::Map::new(),
            created_at: at(0),
        },
        config_revision: 40,
        users: users.iter().map(|user| (Arc::new(user.clone()), Arc::new(always().into()))).collect(),
        event_types: vec![(event_type, None)],
        calendars: (1..=9).map(calendar_row).collect(),
    }
}
