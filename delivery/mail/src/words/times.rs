//! Dates, times and zones in words.

use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::{DateTime, Datelike, Offset};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Words, filled};

/// A range of time, told to a reader in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct When {
    /// `Tuesday, 24 November 2026`
    pub(crate) date: String,
    /// `09:00 to 09:30`; with the day of its end where that is another, and with offsets where the clock changes between.
    pub(crate) time: String,
    /// `Europe/Berlin (UTC+01:00)`
    pub(crate) zone: String,
    /// All of it in one line.
    pub(crate) text: String,
    /// `24 November 2026, 09:00`
    pub(crate) short: String,
}

/// Tells a range in a zone's local time.
pub(crate) fn when(range: TimeRange, zone: Tz, words: &Words) -> When {
    let (start, end) = (local(range.start, zone), local(range.end, zone));
    let changes = offset_seconds(&start) != offset_seconds(&end);
    let clock_of = |at: &DateTime<Tz>| if changes { format!("{} ({})", clock(at), offset(at)) } else { clock(at) };
    let date = date_in_words(&start, words.date, words);
    let first = clock_of(&start);
    let last = match start.date_naive() == end.date_naive() {
        true => clock_of(&end),
        false => format!("{}, {}", date_in_words(&end, words.date, words), clock_of(&end)),
    };
    let time = format!("{first} {} {last}{}", words.to, words.clock_suffix);
    let zone = zone_in_words(zone, &start, changes);
    let text = format!("{date}, {time}, {zone}");
    let short = format!("{}, {}{}", date_in_words(&start, words.short_date, words), clock(&start), words.clock_suffix);
    When { date, time, zone, text, short }
}

fn local(instant: Timestamp, zone: Tz) -> DateTime<Tz> {
    instant.clamped().to_utc().with_timezone(&zone)
}

fn clock(at: &DateTime<Tz>) -> String {
    at.format("%H:%M").to_string()
}

fn date_in_words(at: &DateTime<Tz>, pattern: &str, words: &Words) -> String {
    let weekday = words.weekdays[at.weekday().num_days_from_monday() as usize];
    let month = words.months[at.month0() as usize];
    let (day, year) = (at.day().to_string(), at.year().to_string());
    filled(pattern, &[("{weekday}", weekday), ("{day}", &day), ("{month}", month), ("{year}", &year)])
}

fn zone_in_words(zone: Tz, start: &DateTime<Tz>, changes: bool) -> String {
    let name = zone.name().replace('_', " ");
    if zone == Tz::UTC || changes { name } else { format!("{name} ({})", offset(start)) }
}

fn offset(at: &DateTime<Tz>) -> String {
    let seconds = offset_seconds(at);
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn offset_seconds(at: &DateTime<Tz>) -> i32 {
    at.offset().fix().local_minus_utc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(DateTime::parse_from_rfc3339(text).expect("an instant").to_utc())
    }

    #[track_caller]
    fn check(start: &str, end: &str, zone: Tz, english: &str, german: &str) {
        let range = TimeRange { start: at(start), end: at(end) };
        assert_eq!(when(range, zone, Language::English.words()).text, english);
        assert_eq!(when(range, zone, Language::German.words()).text, german);
    }

    #[test]
    fn times_are_the_readers() {
        check(
            "2026-11-24T08:00:00Z",
            "2026-11-24T08:30:00Z",
            Tz::Europe__Berlin,
            "Tuesday, 24 November 2026, 09:00 to 09:30, Europe/Berlin (UTC+01:00)",
            "Dienstag, 24. November 2026, 09:00 bis 09:30 Uhr, Europe/Berlin (UTC+01:00)",
        );
        check(
            "2026-11-24T04:30:00Z",
            "2026-11-24T05:30:00Z",
            Tz::America__New_York,
            "Monday, 23 November 2026, 23:30 to Tuesday, 24 November 2026, 00:30, America/New York (UTC-05:00)",
            "Montag, 23. November 2026, 23:30 bis Dienstag, 24. November 2026, 00:30 Uhr, America/New York (UTC-05:00)",
        );
        check(
            "2026-03-01T00:00:00Z",
            "2026-03-01T01:00:00Z",
            Tz::UTC,
            "Sunday, 1 March 2026, 00:00 to 01:00, UTC",
            "Sonntag, 1. März 2026, 00:00 bis 01:00 Uhr, UTC",
        );
    }

    /// Lesson: clock changes. 02:30 to 02:15 is three quarters of an hour on that night, and must look like it.
    #[test]
    fn a_change_of_the_clock_shows() {
        check(
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:15:00Z",
            Tz::Europe__Berlin,
            "Sunday, 25 October 2026, 02:30 (UTC+02:00) to 02:15 (UTC+01:00), Europe/Berlin",
            "Sonntag, 25. Oktober 2026, 02:30 (UTC+02:00) bis 02:15 (UTC+01:00) Uhr, Europe/Berlin",
        );
        check(
            "2026-10-25T01:30:00Z",
            "2026-10-25T01:45:00Z",
            Tz::Europe__Berlin,
            "Sunday, 25 October 2026, 02:30 to 02:45, Europe/Berlin (UTC+01:00)",
            "Sonntag, 25. Oktober 2026, 02:30 bis 02:45 Uhr, Europe/Berlin (UTC+01:00)",
        );
    }
}
