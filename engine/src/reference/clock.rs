//! The wall clocks of zones, found out by asking each zone for its offset every quarter of an hour.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

use crate::time::{MINUTE_US, TimeRange, Timestamp};

const QUARTER_HOUR: i64 = 15;
const DAY: i64 = 1_440;

/// What the clocks of some zones showed over some period.
pub struct WallClock {
    zones: BTreeMap<&'static str, Vec<Stretch>>,
}

/// A change of a zone's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// By how many minutes the clock was put forward; negative when it was put back.
    pub forward_minutes: i64,
}

/// Minutes since 1970 by UTC, from the first to before the last, over which a clock runs evenly.
#[derive(Clone, Copy)]
struct Stretch {
    from: i64,
    to: i64,
    ahead: i64,
}

impl WallClock {
    /// Watches the clocks of some zones over a period. Whatever is asked must lie inside, with ten weeks to spare.
    pub fn watch(zones: &[Tz], period: TimeRange) -> Self {
        Self { zones: zones.iter().map(|&tz| (tz.name(), stretches(tz, period))).collect() }
    }

    /// When a zone's clock was changed.
    pub fn changes(&self, tz: Tz) -> Vec<Change> {
        let pairs = self.stretches(tz).windows(2);
        let change = |pair: &[Stretch]| Change {
            at: Timestamp::from_micros(pair[1].from * MINUTE_US),
            forward_minutes: pair[1].ahead - pair[0].ahead,
        };
        pairs.map(change).collect()
    }

    /// The date on the wall.
    pub fn date(&self, tz: Tz, instant: Timestamp) -> NaiveDate {
        date_of_day(self.wall_minute(tz, instant).div_euclid(DAY))
    }

    /// The hour on the wall.
    pub fn hour(&self, tz: Tz, instant: Timestamp) -> i64 {
        self.wall_minute(tz, instant).rem_euclid(DAY) / 60
    }

    fn wall_minute(&self, tz: Tz, instant: Timestamp) -> i64 {
        let minute = instant.as_micros().div_euclid(MINUTE_US);
        let stretch = self.stretches(tz).iter().find(|stretch| stretch.from <= minute && minute < stretch.to);
        minute + stretch.expect("inside the watched period").ahead
    }

    /// The minute by UTC that a minute on the wall of a date means: the first one that shows it, or, where none does, as
    /// far behind the gap as it would stand in the gap.
    pub fn utc_minute(&self, tz: Tz, date: NaiveDate, minute_of_day: i64) -> i64 {
        let wall = day_of_date(date) * DAY + minute_of_day;
        let stretches = self.stretches(tz);
        let shows = |stretch: &&Stretch| stretch.from <= wall - stretch.ahead && wall - stretch.ahead < stretch.to;
        if let Some(first) = stretches.iter().find(shows) {
            return wall - first.ahead;
        }
        let in_gap = |pair: &&[Stretch]| pair[0].to + pair[0].ahead <= wall && wall < pair[1].from + pair[1].ahead;
        let gap = stretches.windows(2).find(in_gap).expect("inside the watched period");
        let gap_minutes = gap[1].ahead - gap[0].ahead;
        wall + gap_minutes - gap[1].ahead
    }

    /// Whether the zone ever showed this date.
    pub fn has_date(&self, tz: Tz, date: NaiveDate) -> bool {
        let (from, to) = (day_of_date(date) * DAY, (day_of_date(date) + 1) * DAY);
        self.stretches(tz).iter().any(|stretch| stretch.from + stretch.ahead < to && from < stretch.to + stretch.ahead)
    }

    fn stretches(&self, tz: Tz) -> &[Stretch] {
        self.zones.get(tz.name()).expect("a watched zone")
    }
}

fn stretches(tz: Tz, period: TimeRange) -> Vec<Stretch> {
    let first = period.start.as_micros().div_euclid(MINUTE_US).div_euclid(QUARTER_HOUR);
    let last = period.end.as_micros().div_euclid(MINUTE_US).div_euclid(QUARTER_HOUR);
    let mut stretches: Vec<Stretch> = Vec::new();
    for minute in (first..last).map(|quarter| quarter * QUARTER_HOUR) {
        let utc = DateTime::from_timestamp_secs(minute * 60).expect("a year chrono knows").naive_utc();
        let ahead = i64::from(tz.offset_from_utc_datetime(&utc).fix().local_minus_utc()) / 60;
        match stretches.last_mut() {
            Some(stretch) if stretch.ahead == ahead => stretch.to = minute + QUARTER_HOUR,
            _ => stretches.push(Stretch { from: minute, to: minute + QUARTER_HOUR, ahead }),
        }
    }
    stretches
}

fn day_of_date(date: NaiveDate) -> i64 {
    date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp() / 86_400
}

pub(super) fn date_of_day(day: i64) -> NaiveDate {
    DateTime::from_timestamp_secs(day * 86_400).expect("a year chrono knows").date_naive()
}
