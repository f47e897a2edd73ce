//! Rules and overrides, worked out into windows of UTC instants.
//!
//! Slots count from the start of a merged window, so a window is never cut at the edge of the range that was asked
//! about: its true start is looked for backwards. Somebody who is open day and night has a window without a start. For
//! that there is the *grid epoch*: windows that begin on earlier dates do not count. It lies 35 to 70 days before now and
//! moves in steps of 35 days, so that every question asked at one instant has the same grid, and for intervals that
//! divide 35 days the step cannot be seen.

use chrono::{Datelike, Days, NaiveDate};

use crate::busy::BusySet;
use crate::civil;
use crate::model::{AvailabilityRules, CivilWindow};
use crate::time::{DAY_US, TimeRange, Timestamp};

/// Steps in which the grid epoch moves, in days; whole weeks, and divisible by the usual intervals.
pub const GRID_STEP_DAYS: i64 = 35;
/// Dates behind the asked range that are looked at first. A window runs for two days at most by the clock.
const LOOK_BACK_DAYS: u64 = 4;
/// Dates around a range that may hold windows which reach into it: zones are up to a day from UTC, windows run past
/// midnight, and a zone may skip a whole day.
const MARGIN_DAYS: u64 = 3;

/// The first date whose windows count at `now`.
pub fn grid_epoch(now: Timestamp) -> NaiveDate {
    let step_us = GRID_STEP_DAYS * DAY_US;
    let steps = now.clamped().as_micros().div_euclid(step_us) - 1;
    civil::date_of(Timestamp::from_micros(steps * step_us), chrono_tz::UTC)
}

/// The merged windows that share an instant with `range`, each from its true start; ends beyond the range may be cut.
pub fn windows(rules: &AvailabilityRules, range: TimeRange, now: Timestamp) -> BusySet {
    let epoch = grid_epoch(now);
    let tz = rules.timezone;
    let first_date = civil::date_of(range.start, tz);
    let last_date = plus_days(civil::date_of(range.end, tz), 1);
    let mut look_back = LOOK_BACK_DAYS;
    loop {
        let from = minus_days(first_date, look_back).max(epoch);
        let merged = expand(rules, from, last_date);
        let first_needed = merged.overlapping(&range).first();
        // A window of an earlier date could touch only what starts within the margin.
        let settled = civil::day_start(plus_days(from, MARGIN_DAYS), tz);
        if from <= epoch || first_needed.is_none_or(|window| window.start > settled) {
            return merged.part(&range);
        }
        look_back *= 8;
    }
}

/// Every merged window from the grid epoch on that begins by `end`; ends beyond it may be cut.
pub fn since_epoch(rules: &AvailabilityRules, end: Timestamp, now: Timestamp) -> BusySet {
    expand(rules, grid_epoch(now), plus_days(civil::date_of(end, rules.timezone), 1))
}

/// Every window that begins on the dates from `first` to `last`, merged.
fn expand(rules: &AvailabilityRules, first: NaiveDate, last: NaiveDate) -> BusySet {
    let dates = first.iter_days().take_while(|&date| date <= last);
    BusySet::from_ranges(dates.flat_map(|date| windows_of_date(rules, date)))
}

fn windows_of_date(rules: &AvailabilityRules, date: NaiveDate) -> impl Iterator<Item = TimeRange> + '_ {
    let dated = rules.overrides.get(&date);
    let day_of_week = date.weekday().num_days_from_sunday();
    let weekly = rules.weekly.iter().filter(move |rule| dated.is_none() && u32::from(rule.day_of_week) == day_of_week);
    let overridden = dated.into_iter().flat_map(|dated| dated.windows.iter().copied());
    weekly.map(|rule| rule.window).chain(overridden).filter_map(move |window| resolve(rules, date, window))
}

/// The instants of one window; `None` where a change of the clock leaves nothing of it, or the zone never had the date.
fn resolve(rules: &AvailabilityRules, date: NaiveDate, window: CivilWindow) -> Option<TimeRange> {
    let tz = rules.timezone;
    let start_minute = u32::from(window.civil_start.minutes());
    let past_midnight = window.civil_end <= window.civil_start;
    let end_minute = u32::from(window.civil_end.minutes()) + if past_midnight { civil::CIVIL_DAY_MINUTES } else { 0 };
    let start = civil::resolve(date, start_minute, tz);
    let may_lack_date = start.skipped || start_minute == civil::CIVIL_DAY_MINUTES;
    if may_lack_date && civil::day_bounds(date, tz).is_none() {
        return None;
    }
    TimeRange::new(start.instant, civil::instant_of(date, end_minute, tz))
}

fn plus_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

fn minus_days(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}
