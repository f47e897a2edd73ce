//! From the wall clock of a zone to instants and back.
//!
//! A wall-clock time that the zone skips is shifted forward by the length of the gap; one that occurs twice means the
//! first. Nothing here panics, whatever the date: results beyond chrono's calendar stick to its ends.

use chrono::{DateTime, Days, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{GapInfo, Tz};

use crate::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};

/// Minutes on the clock from one midnight to the next.
pub const CIVIL_DAY_MINUTES: u32 = 1_440;
/// Wall-clock values are read as if they were UTC up to this far from 1970; some 250,000 years, inside chrono's calendar
/// even after any offset was added.
const WALL_US_MAX: i64 = 250_000 * 365 * DAY_US;
const EPOCH_DATE: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("1970-01-01 is a date");

/// A wall-clock time found on the line of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The instant it means.
    pub(crate) instant: Timestamp,
    /// Whether the zone skips this wall-clock time, so that it had to be shifted.
    pub(crate) skipped: bool,
}

/// The instant that `minute_of_day` minutes after midnight by the clock means on `date`; 1,440 and more count into the
/// days that follow.
pub fn instant_of(date: NaiveDate, minute_of_day: u32, tz: Tz) -> Timestamp {
    resolve(date, minute_of_day, tz).instant
}

/// The date on the wall at an instant.
pub fn date_of(instant: Timestamp, tz: Tz) -> NaiveDate {
    let utc = naive_from_micros(instant.as_micros());
    let offset = tz.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    utc.checked_add_signed(TimeDelta::seconds(i64::from(offset))).unwrap_or(utc).date()
}

/// Minutes after midnight on the wall at an instant, begun ones not counted.
pub fn minute_of_day(instant: Timestamp, tz: Tz) -> i64 {
    let utc = naive_from_micros(instant.as_micros());
    let ahead_us = i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000;
    instant.plus_micros(ahead_us).as_micros().rem_euclid(DAY_US) / MINUTE_US
}

/// Where a civil date begins: midnight, or where midnight does not exist the first instant after the gap.
pub fn day_start(date: NaiveDate, tz: Tz) -> Timestamp {
    let midnight = resolve(date, 0, tz);
    if !midnight.skipped {
        return midnight.instant;
    }
    let gap = GapInfo::new(&naive_from_micros(wall_micros(date, 0)), &tz).and_then(|gap| gap.begin);
    gap.map_or(midnight.instant, |(wall, offset)| unoffset(wall.and_utc().timestamp_micros(), offset.fix()))
}

/// All instants of a civil date, 23 to 25 hours as a rule. `None` for a date the zone never had, such as 2011-12-30 in
/// Apia.
pub fn day_bounds(date: NaiveDate, tz: Tz) -> Option<TimeRange> {
    TimeRange::new(day_start(date, tz), day_start(following(date), tz))
}

/// The civil day an instant belongs to, with its bounds.
///
/// Where a clock is set back across midnight (St. John's until 2011), the day that has begun goes on.
pub fn day_around(instant: Timestamp, tz: Tz) -> TimeRange {
    let date = date_of(instant, tz);
    [day_bounds(date, tz), day_bounds(following(date), tz)]
        .into_iter()
        .flatten()
        .find(|day| day.contains(instant))
        .unwrap_or(TimeRange { start: instant, end: instant.plus_micros(DAY_US) })
}

/// As [`instant_of`], and says whether the time had to be shifted.
pub(crate) fn resolve(date: NaiveDate, minute_of_day: u32, tz: Tz) -> Resolved {
    let wall_us = wall_micros(date, minute_of_day);
    let wall = naive_from_micros(wall_us);
    // With the offset before the gap, a skipped time lands as far behind the gap's end as it stood behind its start.
    let (offset, skipped) = match tz.offset_from_local_datetime(&wall) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => (offset.fix(), false),
        LocalResult::None => (offset_before_gap(&wall, tz), true),
    };
    Resolved { instant: unoffset(wall_us, offset), skipped }
}

fn following(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

fn unoffset(wall_us: i64, offset: FixedOffset) -> Timestamp {
    Timestamp::from_micros(wall_us).plus_micros(-i64::from(offset.local_minus_utc()) * 1_000_000)
}

fn offset_before_gap(wall: &NaiveDateTime, tz: Tz) -> FixedOffset {
    match GapInfo::new(wall, &tz).and_then(|gap| gap.begin) {
        Some((_, offset)) => offset.fix(),
        None => tz.offset_from_utc_datetime(wall).fix(),
    }
}

fn wall_micros(date: NaiveDate, minute_of_day: u32) -> i64 {
    let midnight_us = date.signed_duration_since(EPOCH_DATE).num_days().saturating_mul(DAY_US);
    midnight_us.saturating_add(i64::from(minute_of_day) * MINUTE_US).clamp(-WALL_US_MAX, WALL_US_MAX)
}

fn naive_from_micros(micros: i64) -> NaiveDateTime {
    let bounded = micros.clamp(-WALL_US_MAX, WALL_US_MAX);
    DateTime::from_timestamp_micros(bounded).unwrap_or_default().naive_utc()
}
