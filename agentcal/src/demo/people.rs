//! Who lives in the demo, and what they offer.

use std::collections::BTreeMap;

use agentcal_engine::ids::{AccountId, CalendarId, EventTypeId, UserId};
use agentcal_engine::model::{
    AttendeePolicy, AvailabilityRules, BufferMode, CivilTime, CivilWindow, EventType, FollowUp, OnStale,
    SchedulingMode, User, WeeklyRule,
};
use agentcal_engine::time::Timestamp;
use agentcal_provider_sandbox::{WORK, WORK_LATE};
use chrono_tz::Tz;

/// A person of the demo. The hours are long enough that three continents meet on every working day, whatever their
/// clocks do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// Name.
    pub(crate) name: &'static str,
    /// Address, of a domain that receives no mail.
    pub(crate) email: &'static str,
    /// Zone.
    pub(crate) timezone: Tz,
    /// First hour of the working day.
    pub(crate) from_hour: u16,
    /// First hour after it.
    pub(crate) to_hour: u16,
    /// Which sandbox calendar.
    pub(crate) work_calendar: &'static str,
    /// Its seed.
    pub(crate) seed: u64,
}

/// Number of people.
pub(crate) const PEOPLE_LEN: usize = 3;

/// Everybody.
pub(crate) const PEOPLE: [Person; PEOPLE_LEN] = [
    Person {
        name: "Anna Becker",
        email: "anna@example.com",
        timezone: Tz::Europe__Berlin,
        from_hour: 8,
        to_hour: 19,
        work_calendar: WORK,
        seed: 1,
    },
    Person {
        name: "Noah Carter",
        email: "noah@example.com",
        timezone: Tz::America__New_York,
        from_hour: 7,
        to_hour: 18,
        work_calendar: WORK,
        seed: 2,
    },
    Person {
        name: "Priya Nair",
        email: "priya@example.com",
        timezone: Tz::Asia__Kolkata,
        from_hour: 12,
        to_hour: 23,
        work_calendar: WORK_LATE,
        seed: 3,
    },
];

impl Person {
    /// Monday to Friday.
    pub(crate) fn rules(&self) -> AvailabilityRules {
        let civil = |hour: u16| CivilTime::from_minutes(hour * 60).expect("an hour of a day");
        let window = CivilWindow { civil_start: civil(self.from_hour), civil_end: civil(self.to_hour) };
        let weekly = (1..=5).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
        AvailabilityRules { timezone: self.timezone, weekly, overrides: BTreeMap::new() }
    }

    /// The person as a user.
    pub(crate) fn user(&self, id: UserId, account_id: AccountId, calendar_id: CalendarId, now: Timestamp) -> User {
        User {
            id,
            account_id,
            name: self.name.to_owned(),
            email: self.email.to_owned(),
            timezone: self.timezone,
            calendar_id: Some(calendar_id),
            home_calendar_id: calendar_id,
            busy_calendar_ids: Vec::new(),
            created_at: now,
        }
    }
}

/// Something to book in the demo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    name: &'static str,
    slug: &'static str,
    scheduling_mode: SchedulingMode,
}

/// Number of event types.
pub(crate) const OFFERS_LEN: usize = 3;

/// Every event type; the first is the one that `dev.json` names.
pub(crate) const OFFERS: [Offer; OFFERS_LEN] = [
    Offer { name: "Intro call", slug: "intro-call", scheduling_mode: SchedulingMode::Individual },
    Offer { name: "Support call", slug: "support-call", scheduling_mode: SchedulingMode::RoundRobin },
    Offer { name: "Team meeting", slug: "team-meeting", scheduling_mode: SchedulingMode::Collective },
];

impl Offer {
    /// The offer as an event type of 30 minutes: no buffers, no notice, no limits.
    pub(crate) fn event_type(
        &self,
        id: EventTypeId,
        account_id: AccountId,
        user_ids: Vec<UserId>,
        now: Timestamp,
    ) -> EventType {
        EventType {
            id,
            account_id,
            name: self.name.to_owned(),
            slug: self.slug.to_owned(),
            duration_minutes: 30,
            slot_interval_minutes: 30,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            buffer_mode: BufferMode::Larger,
            min_notice_hours: 0,
            booking_window_days: 60,
            max_bookings_per_day: None,
            user_ids,
            scheduling_mode: self.scheduling_mode,
            public: true,
            location: None,
            require_slot_id: false,
            conference: None,
            on_stale: OnStale::Verify,
            attendee_policy: AttendeePolicy::default(),
            follow_up: FollowUp::default(),
            created_at: now,
        }
    }
}
