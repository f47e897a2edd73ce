//! Which minutes lie inside rules, found by painting every window of the dates around onto the minutes of a day.

use std::ops::Range;

use chrono::{Datelike, NaiveDate};

use super::clock::{WallClock, date_of_day};
use crate::model::{AvailabilityRules, CivilWindow};
use crate::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};

const DAY: i64 = 1_440;
/// Windows that begin on dates this far from a day by UTC may lie in it.
const DATES_AROUND: i64 = 4;
/// The first date that counts lies one to two of these before now.
const GRID_STEP_DAYS: i64 = 35;

/// The minutes inside several sets of rules at once.
pub(super) struct OpenMinutes<'a> {
    rules: Vec<&'a AvailabilityRules>,
    wall_clock: &'a WallClock,
    first_date: NaiveDate,
    /// The first painted day by UTC, in days since 1970.
    first_day: i64,
    /// Painted days, one after the other; empty where nobody asked yet.
    days: Vec<Vec<bool>>,
    /// The window that was found last, as far as it was followed.
    found: Range<i64>,
}

impl<'a> OpenMinutes<'a> {
    pub(super) fn new(rules: Vec<&'a AvailabilityRules>, wall_clock: &'a WallClock, now: Timestamp) -> Self {
        let today = now.as_micros().div_euclid(DAY_US);
        let first_date_day = (today / GRID_STEP_DAYS - 1) * GRID_STEP_DAYS;
        let first_date = date_of_day(first_date_day);
        let first_day = first_date_day - DATES_AROUND;
        Self { rules, wall_clock, first_date, first_day, days: Vec::new(), found: 0..0 }
    }

    pub(super) fn is_open(&mut self, instant: Timestamp) -> bool {
        self.is_minute_open(instant.as_micros().div_euclid(MINUTE_US))
    }

    /// Where the window begins that holds every minute the range touches: back, minute by minute, while it is open. `None`
    /// when one of the minutes is closed.
    pub(super) fn window_start(&mut self, range: TimeRange) -> Option<Timestamp> {
        let first = range.start.as_micros().div_euclid(MINUTE_US);
        let last = range.end.plus_micros(-1).as_micros().div_euclid(MINUTE_US);
        if !self.is_minute_open(first) {
            return None;
        }
        if !self.found.contains(&first) {
            let mut start = first;
            while start != self.found.end && self.is_minute_open(start - 1) {
                start -= 1;
            }
            let joins_found = start == self.found.end && !self.found.is_empty();
            self.found = if joins_found { self.found.start..first } else { start..first };
        }
        while self.found.end <= last {
            if !self.is_minute_open(self.found.end) {
                return None;
            }
            self.found.end += 1;
        }
        Some(Timestamp::from_micros(self.found.start * MINUTE_US))
    }

    fn is_minute_open(&mut self, minute: i64) -> bool {
        let day = minute.div_euclid(DAY);
        let Ok(index) = usize::try_from(day - self.first_day) else {
            return false;
        };
        if let Some(&open) = self.days.get(index).and_then(|day| day.get(minute.rem_euclid(DAY) as usize)) {
            return open;
        }
        self.days.resize(self.days.len().max(index + 1), Vec::new());
        self.days[index] = self.paint(day);
        self.days[index][minute.rem_euclid(DAY) as usize]
    }

    /// The minutes of a day by UTC that are open by every set of rules.
    fn paint(&self, day: i64) -> Vec<bool> {
        let mut open_by_all = vec![true; DAY as usize];
        for rules in &self.rules {
            let mut open = vec![false; DAY as usize];
            for date in (day - DATES_AROUND..=day + DATES_AROUND).map(date_of_day) {
                self.windows_of(rules, date)
                    .into_iter()
                    .for_each(|window| self.paint_window(rules, date, window, day, &mut open));
            }
            open_by_all.iter_mut().zip(open).for_each(|(all, open)| *all &= open);
        }
        open_by_all
    }

    fn windows_of(&self, rules: &AvailabilityRules, date: NaiveDate) -> Vec<CivilWindow> {
        if date < self.first_date || !self.wall_clock.has_date(rules.timezone, date) {
            return Vec::new();
        }
        match rules.overrides.get(&date) {
            Some(dated) => dated.windows.clone(),
            None => {
                let weekday = date.weekday().number_from_monday() % 7;
                let of_weekday = rules.weekly.iter().filter(|rule| u32::from(rule.day_of_week) == weekday);
                of_weekday.map(|rule| rule.window).collect()
            }
        }
    }

    fn paint_window(
        &self,
        rules: &AvailabilityRules,
        date: NaiveDate,
        window: CivilWindow,
        day: i64,
        open: &mut [bool],
    ) {
        let start = i64::from(window.civil_start.minutes());
        let mut end = i64::from(window.civil_end.minutes());
        if end <= start {
            end += DAY;
        }
        let start = self.wall_clock.utc_minute(rules.timezone, date, start);
        let end = self.wall_clock.utc_minute(rules.timezone, date, end);
        for minute in start.max(day * DAY)..end.min((day + 1) * DAY) {
            open[(minute - day * DAY) as usize] = true;
        }
    }
}
