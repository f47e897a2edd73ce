//! Recurrence (RFC 5545, 3.3.10), slow and obvious: every day is asked whether it belongs.
//!
//! DAILY, WEEKLY, MONTHLY and YEARLY with INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS within a month or a
//! year, and WKST. Times are those on the wall; [`instant_of`] brings them to instants.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::{GapInfo, Tz};

/// Most days that are asked; some 270 years.
const DAYS_MAX: usize = 100_000;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// Every so many days.
    Daily,
    /// Every so many weeks.
    Weekly,
    /// Every so many months.
    Monthly,
    /// Every so many years.
    Yearly,
}

/// A recurrence rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecurrenceRule {
    /// How often.
    pub frequency: Frequency,
    /// Every so many periods; at least one.
    pub interval: u32,
    /// So many occurrences; `None`: no such end.
    pub count: Option<usize>,
    /// None later than this on the wall; `None`: no such end.
    pub until: Option<NaiveDateTime>,
    /// Weekdays, the n-th of the month or year where a number is given (negative from the end).
    pub by_day: Vec<(Option<i32>, Weekday)>,
    /// Days of the month, negative from the end.
    pub by_month_day: Vec<i32>,
    /// Months.
    pub by_month: Vec<u32>,
    /// Of what a month or a year yields, these, from one; negative from the end.
    pub by_set_pos: Vec<i32>,
    /// Where weeks begin.
    pub week_start: Weekday,
}

impl RecurrenceRule {
    /// Every period, for ever.
    pub fn every(frequency: Frequency, interval: u32) -> Self {
        Self {
            frequency,
            interval: interval.max(1),
            count: None,
            until: None,
            by_day: Vec::new(),
            by_month_day: Vec::new(),
            by_month: Vec::new(),
            by_set_pos: Vec::new(),
            week_start: Weekday::Mon,
        }
    }

    /// Reads `RRULE:FREQ=..` or what follows the colon. An UNTIL in UTC is brought to the wall of `zone`. `None` for what is
    /// not a rule, or has parts that are not known here.
    pub fn parse(text: &str, zone: Tz) -> Option<Self> {
        let text = text.strip_prefix("RRULE:").unwrap_or(text);
        let mut rule = Self::every(Frequency::Daily, 1);
        let mut frequency = None;
        for part in text.split(';') {
            let (name, value) = part.split_once('=')?;
            match name.to_ascii_uppercase().as_str() {
                "FREQ" => frequency = Some(frequency_of(value)?),
                "INTERVAL" => rule.interval = value.parse().ok().filter(|&interval| interval > 0)?,
                "COUNT" => rule.count = Some(value.parse().ok()?),
                "UNTIL" => rule.until = Some(until_of(value, zone)?),
                "BYDAY" => rule.by_day = value.split(',').map(day_of).collect::<Option<_>>()?,
                "BYMONTHDAY" => rule.by_month_day = numbers(value)?,
                "BYMONTH" => rule.by_month = numbers(value)?,
                "BYSETPOS" => rule.by_set_pos = numbers(value)?,
                "WKST" => rule.week_start = weekday_of(value)?,
                _ => return None,
            }
        }
        rule.frequency = frequency?;
        Some(rule)
    }

    /// Occurrences of a series that begins at `start`, ascending, none at `before` or later, and at most `len_max`.
    pub fn occurrences(&self, start: NaiveDateTime, before: NaiveDateTime, len_max: usize) -> Vec<NaiveDateTime> {
        let mut found = Vec::new();
        let wanted = self.count.unwrap_or(len_max).min(len_max);
        for date in start.date().iter_days().take(DAYS_MAX) {
            let occurrence = date.and_time(start.time());
            let is_over = occurrence >= before || self.until.is_some_and(|until| occurrence > until);
            if is_over || found.len() >= wanted {
                break;
            }
            if self.has(date, start.date()) {
                found.push(occurrence);
            }
        }
        found
    }

    /// Whether a day belongs to the series, its end aside.
    fn has(&self, date: NaiveDate, first: NaiveDate) -> bool {
        self.is_in_step(date, first)
            && self.is_candidate(date, first)
            && (self.by_set_pos.is_empty() || self.is_picked(date, first))
    }

    /// Whether its period is one of every `interval`.
    fn is_in_step(&self, date: NaiveDate, first: NaiveDate) -> bool {
        let months = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
        let week = |date: NaiveDate| date.week(self.week_start).first_day();
        let periods = match self.frequency {
            Frequency::Daily => (date - first).num_days(),
            Frequency::Weekly => (week(date) - week(first)).num_days() / 7,
            Frequency::Monthly => months(date) - months(first),
            Frequency::Yearly => i64::from(date.year()) - i64::from(first.year()),
        };
        periods % i64::from(self.interval) == 0
    }

    /// Whether every BY part has it, or, where none says which day, the first day does.
    fn is_candidate(&self, date: NaiveDate, first: NaiveDate) -> bool {
        let by_month = self.by_month.is_empty() || self.by_month.contains(&date.month());
        let by_month_day = self.by_month_day.is_empty() || self.by_month_day.iter().any(|&day| is_day(date, day));
        let by_day = self.by_day.is_empty() || self.by_day.iter().any(|&day| self.is_weekday(date, day));
        by_month && by_month_day && by_day && self.is_day_of_first(date, first)
    }

    fn is_day_of_first(&self, date: NaiveDate, first: NaiveDate) -> bool {
        if !self.by_day.is_empty() || !self.by_month_day.is_empty() {
            return true;
        }
        match self.frequency {
            Frequency::Daily => true,
            Frequency::Weekly => date.weekday() == first.weekday(),
            Frequency::Monthly => date.day() == first.day(),
            Frequency::Yearly => {
                date.day() == first.day() && (!self.by_month.is_empty() || date.month() == first.month())
            }
        }
    }

    fn is_weekday(&self, date: NaiveDate, (nth, weekday): (Option<i32>, Weekday)) -> bool {
        if date.weekday() != weekday {
            return false;
        }
        let whole_year = self.frequency == Frequency::Yearly && self.by_month.is_empty();
        let (from_begin, from_end) = if whole_year {
            let days = if date.leap_year() { 366 } else { 365 };
            (date.ordinal0() / 7, (days - date.ordinal()) / 7)
        } else {
            (date.day0() / 7, (days_of_month(date) - date.day()) / 7)
        };
        match nth {
            None => true,
            Some(nth) if nth > 0 => i64::from(from_begin) + 1 == i64::from(nth),
            Some(nth) => i64::from(from_end) + 1 == -i64::from(nth),
        }
    }

    /// Whether it is among those BYSETPOS picks from its month or year.
    fn is_picked(&self, date: NaiveDate, first: NaiveDate) -> bool {
        let (begin, days) = match self.frequency {
            Frequency::Yearly => (date.with_ordinal(1), 366),
            _ => (date.with_day(1), u64::from(days_of_month(date))),
        };
        let begin = begin.unwrap_or(date);
        let dates = (0..days).filter_map(|day| begin.checked_add_days(Days::new(day)));
        let same_year = |candidate: &NaiveDate| candidate.year() == date.year();
        let set: Vec<NaiveDate> =
            dates.filter(same_year).filter(|&candidate| self.is_candidate(candidate, first)).collect();
        self.by_set_pos.iter().any(|&position| {
            let index = if position > 0 {
                usize::try_from(position - 1).ok()
            } else {
                set.len().checked_sub(usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX))
            };
            index.and_then(|index| set.get(index)) == Some(&date)
        })
    }
}

fn days_of_month(date: NaiveDate) -> u32 {
    let (year, month) = if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1).and_then(|next| next.pred_opt()).map_or(31, |last| last.day())
}

fn is_day(date: NaiveDate, day: i32) -> bool {
    let day = if day > 0 { i64::from(day) } else { i64::from(days_of_month(date)) + 1 + i64::from(day) };
    i64::from(date.day()) == day
}

fn frequency_of(text: &str) -> Option<Frequency> {
    Some(match text.to_ascii_uppercase().as_str() {
        "DAILY" => Frequency::Daily,
        "WEEKLY" => Frequency::Weekly,
        "MONTHLY" => Frequency::Monthly,
        "YEARLY" => Frequency::Yearly,
        _ => return None,
    })
}

fn weekday_of(text: &str) -> Option<Weekday> {
    let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let place = names.iter().position(|name| text.eq_ignore_ascii_case(name))?;
    Weekday::try_from(u8::try_from(place).ok()?).ok()
}

fn day_of(text: &str) -> Option<(Option<i32>, Weekday)> {
    let (nth, weekday) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let nth = if nth.is_empty() { None } else { Some(nth.parse().ok().filter(|&nth| nth != 0)?) };
    Some((nth, weekday_of(weekday)?))
}

fn numbers<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

fn until_of(text: &str, zone: Tz) -> Option<NaiveDateTime> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y%m%d") {
        return date.and_hms_opt(23, 59, 59);
    }
    match text.strip_suffix('Z') {
        Some(utc) => {
            let utc = NaiveDateTime::parse_from_str(utc, "%Y%m%dT%H%M%S").ok()?;
            Some(zone.from_utc_datetime(&utc).naive_local())
        }
        None => NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok(),
    }
}

/// The wall-clock times of EXDATE and RDATE lines, such as `EXDATE;TZID=Europe/Berlin:20261126T090000`. Dates count as their
/// midnight.
pub fn dates_of(line: &str, zone: Tz) -> BTreeSet<NaiveDateTime> {
    let values = line.rsplit(':').next().unwrap_or_default().split(',');
    let wall = |text: &str| match NaiveDate::parse_from_str(text, "%Y%m%d") {
        Ok(date) => date.and_hms_opt(0, 0, 0),
        Err(_) => until_of(text, zone),
    };
    values.filter_map(wall).collect()
}

/// The instant of a time on the wall: the first where it occurs twice; where the zone skips it, as far behind the gap as it
/// stood behind its beginning.
pub fn instant_of(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.to_utc(),
        LocalResult::None => {
            let before = GapInfo::new(&wall, &zone).and_then(|gap| gap.begin).map(|(_, offset)| offset);
            let offset = before.map_or(0, |offset| chrono::Offset::fix(&offset).local_minus_utc());
            (wall - TimeDelta::seconds(i64::from(offset))).and_utc()
        }
    }
}

/// The time on the wall at an instant.
pub fn wall_of(instant: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M").expect("a literal time")
    }

    #[test]
    fn rules_yield_what_the_standard_says() {
        let check = |rule: &str, start: &str, expected: &[&str]| {
            let parsed = RecurrenceRule::parse(rule, Tz::Europe__Berlin).expect("a rule");
            let found = parsed.occurrences(wall(start), wall("20300101T0000"), expected.len().max(1));
            let found: Vec<String> = found.iter().map(|wall| wall.format("%Y%m%d").to_string()).collect();
            assert_eq!(found, expected, "{rule}");
        };
        check("RRULE:FREQ=DAILY;INTERVAL=3", "20261130T0900", &["20261130", "20261203", "20261206"]);
        check("FREQ=DAILY;COUNT=2", "20261130T0900", &["20261130", "20261201"]);
        check("FREQ=WEEKLY;BYDAY=MO,WE", "20261123T0900", &["20261123", "20261125", "20261130"]);
        check("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO", "20261124T0900", &["20261124", "20261129", "20261208"]);
        check("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", "20261124T0900", &["20261124", "20261206", "20261208"]);
        check("FREQ=MONTHLY", "20261231T0900", &["20261231", "20270131", "20270331"]);
        check("FREQ=MONTHLY;BYMONTHDAY=-1", "20261130T0900", &["20261130", "20261231", "20270131", "20270228"]);
        check("FREQ=MONTHLY;BYDAY=2TU", "20261110T0900", &["20261110", "20261208", "20270112"]);
        check("FREQ=MONTHLY;BYDAY=-1FR", "20261127T0900", &["20261127", "20261225", "20270129"]);
        check("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "20261130T0900", &["20261130", "20261231", "20270129"]);
        check("FREQ=YEARLY", "20240229T0900", &["20240229", "20280229"]);
        check("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "20261126T0900", &["20261126", "20271125"]);
        check("FREQ=DAILY;UNTIL=20261201", "20261130T0900", &["20261130", "20261201"]);
        // 09:00 in Berlin is 08:00 in UTC.
        check("FREQ=DAILY;UNTIL=20261201T080000Z", "20261130T0900", &["20261130", "20261201"]);
    }

    #[test]
    fn an_until_ends_a_series() {
        let check = |until: &str, expected: usize| {
            let rule = RecurrenceRule::parse(&format!("FREQ=DAILY;UNTIL={until}"), Tz::Europe__Berlin).expect("a rule");
            assert_eq!(rule.occurrences(wall("20261130T0900"), wall("20270101T0000"), 100).len(), expected, "{until}");
        };
        check("20261202", 3);
        check("20261202T080000Z", 3);
        check("20261202T075959Z", 2);
        check("20261129", 0);
    }

    #[test]
    fn what_is_not_a_rule_is_none() {
        for text in ["", "FREQ=HOURLY", "INTERVAL=1", "FREQ=DAILY;INTERVAL=0", "FREQ=WEEKLY;BYDAY=XX", "FREQ"] {
            assert_eq!(RecurrenceRule::parse(text, Tz::UTC), None, "{text}");
        }
    }

    #[test]
    fn times_on_the_wall_become_instants() {
        let check = |text: &str, expected: &str| {
            assert_eq!(instant_of(wall(text), Tz::Europe__Berlin).to_rfc3339(), expected, "{text}");
        };
        check("20261122T0900", "2026-11-22T08:00:00+00:00");
        check("20260329T0230", "2026-03-29T01:30:00+00:00");
        check("20261025T0230", "2026-10-25T00:30:00+00:00");
        let instant = instant_of(wall("20261122T0900"), Tz::Europe__Berlin);
        assert_eq!(wall_of(instant, Tz::Europe__Berlin), wall("20261122T0900"));
    }

    #[test]
    fn excluded_dates_are_read() {
        let found = dates_of("EXDATE;TZID=Europe/Berlin:20261126T090000,20261127T080000Z", Tz::Europe__Berlin);
        assert_eq!(found, BTreeSet::from([wall("20261126T0900"), wall("20261127T0900")]));
        assert_eq!(dates_of("EXDATE;VALUE=DATE:20261126", Tz::UTC), BTreeSet::from([wall("20261126T0000")]));
    }
}
