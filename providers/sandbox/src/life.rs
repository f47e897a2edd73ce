//! The lifelike part of a calendar: what somebody's weeks look like, as a pure function of seed, calendar and date.

use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::{Datelike, Days, Duration, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday};
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
    let civil_date = |instant: Timestamp| instant.clamped().to_utc().with_timezone(&timezone).date_naive();
    let first = civil_date(window.start) - Days::new(1);
    let last = civil_date(window.end);
    first
        .iter_days()
        .take(DAYS_MAX)
        .take_while(|&date| date <= last)
        .flat_map(|date| events_of_day(flavour, dice, date))
        .filter_map(|event| event.resolve(timezone))
        .filter(|event| event.range.overlaps(&window))
        .collect()
}

/// An event by the wall clock: minutes after midnight of its date.
#[derive(Clone, Copy, Debug)]
struct CivilEvent {
    date: NaiveDate,
    kind: &'static str,
    start_minute: i64,
    minutes: i64,
}

impl CivilEvent {
    fn resolve(self, timezone: Tz) -> Option<SeededEvent> {
        let midnight = self.date.and_time(NaiveTime::MIN);
        let at = |minute| instant(midnight + Duration::minutes(minute), timezone);
        let range = TimeRange::new(at(self.start_minute), at(self.start_minute + self.minutes))?;
        Some(SeededEvent { event_id: format!("{}-{}", self.date.format("%Y%m%d"), self.kind), range })
    }
}

/// The instant of a wall-clock time: a time that is skipped is shifted forward, one that occurs twice means the first.
fn instant(civil: NaiveDateTime, timezone: Tz) -> Timestamp {
    match timezone.from_local_datetime(&civil) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Timestamp::from(at.to_utc()),
        LocalResult::None => {
            // No zone skips more than a day, and the offset before the gap is the one of a day earlier.
            let day_before = civil - Duration::days(1);
            let offset_minutes = match timezone.from_local_datetime(&day_before) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
                    at.naive_local().signed_duration_since(at.naive_utc())
                }
                LocalResult::None => Duration::zero(),
            };
            Timestamp::from((civil - offset_minutes).and_utc())
        }
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
    CivilEvent { date, kind, start_minute: 0, minutes: 24 * 60 }
}

fn work_day(dice: Dice, date: NaiveDate, shift_minutes: i64) -> Vec<CivilEvent> {
    let day = Day { person: dice, dice: dice.nth(i64::from(date.num_days_from_ce())), date };
    let mut events = match date.weekday() {
        Weekday::Sat => day.weekend(),
        Weekday::Sun => Vec::new(),
        _ if day.is_off() => return vec![all_day(date, "day-off")],
        _ => day.weekday(),
    };
    for event in &mut events {
        event.start_minute += shift_minutes;
    }
    events
}

/// One day of somebody. `person` decides habits, `dice` what happens on this day.
struct Day {
    person: Dice,
    dice: Dice,
    date: NaiveDate,
}

impl Day {
    fn is_off(&self) -> bool {
        self.dice.about("day off").below(50) == 0
    }

    fn event(&self, kind: &'static str, start_minute: i64, minutes: i64) -> CivilEvent {
        CivilEvent { date: self.date, kind, start_minute, minutes }
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
    fn weekly(&self, kind: &'static str, minutes: i64) -> Option<CivilEvent> {
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
        let start_minute = 9 * 60 + 15 * i64::try_from(quarter).expect("below 28");
        let event = self.event(kind, start_minute, call.nth(2).pick(&[30, 30, 45, 60]));
        call.percent(chance).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lesson: a midnight that does not exist.
    #[test]
    fn a_wall_clock_time_means_one_instant() {
        let check = |timezone: Tz, civil: &str, utc: &str| {
            let civil: NaiveDateTime = civil.parse().expect("a literal time");
            let expected: NaiveDateTime = utc.parse().expect("a literal time");
            assert_eq!(instant(civil, timezone), Timestamp::from(expected.and_utc()), "{timezone} {civil}");
        };
        check(Tz::Europe__Berlin, "2026-07-01T00:00:00", "2026-06-30T22:00:00");
        check(Tz::Europe__Berlin, "2026-03-29T02:30:00", "2026-03-29T01:30:00");
        check(Tz::Europe__Berlin, "2026-10-25T02:30:00", "2026-10-25T00:30:00");
        check(Tz::America__Santiago, "2026-09-06T00:00:00", "2026-09-06T04:00:00");
        check(Tz::Asia__Kathmandu, "2026-09-06T00:00:00", "2026-09-05T18:15:00");
        check(Tz::Pacific__Apia, "2011-12-30T12:00:00", "2011-12-30T22:00:00");
    }
}
