//! Random terms and rules.

use std::collections::BTreeMap;

use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::model::{
    AttendeePolicy, AvailabilityRules, BufferMode, CivilTime, CivilWindow, DateOverride, EventType, FollowUp, OnStale,
    SchedulingMode, WeeklyRule,
};
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};

use crate::dice::Dice;
use crate::moments::ZONES;

/// Minutes after an instant, as a range.
pub(crate) fn minutes(after: Timestamp, start: i64, length: i64) -> TimeRange {
    let start = after.plus_micros(start * MINUTE_US);
    TimeRange { start, end: start.plus_micros(length * MINUTE_US) }
}

pub(crate) fn event_type(dice: &mut Dice, id: EventTypeId, account_id: AccountId, hosts: Vec<UserId>) -> EventType {
    let is_odd = dice.percent(10);
    let durations: &[u32] = if is_odd { &[1, 7, 240, 600, 1_440] } else { &[15, 20, 30, 30, 45, 60, 90] };
    let buffers = [0, 0, 0, 0, 5, 10, 15, 15, 30, 30, 60, 1, 1_440];
    let modes = [
        SchedulingMode::Individual,
        SchedulingMode::Individual,
        SchedulingMode::RoundRobin,
        SchedulingMode::RoundRobin,
        SchedulingMode::Collective,
    ];
    EventType {
        id,
        account_id,
        name: "Intro call".into(),
        slug: "intro".into(),
        duration_minutes: dice.pick(durations),
        slot_interval_minutes: dice.pick(&[5, 10, 15, 15, 20, 30, 30, 45, 50, 60, 60, 90, 7, 11, 480, 1_440]),
        buffer_before_minutes: dice.pick(&buffers),
        buffer_after_minutes: dice.pick(&buffers),
        buffer_mode: dice.pick(&[BufferMode::Larger, BufferMode::Sum]),
        min_notice_hours: dice.pick(&[0, 0, 0, 0, 1, 4, 24, 48]),
        booking_window_days: dice.pick(&[1, 3, 5, 7, 14, 60, 60]),
        max_bookings_per_day: dice.percent(40).then(|| dice.pick(&[0, 1, 1, 2, 2, 3, 4])),
        user_ids: hosts,
        scheduling_mode: dice.pick(&modes),
        public: true,
        location: None,
        require_slot_id: dice.percent(20),
        conference: None,
        on_stale: dice.pick(&[OnStale::Verify, OnStale::Verify, OnStale::Accept, OnStale::Refuse]),
        attendee_policy: AttendeePolicy::default(),
        follow_up: FollowUp::default(),
        created_at: Timestamp::EARLIEST,
    }
}

pub(crate) fn rules(dice: &mut Dice, now: Timestamp) -> AvailabilityRules {
    let overrides: BTreeMap<_, _> = (0..dice.below(3))
        .map(|_| {
            let day = now.plus_micros(dice.between(-2, 8) * DAY_US).to_utc().date_naive();
            let windows = (0..dice.below(3)).map(|_| window(dice)).collect();
            (day, DateOverride { windows })
        })
        .collect();
    AvailabilityRules { timezone: dice.pick(&ZONES), weekly: weekly(dice), overrides }
}

fn weekly(dice: &mut Dice) -> Vec<WeeklyRule> {
    let every_day = |window| (0..7).map(|day_of_week| WeeklyRule { day_of_week, window }).collect();
    match dice.below(12) {
        0..3 => (0..dice.below(12))
            .map(|_| WeeklyRule { day_of_week: u8::try_from(dice.below(7)).unwrap(), window: window(dice) })
            .collect(),
        3..5 => every_day(window(dice)),
        5..7 => every_day(between(540, 1_020)),
        7..10 => every_day(between(0, 1_440)),
        10 => every_day(between(1_320, 120)),
        _ => every_day(between(150, 150)),
    }
}

fn window(dice: &mut Dice) -> CivilWindow {
    between(minute(dice), minute(dice))
}

fn between(start: u16, end: u16) -> CivilWindow {
    let time = |minutes| CivilTime::from_minutes(minutes).unwrap();
    // A window cannot begin at the end of its day.
    CivilWindow { civil_start: time(start % 1_440), civil_end: time(end) }
}

/// Minutes of the day: mostly quarters, often those at which clocks are changed.
fn minute(dice: &mut Dice) -> u16 {
    match dice.below(9) {
        0..5 => u16::try_from(dice.below(97)).unwrap() * 15,
        5..8 => dice.pick(&[0, 30, 60, 90, 120, 135, 150, 165, 180, 1_380, 1_410, 1_440]),
        _ => u16::try_from(dice.below(1_441)).unwrap(),
    }
}

/// Busy time: a few blocks of any length, or many short ones.
pub(crate) fn blocks(dice: &mut Dice, now: Timestamp) -> Vec<TimeRange> {
    if dice.percent(25) {
        let (from, step) = (dice.between(-600, 7_000), dice.between(15, 40));
        let (count, length) = (dice.between(10, 60), dice.between(1, 30));
        return (0..count).map(|index| minutes(now, from + index * step, length)).collect();
    }
    let any = |dice: &mut Dice| {
        let length = if dice.percent(80) { dice.between(5, 120) } else { dice.between(1, 3_000) };
        minutes(now, dice.between(-1_500, 9_000), length)
    };
    (0..dice.below(10)).map(|_| any(dice)).collect()
}
