//! Wall clocks, days and windows around changes of the clock.

use std::collections::BTreeMap;

use agentcal_engine::civil;
use agentcal_engine::model::{AvailabilityRules, CivilTime, CivilWindow, DateOverride, WeeklyRule};
use agentcal_engine::schedule::Schedule;
use agentcal_engine::time::{DAY_US, HOUR_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_engine::windows::{grid_epoch, windows};
use chrono::{DateTime, NaiveDate, SecondsFormat};
use chrono_tz::Tz;

fn instant(text: &str) -> Timestamp {
    let text = if text.len() == 16 { format!("{text}:00Z") } else { text.to_owned() };
    Timestamp::from(DateTime::parse_from_rfc3339(&text).expect("RFC 3339").to_utc())
}

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn show(instant: Timestamp) -> String {
    let text = instant.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true);
    text.trim_end_matches(":00Z").to_owned()
}

fn minute(text: &str) -> u16 {
    let (hours, minutes) = text.split_once(':').expect("hh:mm");
    hours.parse::<u16>().expect("hours") * 60 + minutes.parse::<u16>().expect("minutes")
}

fn civil_window(text: &str) -> CivilWindow {
    let (start, end) = text.split_once('-').expect("start-end");
    let time = |text| CivilTime::from_minutes(minute(text)).expect("at most 24:00");
    CivilWindow { civil_start: time(start), civil_end: time(end) }
}

fn every_day(tz: Tz, windows: &[&str]) -> AvailabilityRules {
    let weekly = (0..7).flat_map(|day_of_week| {
        windows.iter().map(move |window| WeeklyRule { day_of_week, window: civil_window(window) })
    });
    AvailabilityRules { timezone: tz, weekly: weekly.collect(), overrides: BTreeMap::new() }
}

#[test]
fn a_skipped_time_is_shifted_and_a_repeated_one_means_the_first() {
    use chrono_tz::*;
    let cases: &[(Tz, &str, &str, &str)] = &[
        (UTC, "2026-05-05", "09:00", "2026-05-05T09:00"),
        (Asia::Kolkata, "2026-05-05", "09:00", "2026-05-05T03:30"),
        (Asia::Kathmandu, "2026-05-05", "09:00", "2026-05-05T03:15"),
        (Pacific::Chatham, "2026-07-05", "09:00", "2026-07-04T20:15"),
        // Berlin leaves out 02:00 to 03:00, and has 02:00 to 03:00 twice.
        (Europe::Berlin, "2026-03-29", "01:59", "2026-03-29T00:59"),
        (Europe::Berlin, "2026-03-29", "02:00", "2026-03-29T01:00"),
        (Europe::Berlin, "2026-03-29", "02:30", "2026-03-29T01:30"),
        (Europe::Berlin, "2026-03-29", "03:00", "2026-03-29T01:00"),
        (Europe::Berlin, "2026-10-25", "02:30", "2026-10-25T00:30"),
        (Europe::Berlin, "2026-10-25", "03:00", "2026-10-25T02:00"),
        // New York, 12:30 stays 12:30 on the day of the change.
        (America::New_York, "2026-03-08", "12:30", "2026-03-08T16:30"),
        (America::New_York, "2026-11-01", "01:30", "2026-11-01T05:30"),
        // Lord Howe changes by half an hour: 02:00 to 02:30 is left out, 01:30 to 02:00 comes twice.
        (Australia::Lord_Howe, "2026-10-04", "02:15", "2026-10-03T15:45"),
        (Australia::Lord_Howe, "2026-10-04", "02:30", "2026-10-03T15:30"),
        (Australia::Lord_Howe, "2026-04-05", "01:45", "2026-04-04T14:45"),
        // Midnight does not exist.
        (America::Santiago, "2026-09-06", "00:00", "2026-09-06T04:00"),
        (America::Santiago, "2026-09-06", "00:30", "2026-09-06T04:30"),
        (Africa::Cairo, "2026-04-24", "00:00", "2026-04-23T22:00"),
        (Asia::Beirut, "2026-03-29", "00:00", "2026-03-28T22:00"),
        (America::Havana, "2026-03-08", "00:15", "2026-03-08T05:15"),
        // 24:00 is the next day's midnight, there or not.
        (Africa::Cairo, "2026-04-23", "24:00", "2026-04-23T22:00"),
        (Europe::Berlin, "2026-12-31", "24:00", "2026-12-31T23:00"),
        // Apia left out a whole day, so its times land on the next.
        (Pacific::Apia, "2011-12-30", "09:00", "2011-12-30T19:00"),
        (Pacific::Apia, "2011-12-31", "09:00", "2011-12-30T19:00"),
    ];
    for (tz, day, time, expected) in cases {
        let found = civil::instant_of(date(day), u32::from(minute(time)), *tz);
        assert_eq!(show(found), *expected, "{day} {time} in {tz}");
    }
}

#[test]
fn days_begin_where_midnight_does_not_exist() {
    use chrono_tz::*;
    /// Where the day begins, and how many minutes it has.
    type Bounds = Option<(&'static str, i64)>;
    let cases: &[(Tz, &str, Bounds)] = &[
        (Europe::Berlin, "2026-06-01", Some(("2026-05-31T22:00", 1_440))),
        (Europe::Berlin, "2026-03-29", Some(("2026-03-28T23:00", 1_380))),
        (Europe::Berlin, "2026-10-25", Some(("2026-10-24T22:00", 1_500))),
        (America::Santiago, "2026-09-06", Some(("2026-09-06T04:00", 1_380))),
        (America::Santiago, "2026-04-04", Some(("2026-04-04T03:00", 1_500))),
        (Africa::Cairo, "2026-04-24", Some(("2026-04-23T22:00", 1_380))),
        (Asia::Beirut, "2026-03-29", Some(("2026-03-28T22:00", 1_380))),
        (America::Havana, "2026-11-01", Some(("2026-11-01T04:00", 1_500))),
        (Pacific::Apia, "2011-12-29", Some(("2011-12-29T10:00", 1_440))),
        (Pacific::Apia, "2011-12-30", None),
        (Pacific::Apia, "2011-12-31", Some(("2011-12-30T10:00", 1_440))),
        // A gap from 23:30 to 00:30: the day begins with what comes after it.
        (America::Toronto, "1919-03-31", Some(("1919-03-31T04:30", 1_410))),
    ];
    for (tz, day, expected) in cases {
        let found = civil::day_bounds(date(day), *tz);
        let found = found.map(|day| (show(day.start), day.len_micros() / MINUTE_US));
        let expected = expected.map(|(start, minutes)| (start.to_owned(), minutes));
        assert_eq!(found, expected, "{day} in {tz}");
    }
}

#[test]
fn every_instant_lies_in_the_day_on_its_wall() {
    let zones = [chrono_tz::America::Santiago, chrono_tz::Africa::Cairo, chrono_tz::Pacific::Apia, chrono_tz::UTC];
    for tz in zones {
        for quarter in 0..4 * 24 * 800 {
            let at = instant("2026-01-01T00:00").plus_micros(quarter * HOUR_US / 4 - DAY_US * 5_300);
            let day = civil::day_around(at, tz);
            assert!(day.contains(at), "{at:?} in {tz}");
            assert_eq!(Some(day), civil::day_bounds(civil::date_of(at, tz), tz), "{at:?} in {tz}");
        }
    }
}

#[test]
fn nothing_panics_at_the_ends_of_the_calendar() {
    let ends = [NaiveDate::MIN, NaiveDate::MAX, date("0000-01-01"), date("9999-12-31")];
    let instants = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX].map(Timestamp::from_micros);
    for tz in [chrono_tz::UTC, chrono_tz::Pacific::Apia, chrono_tz::America::Santiago] {
        for day in ends {
            for minute in [0, 1, 1_440, 2_880] {
                let _ = civil::instant_of(day, minute, tz);
            }
            let _ = civil::day_bounds(day, tz);
        }
        for at in instants {
            let _ = civil::date_of(at, tz);
            let _ = civil::day_around(at, tz);
            let _ = grid_epoch(at);
            let rules = every_day(tz, &["00:00-24:00", "22:00-02:00"]);
            let range = TimeRange { start: at.plus_micros(-DAY_US), end: at.plus_micros(DAY_US) };
            let _ = windows(&rules, range, at);
            let schedule = Schedule::from(rules);
            let _ = [(); 3].map(|()| schedule.windows(range, at));
        }
    }
}

/// Which windows overlap the given days by UTC, as `start..end` by UTC.
fn check_windows(rules: &AvailabilityRules, first: &str, last: &str, expected: &[&str]) {
    let start = instant(&format!("{first}T00:00"));
    let range = TimeRange { start, end: instant(&format!("{last}T00:00")).plus_micros(DAY_US) };
    let found: Vec<String> = windows(rules, range, start)
        .iter()
        .filter(|window| window.end <= range.end)
        .map(|window| format!("{}..{}", show(window.start), show(window.end)))
        .collect();
    assert_eq!(found, expected, "{first} to {last} in {}", rules.timezone);
}

#[test]
fn windows_follow_the_wall_clock() {
    use chrono_tz::*;
    let berlin = |windows| every_day(Europe::Berlin, windows);
    check_windows(
        &berlin(&["09:00-12:00", "12:00-17:00"]),
        "2026-03-28",
        "2026-03-29",
        &["2026-03-28T08:00..2026-03-28T16:00", "2026-03-29T07:00..2026-03-29T15:00"],
    );
    // Past midnight, over both changes: seven hours and nine hours long.
    check_windows(
        &berlin(&["22:00-06:00"]),
        "2026-03-28",
        "2026-03-29",
        &["2026-03-27T21:00..2026-03-28T05:00", "2026-03-28T21:00..2026-03-29T04:00"],
    );
    check_windows(&berlin(&["22:00-06:00"]), "2026-10-25", "2026-10-25", &["2026-10-24T20:00..2026-10-25T05:00"]);
    check_windows(&berlin(&["23:00-24:00"]), "2026-06-01", "2026-06-01", &["2026-06-01T21:00..2026-06-01T22:00"]);
    check_windows(&berlin(&["24:00-01:00"]), "2026-06-01", "2026-06-01", &["2026-06-01T22:00..2026-06-01T23:00"]);
    // Touching windows are one.
    check_windows(
        &every_day(UTC, &["20:00-24:00", "00:00-04:00"]),
        "2026-06-01",
        "2026-06-02",
        &["2026-05-31T20:00..2026-06-01T04:00", "2026-06-01T20:00..2026-06-02T04:00"],
    );
    check_windows(
        &every_day(Asia::Kathmandu, &["09:00-10:00"]),
        "2026-06-01",
        "2026-06-01",
        &["2026-06-01T03:15..2026-06-01T04:15"],
    );
    check_windows(
        &every_day(Africa::Cairo, &["00:00-02:00"]),
        "2026-04-23",
        "2026-04-24",
        &["2026-04-23T22:00..2026-04-23T23:00", "2026-04-24T21:00..2026-04-24T23:00"],
    );
}

#[test]
fn lesson_no_window_of_zero_length_on_a_day_the_clock_changes() {
    use chrono_tz::*;
    // What lies in the gap is nothing, or ends before it begins.
    let cases: &[(Tz, &str, &str, &[&str])] = &[
        (Europe::Berlin, "2026-03-29", "02:00-03:00", &[]),
        (Europe::Berlin, "2026-03-29", "02:30-03:15", &[]),
        (Europe::Berlin, "2026-03-29", "02:15-02:45", &["2026-03-29T01:15..2026-03-29T01:45"]),
        (Australia::Lord_Howe, "2026-10-03", "02:00-02:30", &[]),
        (America::Santiago, "2026-09-06", "00:00-01:00", &[]),
        // The hour that comes twice: from the first 02:00 to the first 02:30; 03:00 comes only once.
        (Europe::Berlin, "2026-10-25", "02:00-02:30", &["2026-10-25T00:00..2026-10-25T00:30"]),
        (Europe::Berlin, "2026-10-25", "02:00-03:00", &["2026-10-25T00:00..2026-10-25T02:00"]),
    ];
    for (tz, day, window, expected) in cases {
        check_windows(&every_day(*tz, &[window]), day, day, expected);
    }
}

#[test]
fn a_day_the_zone_left_out_has_no_windows() {
    check_windows(
        &every_day(chrono_tz::Pacific::Apia, &["09:00-17:00"]),
        "2011-12-29",
        "2011-12-31",
        &[
            "2011-12-28T19:00..2011-12-29T03:00",
            "2011-12-29T19:00..2011-12-30T03:00",
            "2011-12-30T19:00..2011-12-31T03:00",
        ],
    );
    // Open on that Friday only: never.
    let friday = WeeklyRule { day_of_week: 5, window: civil_window("09:00-17:00") };
    let rules =
        AvailabilityRules { timezone: chrono_tz::Pacific::Apia, weekly: vec![friday], overrides: BTreeMap::new() };
    check_windows(&rules, "2011-12-28", "2012-01-03", &[]);
    // A night shift runs on from Thursday into Saturday.
    check_windows(
        &every_day(chrono_tz::Pacific::Apia, &["22:00-02:00"]),
        "2011-12-30",
        "2011-12-30",
        &["2011-12-30T08:00..2011-12-30T12:00"],
    );
}

#[test]
fn an_override_replaces_its_weekday() {
    let mut rules = every_day(chrono_tz::UTC, &["09:00-17:00"]);
    let dated = |windows: &[&str]| DateOverride { windows: windows.iter().map(|text| civil_window(text)).collect() };
    rules.overrides.insert(date("2026-06-02"), dated(&[]));
    rules.overrides.insert(date("2026-06-03"), dated(&["10:00-11:00", "20:00-03:00"]));
    check_windows(
        &rules,
        "2026-06-01",
        "2026-06-04",
        &[
            "2026-06-01T09:00..2026-06-01T17:00",
            "2026-06-03T10:00..2026-06-03T11:00",
            "2026-06-03T20:00..2026-06-04T03:00",
            "2026-06-04T09:00..2026-06-04T17:00",
        ],
    );
}

#[test]
fn sunday_is_day_zero() {
    let sunday = WeeklyRule { day_of_week: 0, window: civil_window("09:00-10:00") };
    let rules = AvailabilityRules { timezone: chrono_tz::UTC, weekly: vec![sunday], overrides: BTreeMap::new() };
    check_windows(&rules, "2026-11-16", "2026-11-22", &["2026-11-22T09:00..2026-11-22T10:00"]);
}

#[test]
fn a_window_keeps_its_start_wherever_one_looks() {
    let now = instant("2026-06-20T12:00");
    let asked = |day: i64| TimeRange { start: now.plus_micros(day * DAY_US), end: now.plus_micros(day * DAY_US + 1) };
    let start = |rules: &AvailabilityRules, day| windows(rules, asked(day), now).as_slice()[0].start;
    // Open day and night since a day off two weeks ago.
    let mut rules = every_day(chrono_tz::Asia::Kolkata, &["00:00-24:00"]);
    rules.overrides.insert(date("2026-06-05"), DateOverride { windows: Vec::new() });
    for day in [-10, 0, 1, 30, 62] {
        assert_eq!(show(start(&rules, day)), "2026-06-05T18:30", "{day}");
    }
    // Open since ever: counted from the grid epoch's midnight on the wall.
    rules.overrides.clear();
    let epoch = civil::day_start(grid_epoch(now), chrono_tz::Asia::Kolkata);
    for day in [0, 1, 30, 62] {
        assert_eq!(start(&rules, day), epoch, "{day}");
    }
    assert!(now.micros_since(epoch) >= 35 * DAY_US && now.micros_since(epoch) <= 71 * DAY_US);
}

#[test]
fn what_a_schedule_keeps_is_what_its_rules_come_to() {
    use chrono_tz::*;
    let now = instant("2026-03-20T12:00");
    let zones = [UTC, Europe::Berlin, America::Santiago, Australia::Lord_Howe, Pacific::Apia, Asia::Kathmandu];
    let days: [&[&str]; 5] = [
        &["09:00-12:00", "12:30-17:00"],
        &["22:00-06:00"],
        &["00:00-24:00"],
        &["02:00-03:00"],
        &["23:00-24:00", "24:00-01:00"],
    ];
    for (zone, windows_of_day) in zones.into_iter().flat_map(|zone| days.map(|day| (zone, day))) {
        let rules = every_day(zone, windows_of_day);
        let schedule = Schedule::from(rules.clone());
        // Back and forth over the ends of blocks and past all that is kept; the grid epoch moves on the way.
        for step in 0..400_i64 {
            let now = now.plus_micros(step / 100 * 20 * DAY_US);
            let start = now.plus_micros((step * 37 % 900 - 80) * DAY_US + step * 53 * MINUTE_US);
            let range = TimeRange { start, end: start.plus_micros(1 + step % 40 * 19 * HOUR_US) };
            let seen = |set: agentcal_engine::busy::BusySet| -> Vec<_> {
                set.iter().map(|window| TimeRange { end: window.end.min(range.end), ..window }).collect()
            };
            let expected = seen(windows(&rules, range, now));
            assert_eq!(seen(schedule.windows(range, now)), expected, "{zone} {windows_of_day:?} {range:?}");
        }
    }
}
