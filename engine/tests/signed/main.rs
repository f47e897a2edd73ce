//! Offers and links: what was made here counts, for what it was made, as long as it was made for, and nothing else does.

mod links;
mod offers;

use std::collections::BTreeMap;

use agentcal_engine::ids::{AccountId, CalendarId, EventTypeId, UserId};
use agentcal_engine::model::{
    AttendeePolicy, AvailabilityRules, BufferMode, CivilTime, CivilWindow, EventType, FollowUp, OnStale,
    SchedulingMode, User, WeeklyRule,
};
use agentcal_engine::signed::SigningKeys;
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A minute of the year 2027.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn key(byte: u8) -> Zeroizing<[u8; 32]> {
    Zeroizing::new([byte; 32])
}

fn keys(bytes: &[u8]) -> SigningKeys {
    SigningKeys::new(key(bytes[0]), bytes[1..].iter().map(|&byte| key(byte)))
}

fn account_id(number: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(1_000 + number))
}

fn event_type_id(number: u128) -> EventTypeId {
    EventTypeId::from_uuid(Uuid::from_u128(2_000 + number))
}

fn user_id(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(3_000 + number))
}

fn rules() -> AvailabilityRules {
    let minute = |minute| CivilTime::from_minutes(minute).expect("a time of day");
    let window = CivilWindow { civil_start: minute(540), civil_end: minute(1_020) };
    let weekly = vec![WeeklyRule { day_of_week: 1, window }];
    AvailabilityRules { timezone: Tz::Europe__Berlin, weekly, overrides: BTreeMap::new() }
}

fn user(number: u128) -> User {
    User {
        id: user_id(number),
        account_id: account_id(1),
        name: "Sarah".to_owned(),
        email: "sarah@example.com".to_owned(),
        timezone: Tz::Europe__Berlin,
        calendar_id: None,
        home_calendar_id: CalendarId::from_uuid(Uuid::from_u128(4_000 + number)),
        busy_calendar_ids: Vec::new(),
        created_at: Timestamp::EARLIEST,
    }
}

fn event_type(number: u128) -> EventType {
    EventType {
        id: event_type_id(number),
        account_id: account_id(1),
        name: "Check-up".to_owned(),
        slug: "checkup".to_owned(),
        duration_minutes: 30,
        slot_interval_minutes: 30,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        buffer_mode: BufferMode::Larger,
        min_notice_hours: 0,
        booking_window_days: 60,
        max_bookings_per_day: None,
        user_ids: vec![user_id(1), user_id(2)],
        scheduling_mode: SchedulingMode::Individual,
        public: false,
        location: None,
        require_slot_id: false,
        conference: None,
        on_stale: OnStale::Verify,
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: Timestamp::EARLIEST,
    }
}

/// Every text that differs from this one in one bit and is still text.
fn one_bit_off(text: &str) -> impl Iterator<Item = String> + '_ {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}
