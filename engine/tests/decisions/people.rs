//! Made-up people, their rules and what is in their calendars. All times are by UTC.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::busy::BusySet;
use agentcal_engine::decision::{Host, Terms};
use agentcal_engine::facts::{CalendarFacts, Knowledge};
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{
    AvailabilityRules, CivilTime, CivilWindow, Claim, ClaimOwner, DateOverride, User, WeeklyRule,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{MINUTE_US, TimeRange, Timestamp};
use chrono::NaiveDateTime;
use chrono_tz::Tz;
use uuid::Uuid;

const ACCOUNT: AccountId = AccountId::from_uuid(Uuid::from_u128(1));

/// An instant from `2026-06-01 09:00`.
pub(crate) fn at(text: &str) -> Timestamp {
    let utc = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a date and a time").and_utc();
    Timestamp::from(utc)
}

/// An instant as `06-01 09:00`.
pub(crate) fn on(instant: Timestamp) -> String {
    instant.to_utc().format("%m-%d %H:%M").to_string()
}

pub(crate) fn span(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end)).expect("start before end")
}

fn lasting(start: &str, minutes: i64) -> TimeRange {
    TimeRange { start: at(start), end: at(start).plus_micros(minutes * MINUTE_US) }
}

pub(crate) fn user_id(index: u8) -> UserId {
    UserId::from_uuid(Uuid::from_u128(100 + u128::from(index)))
}

pub(crate) fn booking_id(number: u128) -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(200 + number))
}

pub(crate) fn event_type_id(number: u128) -> EventTypeId {
    EventTypeId::from_uuid(Uuid::from_u128(300 + number))
}

fn calendar_id(number: u128) -> CalendarId {
    CalendarId::from_uuid(Uuid::from_u128(400 + number))
}

/// The terms of event type 1: no buffers, notice or limit.
pub(crate) fn terms(duration_minutes: u32) -> Terms {
    Terms { event_type_id: Some(event_type_id(1)), ..Terms::ad_hoc(duration_minutes) }
}

/// A claim in the making.
pub(crate) struct Draft(Claim);

impl Draft {
    pub(crate) fn buffers(mut self, before: u32, after: u32) -> Self {
        (self.0.buffer_before_minutes, self.0.buffer_after_minutes) = (before, after);
        self
    }

    pub(crate) fn claim(self) -> Claim {
        self.0
    }
}

/// A claim of a booking of event type 1.
pub(crate) fn booking(number: u128, user: u8, start: &str, minutes: i64) -> Draft {
    Draft(Claim {
        id: ClaimId::from_uuid(Uuid::from_u128(500 + number)),
        account_id: ACCOUNT,
        user_id: user_id(user),
        home_calendar_id: calendar_id(user.into()),
        range: lasting(start, minutes),
        owner: ClaimOwner::Booking(booking_id(number)),
        event_type_id: Some(event_type_id(1)),
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        expires_at: None,
        session_id: None,
    })
}

/// A claim of a hold.
pub(crate) fn hold(number: u128, user: u8, start: &str, minutes: i64, expires_at: &str) -> Draft {
    let owner = ClaimOwner::Hold(HoldId::from_uuid(Uuid::from_u128(600 + number)));
    Draft(Claim { owner, expires_at: Some(at(expires_at)), ..booking(number, user, start, minutes).0 })
}

/// Facts of a calendar beside the home calendars.
pub(crate) fn facts(calendar: u128, knowledge: Knowledge, claims: Vec<Claim>) -> CalendarFacts {
    CalendarFacts {
        calendar_id: calendar_id(calendar),
        account_id: ACCOUNT,
        epoch: Epoch(1),
        revision: 1,
        knowledge,
        external: Vec::new(),
        displaced: Vec::new(),
        claims,
    }
}

fn window(start: &str, end: &str) -> CivilWindow {
    let time = |text: &str| {
        let (hours, minutes) = text.split_once(':').expect("hh:mm");
        let minute = hours.parse::<u16>().expect("hours") * 60 + minutes.parse::<u16>().expect("minutes");
        CivilTime::from_minutes(minute).expect("at most 24:00")
    };
    CivilWindow { civil_start: time(start), civil_end: time(end) }
}

/// Open every day at the same time.
pub(crate) fn open_rules(timezone: Tz, start: &str, end: &str) -> AvailabilityRules {
    let weekly = (0..7).map(|day_of_week| WeeklyRule { day_of_week, window: window(start, end) }).collect();
    AvailabilityRules { timezone, weekly, overrides: BTreeMap::new() }
}

/// Somebody, open day and night by UTC unless told otherwise, with one calendar that is known.
pub(crate) struct Person {
    index: u8,
    zone: Tz,
    rules: AvailabilityRules,
    home: CalendarFacts,
    busy: Vec<TimeRange>,
    others: Vec<CalendarFacts>,
    forgets: bool,
}

impl Person {
    pub(crate) fn new(index: u8) -> Self {
        Self {
            index,
            zone: Tz::UTC,
            rules: open_rules(Tz::UTC, "00:00", "24:00"),
            home: facts(index.into(), Knowledge::Internal, Vec::new()),
            busy: Vec::new(),
            others: Vec::new(),
            forgets: false,
        }
    }

    pub(crate) fn zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    pub(crate) fn open(mut self, start: &str, end: &str) -> Self {
        self.rules = open_rules(Tz::UTC, start, end);
        self
    }

    /// Open on one date only.
    pub(crate) fn off_but(mut self, date: &str, start: &str, end: &str) -> Self {
        self.rules.weekly.clear();
        let dated = DateOverride { windows: vec![window(start, end)] };
        self.rules.overrides.insert(date.parse().expect("a date"), dated);
        self
    }

    pub(crate) fn busy(mut self, start: &str, minutes: i64) -> Self {
        self.busy.push(lasting(start, minutes));
        self
    }

    pub(crate) fn busy_at(mut self, start: Timestamp, minutes: i64) -> Self {
        self.busy.push(TimeRange { start, end: start.plus_micros(minutes * MINUTE_US) });
        self
    }

    pub(crate) fn claim(mut self, draft: Draft) -> Self {
        self.home.claims.push(draft.claim());
        self
    }

    pub(crate) fn displaced(mut self, booking: u128, start: &str, minutes: i64) -> Self {
        self.home.displaced.push((booking_id(booking), lasting(start, minutes)));
        self
    }

    pub(crate) fn also(mut self, facts: CalendarFacts) -> Self {
        self.others.push(facts);
        self
    }

    /// The last calendar's facts cannot be had.
    pub(crate) fn forgetting(mut self) -> Self {
        self.forgets = true;
        self
    }

    pub(crate) fn host(self) -> Host {
        let mut home = self.home;
        home.external = BusySet::from_ranges(self.busy).into_ranges();
        let user = User {
            id: user_id(self.index),
            account_id: ACCOUNT,
            name: format!("person {}", self.index),
            email: format!("person{}@example.org", self.index),
            timezone: self.zone,
            calendar_id: Some(home.calendar_id),
            home_calendar_id: home.calendar_id,
            busy_calendar_ids: self.others.iter().map(|facts| facts.calendar_id).collect(),
            created_at: Timestamp::EARLIEST,
        };
        let mut facts: Vec<Arc<CalendarFacts>> = std::iter::once(home).chain(self.others).map(Arc::new).collect();
        if self.forgets {
            facts.pop();
        }
        Host { user: Arc::new(user), rules: Arc::new(self.rules.into()), facts }
    }
}
