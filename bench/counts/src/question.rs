//! Work for the decision alone: a person, a question about them, and something there is more or less of.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::decision::{Host, Question, SlotSearch, Terms, slots};
use agentcal_engine::facts::{CalendarFacts, ExternalInstance, FactSource, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::model::{AvailabilityRules, CivilTime, CivilWindow, User, WeeklyRule};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::stage::NOW;

/// Days a question is about.
const DAYS: i64 = 28;

/// Looks at each of so many starts, all of them free.
pub(crate) fn examine_slots(starts: u64) -> SlotSearch {
    let always = AvailabilityRules { timezone: Tz::UTC, weekly: every_day(&[(0, 1_440)]), overrides: BTreeMap::new() };
    let host = host(always, &[]);
    let minutes = i64::try_from(starts).expect("a small number");
    ask(&host, Terms::ad_hoc(1), minutes * MINUTE_US)
}

/// Works so many busy intervals into a question, none of them where anybody is open.
pub(crate) fn weigh_busy_intervals(intervals: u64) -> SlotSearch {
    let per_day = i64::try_from(intervals).expect("a small number") / DAYS;
    let busy: Vec<TimeRange> = (0..DAYS)
        .flat_map(|day| (0..per_day).map(move |place| (day, place)))
        .map(|(day, place)| {
            let start = NOW.plus_micros(day * DAY_US + place * 2 * MINUTE_US);
            TimeRange { start, end: start.plus_micros(MINUTE_US) }
        })
        .collect();
    ask(&host(AvailabilityRules::office_hours(Tz::UTC), &busy), Terms::ad_hoc(30), DAYS * DAY_US)
}

/// Expands so many windows of rules, each too short for a slot.
pub(crate) fn expand_windows(windows: u64) -> SlotSearch {
    let per_day = u16::try_from(windows).expect("a small number") / u16::try_from(DAYS).expect("a small number");
    let of_day: Vec<(u16, u16)> = (0..per_day).map(|place| (place * 20, place * 20 + 10)).collect();
    let rules =
        AvailabilityRules { timezone: Tz::Europe__Berlin, weekly: every_day(&of_day), overrides: BTreeMap::new() };
    ask(&host(rules, &[]), Terms::ad_hoc(30), DAYS * DAY_US)
}

fn ask(host: &Host, terms: Terms, len_us: i64) -> SlotSearch {
    let question = Question { terms: &terms, hosts: std::slice::from_ref(host), now: NOW, ignoring: None };
    slots(&question, TimeRange { start: NOW, end: NOW.plus_micros(len_us) }, usize::MAX)
}

fn every_day(windows: &[(u16, u16)]) -> Vec<WeeklyRule> {
    let time = |minute| CivilTime::from_minutes(minute).expect("a minute of a day");
    let window = |&(start, end): &(u16, u16)| CivilWindow { civil_start: time(start), civil_end: time(end) };
    let of_day = |day_of_week| windows.iter().map(window).map(move |window| WeeklyRule { day_of_week, window });
    (0..7).flat_map(of_day).collect()
}

fn host(rules: AvailabilityRules, busy: &[TimeRange]) -> Host {
    let id = Uuid::from_u128(1);
    let (account_id, calendar_id) = (AccountId::from_uuid(id), CalendarId::from_uuid(id));
    let window = TimeRange { start: NOW.plus_micros(-DAY_US), end: NOW.plus_micros(400 * DAY_US) };
    let facts = CalendarFacts::assemble(FactSource {
        calendar_id,
        account_id,
        epoch: Epoch(1),
        revision: 1,
        knowledge: Knowledge::Synced { as_of: NOW, window, watched_until: None },
        instances: busy.iter().map(|&range| ExternalInstance { range, booking_id: None, blocks: true }).collect(),
        claims: Vec::new(),
        echoes: Vec::new(),
    });
    let user = User {
        id: UserId::from_uuid(id),
        account_id,
        name: "Robin Example".to_owned(),
        email: "robin@example.com".to_owned(),
        timezone: rules.timezone,
        calendar_id: Some(calendar_id),
        home_calendar_id: calendar_id,
        busy_calendar_ids: Vec::new(),
        created_at: Timestamp::EARLIEST,
    };
    Host { user: Arc::new(user), rules: Arc::new(rules.into()), facts: vec![Arc::new(facts)] }
}
