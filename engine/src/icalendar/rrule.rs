//! Recurrence rules (RFC 5545, 3.3.10) on wall-clock times.
//!
//! Each period of the rule (a year, a month, a week ..) yields a set of days that pass every BY part, times the times of
//! day, from which BYSETPOS picks. A rule without COUNT begins at the period asked about, whatever its age.

use std::ops::RangeInclusive;

use calcard::icalendar::{ICalendarDay, ICalendarFrequency, ICalendarRecurrenceRule, ICalendarWeekday};
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Weekday};

/// Most periods that are looked at for one answer. Daily since 1900 takes 46,000.
const PERIODS_MAX: usize = 100_000;
/// Most occurrences of one answer.
const OCCURRENCES_MAX: usize = 20_000;
/// Most occurrences of one period, before BYSETPOS picks from them.
const SET_LEN_MAX: usize = 50_000;

/// A recurrence rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    freq: ICalendarFrequency,
    interval: i64,
    count: Option<usize>,
    until: Option<NaiveDateTime>,
    week_start: Weekday,
    by_month: Vec<u32>,
    by_week_no: Vec<i32>,
    by_year_day: Vec<i32>,
    by_month_day: Vec<i32>,
    by_day: Vec<(Option<i32>, Weekday)>,
    by_hour: Vec<u32>,
    by_minute: Vec<u32>,
    by_second: Vec<u32>,
    by_set_pos: Vec<i32>,
}

/// Wall-clock times between which occurrences are wanted, half-open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: NaiveDateTime,
    pub(super) to: NaiveDateTime,
}

/// More occurrences, or more periods to look at, than this is willing to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Rule {
    /// The rule, or `None` where part of it is beyond RFC 5545 or out of range. `to_wall` brings an UNTIL that is given
    /// in UTC to the wall clock of DTSTART.
    pub(super) fn parse(
        rule: &ICalendarRecurrenceRule,
        to_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
    ) -> Option<Self> {
        if rule.rscale.is_some() || rule.skip.is_some() || rule.bymonth.iter().any(|month| month.is_leap()) {
            return None;
        }
        let until = match &rule.until {
            None => None,
            Some(until) if !until.has_time() => Some(until.to_date_time()?.date_time.date().and_hms_opt(23, 59, 59)?),
            Some(until) => {
                let result = until.to_date_time()?;
                Some(if result.offset.is_some() { to_wall(result.date_time)? } else { result.date_time })
            }
        };
        let parsed = Self {
            freq: rule.freq,
            interval: i64::from(rule.interval.unwrap_or(1).max(1)),
            count: rule.count.map(|count| count as usize),
            until,
            week_start: rule.wkst.map_or(Weekday::Mon, weekday),
            by_month: rule.bymonth.iter().map(|month| u32::from(month.month())).collect(),
            by_week_no: rule.byweekno.iter().map(|&week| i32::from(week)).collect(),
            by_year_day: rule.byyearday.iter().map(|&day| i32::from(day)).collect(),
            by_month_day: rule.bymonthday.iter().map(|&day| i32::from(day)).collect(),
            by_day: rule.byday.iter().map(by_day).collect(),
            by_hour: sorted(&rule.byhour),
            by_minute: sorted(&rule.byminute),
            by_second: sorted(&rule.bysecond),
            by_set_pos: rule.bysetpos.clone(),
        };
        parsed.is_in_range().then_some(parsed)
    }

    fn is_in_range(&self) -> bool {
        let all = |values: &[i32], range: RangeInclusive<i32>| {
            values.iter().all(|value| *value != 0 && range.contains(&value.abs()))
        };
        let below = |values: &[u32], limit: u32| values.iter().all(|&value| value < limit);
        self.by_month.iter().all(|month| (1..=12).contains(month))
            && all(&self.by_week_no, 1..=53)
            && all(&self.by_year_day, 1..=366)
            && all(&self.by_month_day, 1..=31)
            && all(&self.by_set_pos, 1..=86_400 * 366)
            && self.by_day.iter().all(|(nth, _)| nth.is_none_or(|nth| nth != 0 && nth.abs() <= 53))
            && below(&self.by_hour, 24)
            && below(&self.by_minute, 60)
            && below(&self.by_second, 61)
    }

    /// Occurrences inside the span, ascending, without DTSTART unless the rule yields it.
    pub(super) fn occurrences(&self, start: NaiveDateTime, span: Span) -> Result<Vec<NaiveDateTime>, TooMany> {
        let rule = self.completed(start);
        let mut found = Vec::new();
        let mut counted = 0_usize;
        // With COUNT every occurrence since DTSTART matters; without it the rule is entered where the span begins.
        let first = if rule.count.is_some() { 0 } else { rule.period_before(start, span.from) };
        for step in 0..=PERIODS_MAX {
            let period = i64::try_from(step).ok().and_then(|step| step.checked_mul(rule.interval));
            let Some(begin) = period.and_then(|offset| rule.period_begin(start, first.checked_add(offset)?)) else {
                return Ok(found);
            };
            if begin >= span.to || rule.until.is_some_and(|until| begin > until) {
                return Ok(found);
            }
            for occurrence in rule.set_of(begin, start)? {
                let over = rule.until.is_some_and(|until| occurrence > until) || occurrence >= span.to;
                if over || rule.count.is_some_and(|count| counted >= count) {
                    return Ok(found);
                }
                counted += usize::from(occurrence >= start);
                if occurrence >= start && occurrence >= span.from {
                    found.push(occurrence);
                }
            }
            if found.len() > OCCURRENCES_MAX {
                return Err(TooMany);
            }
        }
        Err(TooMany)
    }

    /// The rule with what it leaves to DTSTART filled in.
    fn completed(&self, start: NaiveDateTime) -> Self {
        let mut rule = self.clone();
        let day = i32::try_from(start.day()).unwrap_or(1);
        let no_day = rule.by_day.is_empty() && rule.by_month_day.is_empty() && rule.by_year_day.is_empty();
        match rule.freq {
            ICalendarFrequency::Yearly if no_day && !rule.by_week_no.is_empty() => {
                rule.by_day = vec![(None, start.weekday())];
            }
            ICalendarFrequency::Yearly if no_day => {
                rule.by_month_day = vec![day];
                if rule.by_month.is_empty() {
                    rule.by_month = vec![start.month()];
                }
            }
            ICalendarFrequency::Monthly if no_day => rule.by_month_day = vec![day],
            ICalendarFrequency::Weekly if no_day => rule.by_day = vec![(None, start.weekday())],
            _ => {}
        }
        let defaults = |values: &mut Vec<u32>, value: u32| {
            if values.is_empty() {
                values.push(value);
            }
        };
        if rule.freq <= ICalendarFrequency::Minutely {
            defaults(&mut rule.by_second, start.second());
        }
        if rule.freq <= ICalendarFrequency::Hourly {
            defaults(&mut rule.by_minute, start.minute());
        }
        if rule.freq <= ICalendarFrequency::Daily {
            defaults(&mut rule.by_hour, start.hour());
        }
        rule
    }

    /// The number of the last period that begins at or before `from`, counted from DTSTART's, a multiple of the
    /// interval, never negative. One period early, so that a period that reaches into the span is not missed.
    fn period_before(&self, start: NaiveDateTime, from: NaiveDateTime) -> i64 {
        let years = i64::from(from.year()) - i64::from(start.year());
        let elapsed = from - start;
        let periods = match self.freq {
            ICalendarFrequency::Yearly => years,
            ICalendarFrequency::Monthly => years * 12 + i64::from(from.month()) - i64::from(start.month()),
            ICalendarFrequency::Weekly => elapsed.num_days().div_euclid(7),
            ICalendarFrequency::Daily => elapsed.num_days(),
            ICalendarFrequency::Hourly => elapsed.num_hours(),
            ICalendarFrequency::Minutely => elapsed.num_minutes(),
            ICalendarFrequency::Secondly => elapsed.num_seconds(),
        };
        ((periods - 1).div_euclid(self.interval) * self.interval).max(0)
    }

    /// Where the period with this number begins; `None` past the end of the calendar.
    fn period_begin(&self, start: NaiveDateTime, number: i64) -> Option<NaiveDateTime> {
        let midnight = NaiveTime::MIN;
        match self.freq {
            ICalendarFrequency::Yearly => {
                let year = i32::try_from(i64::from(start.year()).checked_add(number)?).ok()?;
                Some(NaiveDate::from_ymd_opt(year, 1, 1)?.and_time(midnight))
            }
            ICalendarFrequency::Monthly => {
                let months = (i64::from(start.year()) * 12 + i64::from(start.month0())).checked_add(number)?;
                let year = i32::try_from(months.div_euclid(12)).ok()?;
                let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
                Some(NaiveDate::from_ymd_opt(year, month, 1)?.and_time(midnight))
            }
            ICalendarFrequency::Weekly => {
                let back = start.weekday().days_since(self.week_start);
                let monday = start.date().checked_sub_days(Days::new(back.into()))?;
                monday.and_time(midnight).checked_add_signed(TimeDelta::try_days(number.checked_mul(7)?)?)
            }
            ICalendarFrequency::Daily => {
                start.date().and_time(midnight).checked_add_signed(TimeDelta::try_days(number)?)
            }
            ICalendarFrequency::Hourly => {
                let hour = start.with_minute(0)?.with_second(0)?;
                hour.checked_add_signed(TimeDelta::try_hours(number)?)
            }
            ICalendarFrequency::Minutely => start.with_second(0)?.checked_add_signed(TimeDelta::try_minutes(number)?),
            ICalendarFrequency::Secondly => start.checked_add_signed(TimeDelta::try_seconds(number)?),
        }
    }

    /// Everything the period yields, ascending, after BYSETPOS.
    fn set_of(&self, begin: NaiveDateTime, start: NaiveDateTime) -> Result<Vec<NaiveDateTime>, TooMany> {
        let (times, days) = (self.times_of(begin), self.days_of(begin.date()));
        if days.len() * times.len() > SET_LEN_MAX {
            return Err(TooMany);
        }
        let mut set = Vec::with_capacity(days.len() * times.len());
        for date in days {
            set.extend(times.iter().map(|&time| date.and_time(time)));
        }
        if self.by_set_pos.is_empty() {
            set.retain(|occurrence| *occurrence >= start);
            return Ok(set);
        }
        let mut picked: Vec<NaiveDateTime> = self.by_set_pos.iter().filter_map(|&pos| pick(&set, pos)).collect();
        picked.sort_unstable();
        picked.dedup();
        Ok(picked)
    }

    fn days_of(&self, begin: NaiveDate) -> Vec<NaiveDate> {
        let days = match self.freq {
            ICalendarFrequency::Yearly if self.by_month.is_empty() => days_from(begin, days_in_year(begin.year())),
            ICalendarFrequency::Yearly => {
                let mut months = self.by_month.clone();
                months.sort_unstable();
                months.dedup();
                months.iter().filter_map(|&month| begin.with_month(month)).flat_map(days_of_month).collect()
            }
            ICalendarFrequency::Monthly => days_of_month(begin),
            ICalendarFrequency::Weekly => days_from(begin, 7),
            _ => vec![begin],
        };
        days.into_iter().filter(|&day| self.passes(day)).collect()
    }

    fn passes(&self, day: NaiveDate) -> bool {
        let (year_day, year_len) = (ordinal(day), days_in_year(day.year()));
        let month_len = days_in_month(day);
        let either_end = |values: &[i32], position: i32, length: u32| {
            let from_end = position - i32::try_from(length).unwrap_or(0) - 1;
            values.is_empty() || values.contains(&position) || values.contains(&from_end)
        };
        (self.by_month.is_empty() || self.by_month.contains(&day.month()))
            && either_end(&self.by_year_day, year_day, year_len)
            && either_end(&self.by_month_day, i32::try_from(day.day()).unwrap_or(0), month_len)
            && self.passes_week_no(day)
            && (self.by_day.is_empty() || self.by_day.iter().any(|&(nth, name)| self.is_nth(day, nth, name)))
    }

    fn passes_week_no(&self, day: NaiveDate) -> bool {
        if self.by_week_no.is_empty() || self.freq != ICalendarFrequency::Yearly {
            return true;
        }
        let (week, weeks) = week_number(day, self.week_start);
        self.by_week_no.contains(&week) || self.by_week_no.contains(&(week - weeks - 1))
    }

    /// Whether the day is this weekday, and the nth (or nth last) of its month or year where one is asked for.
    fn is_nth(&self, day: NaiveDate, nth: Option<i32>, name: Weekday) -> bool {
        let Some(nth) = nth else { return day.weekday() == name };
        let in_month = self.freq == ICalendarFrequency::Monthly
            || (self.freq == ICalendarFrequency::Yearly && !self.by_month.is_empty());
        let (position, length) = match self.freq {
            ICalendarFrequency::Monthly | ICalendarFrequency::Yearly if in_month => {
                (i32::try_from(day.day()).unwrap_or(0), days_in_month(day))
            }
            ICalendarFrequency::Yearly => (ordinal(day), days_in_year(day.year())),
            // An ordinal has no meaning below the month; the weekday alone counts, which blocks rather more.
            _ => return day.weekday() == name,
        };
        let from_start = (position - 1) / 7 + 1;
        let from_end = -((i32::try_from(length).unwrap_or(0) - position) / 7 + 1);
        day.weekday() == name && (nth == from_start || nth == from_end)
    }

    /// The times of day inside the period.
    fn times_of(&self, begin: NaiveDateTime) -> Vec<NaiveTime> {
        let within = |values: &[u32], fixed: bool, value: u32| -> Vec<u32> {
            match fixed {
                true if values.is_empty() || values.contains(&value) => vec![value],
                true => Vec::new(),
                false => values.to_vec(),
            }
        };
        let hours = within(&self.by_hour, self.freq >= ICalendarFrequency::Hourly, begin.hour());
        let minutes = within(&self.by_minute, self.freq >= ICalendarFrequency::Minutely, begin.minute());
        let seconds = within(&self.by_second, self.freq >= ICalendarFrequency::Secondly, begin.second());
        let mut times = Vec::with_capacity(hours.len() * minutes.len() * seconds.len());
        for &hour in &hours {
            for &minute in &minutes {
                // A leap second is the last ordinary one to everything that computes with instants.
                times
                    .extend(seconds.iter().filter_map(|&second| NaiveTime::from_hms_opt(hour, minute, second.min(59))));
            }
        }
        times
    }
}

fn pick(set: &[NaiveDateTime], position: i32) -> Option<NaiveDateTime> {
    let distance = usize::try_from(position.unsigned_abs()).ok()?;
    let index = if position > 0 { distance.checked_sub(1)? } else { set.len().checked_sub(distance)? };
    set.get(index).copied()
}

/// The week's number in its own year, and how many weeks that year has. The first week is the first with four days in
/// the year.
fn week_number(day: NaiveDate, week_start: Weekday) -> (i32, i32) {
    let first = |year: i32| first_week(year, week_start);
    let year = match (first(day.year()), first(day.year() + 1)) {
        (_, Some(next)) if day >= next => day.year() + 1,
        (Some(this), _) if day < this => day.year() - 1,
        _ => day.year(),
    };
    match (first(year), first(year + 1)) {
        (Some(begin), Some(next)) => {
            let weeks = |until: NaiveDate| i32::try_from((until - begin).num_days() / 7).unwrap_or(0);
            (weeks(day) + 1, weeks(next))
        }
        _ => (0, 0),
    }
}

fn first_week(year: i32, week_start: Weekday) -> Option<NaiveDate> {
    let fourth = NaiveDate::from_ymd_opt(year, 1, 4)?;
    fourth.checked_sub_days(Days::new(fourth.weekday().days_since(week_start).into()))
}

fn days_from(begin: NaiveDate, count: u32) -> Vec<NaiveDate> {
    begin.iter_days().take(count as usize).collect()
}

fn days_of_month(first: NaiveDate) -> Vec<NaiveDate> {
    days_from(first, days_in_month(first))
}

fn days_in_month(day: NaiveDate) -> u32 {
    u32::from(day.num_days_in_month())
}

fn days_in_year(year: i32) -> u32 {
    NaiveDate::from_ymd_opt(year, 12, 31).map_or(365, |last| last.ordinal())
}

fn ordinal(day: NaiveDate) -> i32 {
    i32::try_from(day.ordinal()).unwrap_or(0)
}

fn sorted(values: &[u8]) -> Vec<u32> {
    let mut values: Vec<u32> = values.iter().map(|&value| value.into()).collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn by_day(day: &ICalendarDay) -> (Option<i32>, Weekday) {
    (day.ordwk.map(i32::from), weekday(day.weekday))
}

fn weekday(day: ICalendarWeekday) -> Weekday {
    match day {
        ICalendarWeekday::Sunday => Weekday::Sun,
        ICalendarWeekday::Monday => Weekday::Mon,
        ICalendarWeekday::Tuesday => Weekday::Tue,
        ICalendarWeekday::Wednesday => Weekday::Wed,
        ICalendarWeekday::Thursday => Weekday::Thu,
        ICalendarWeekday::Friday => Weekday::Fri,
        ICalendarWeekday::Saturday => Weekday::Sat,
    }
}

#[cfg(test)]
mod tests;
