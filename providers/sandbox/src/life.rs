//! The lifelike part of a calendar: what somebody's weeks look like, as a pure function of seed, calendar and date.

use agentcal_engine::civil::{date_of, day_bounds, instant_of};
use agentcal_engine::time::TimeRange;
use chrono::{Datelike, Days, NaiveDate, Weekday};
use chrono_tz::Tz;

use crate::calendar::Flavour;
use crate::dice::Dice;

/// Days before 1970 and after 2200 have no lifelike part; foreign windows cannot make this loop for ever.
const DAYS_MAX: usize = 90_000;
/// Month and day of the holidays.
const HOLIDAYS: [(u32, u32); 5] = [(1, 1), (5, 1), (12, 24), (12, 25), (12, 26)];

/// An event nobody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededEvent {
    /// Its name in the calendar, ascending by date.
    pub event_id: String,
    /// Its time.
    pub range: TimeRange,
}

/// The lifelike events of a calendar that overlap a window, ascending by name. None for a calendar that does not exist.
pub fn seeded_events(seed: u64, provider_calendar_id: &str, timezone: Tz, window: TimeRange) -> Vec<SeededEvent> {
    let Some(flavour) = Flavour::of(provider_calendar_id) else { return Vec::new() };
    let dice = Dice::new(seed).about(provider_calendar_id);
    let first = date_of(window.start.clamped(), timezone) - Days::new(1);
    let last = date_of(window.end.clamped(), timezone);
    first
        .iter_days()
        .take(DAYS_MAX)
        .take_while(|&date| date <= last)
        .flat_map(|date| events_of_day(flavour, dice, date))
        .filter_map(|event| event.resolve(timezone))
        .filter(|event| event.range.overlaps(&window))
        .collect()
}

/// An event by the wall clock: minutes after midnight of its date; without, the whole of it.
#[derive(Clone, Copy, Debug)]
struct CivilEvent {
    date: NaiveDate,
    kind: &'static str,
    start_and_minutes: Option<(u32, u32)>,
}

impl CivilEvent {
    fn resolve(self, timezone: Tz) -> Option<SeededEvent> {
        let at = |minute| instant_of(self.date, minute, timezone);
        let range = match self.start_and_minutes {
            Some((start, minutes)) => TimeRange::new(at(start), at(start + minutes))?,
            None => day_bounds(self.date, timezone)?,
        };
        Some(SeededEvent { event_id: format!("{}-{}", self.date.format("%Y%m%d"), self.kind), range })
    }
}

fn events_of_day(flavour: Flavour, dice: Dice, date: NaiveDate) -> Vec<CivilEvent> {
    let mut events = match flavour {
        Flavour::Holidays => holidays(date),
        Flavour::Work { shift_minutes } => work_day(dice, date, shift_minutes),
    };
    events.sort_by_key(|event| event.kind);
    events
}

fn holidays(date: NaiveDate) -> Vec<CivilEvent> {
    let is_holiday = HOLIDAYS.contains(&(date.month(), date.day()));
    is_holiday.then(|| all_day(date, "holiday")).into_iter().collect()
}

fn all_day(date: NaiveDate, kind: &'static str) -> CivilEvent {
    CivilEvent { date, kind, start_and_minutes: None }
}

fn work_day(dice: Dice, date: NaiveDate, shift_minutes: u32) -> Vec<CivilEvent> {
    let day = Day { person: dice, dice: dice.nth(i64::from(date.num_days_from_ce())), date, shift_minutes };
    match date.weekday() {
        Weekday::Sat => day.weekend(),
        Weekday::Sun => Vec::new(),
        _ if day.is_off() => vec![all_day(date, "day-off")],
        _ => day.weekday(),
    }
}

/// One day of somebody. `person` decides habits, `dice` what happens on this day.
struct Day {
    person: Dice,
    dice: Dice,
    date: NaiveDate,
    shift_minutes: u32,
}

impl Day {
    fn is_off(&self) -> bool {
        self.dice.about("day off").below(50) == 0
    }

    fn event(&self, kind: &'static str, start_minute: u32, minutes: u32) -> CivilEvent {
        let start_and_minutes = Some((start_minute + self.shift_minutes, minutes));
        CivilEvent { date: self.date, kind, start_and_minutes }
    }

    fn weekend(&self) -> Vec<CivilEvent> {
        let saturday = self.dice.about("saturday");
        let outing = self.event("outing", saturday.nth(1).pick(&[600, 660, 840]), 120);
        saturday.percent(8).then_some(outing).into_iter().collect()
    }

    fn weekday(&self) -> Vec<CivilEvent> {
        let happenings = [
            Some(self.stand_up()),
            self.weekly("one-to-one-a", 30),
            self.weekly("one-to-one-b", 30),
            self.weekly("team", 60),
            self.lunch(),
            self.focus(),
            self.call("call-a", 45),
            self.call("call-b", 25),
        ];
        happenings.into_iter().flatten().collect()
    }

    fn stand_up(&self) -> CivilEvent {
        self.event("stand-up", self.person.about("stand-up").pick(&[9 * 60, 9 * 60 + 15, 9 * 60 + 30]), 15)
    }

    /// A meeting with a fixed place in the week that is left out now and then.
    fn weekly(&self, kind: &'static str, minutes: u32) -> Option<CivilEvent> {
        let habit = self.person.about(kind);
        let weekday = habit.nth(0).below(5);
        let start_minute = habit.nth(1).pick(&[600, 630, 660, 690, 810, 840, 870, 900, 930, 960]);
        let happens =
            u64::from(self.date.weekday().num_days_from_monday()) == weekday && !self.dice.about(kind).percent(10);
        happens.then(|| self.event(kind, start_minute, minutes))
    }

    fn lunch(&self) -> Option<CivilEvent> {
        let lunch = self.dice.about("lunch");
        let event = self.event("lunch", lunch.nth(1).pick(&[720, 735, 750]), lunch.nth(2).pick(&[45, 60]));
        lunch.percent(40).then_some(event)
    }

    fn focus(&self) -> Option<CivilEvent> {
        let focus = self.dice.about("focus");
        let event = self.event("focus", focus.nth(1).pick(&[570, 600, 810, 840, 900]), focus.nth(2).pick(&[90, 120]));
        focus.percent(25).then_some(event)
    }

    /// A meeting with somebody outside, at any quarter of an hour.
    fn call(&self, kind: &'static str, chance: u64) -> Option<CivilEvent> {
        let call = self.dice.about(kind);
        let quarter = call.nth(1).below(28);
        let start_minute = 9 * 60 + 15 * u32::try_from(quarter).expect("below 28");
        let event = self.event(kind, start_minute, call.nth(2).pick(&[30, 30, 45, 60]));
        call.percent(chance).then_some(event)
    }
}
