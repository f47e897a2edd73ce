//! Rules against a second opinion, and where that is wrong.

use calcard::icalendar::{ICalendarProperty, ICalendarValue};

use super::*;
use crate::icalendar::event::parse;

fn rule_of(text: &str) -> Option<Rule> {
    let objects = parse(&format!("BEGIN:VEVENT\r\nRRULE:{text}\r\nEND:VEVENT\r\n"));
    let entry = objects.first()?.components.first()?.property(&ICalendarProperty::Rrule)?.clone();
    match entry.values.first()? {
        ICalendarValue::RecurrenceRule(rule) => Rule::parse(rule, Some),
        _ => None,
    }
}

fn wall(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").expect("a literal time")
}

fn walls(text: &str) -> Vec<NaiveDateTime> {
    text.split_ascii_whitespace().map(wall).collect()
}

fn check(rule: &str, start: &str, from: &str, to: &str, expected: &str) {
    let span = Span { from: wall(from), to: wall(to) };
    let found = rule_of(rule).expect("a rule").occurrences(wall(start), span);
    assert_eq!(found, Ok(walls(expected)), "{rule} from {start}");
}

/// A second opinion on 400 random rules; how it was made stands beside the file.
#[test]
fn rules_agree_with_another_implementation() {
    let cases = include_str!("../../../tests/data/recurrence.txt");
    let mut checked = 0;
    for line in cases.lines().filter(|line| !line.starts_with('#')) {
        let [rule, start, from, to, expected] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("a line of another form: {line}")
        };
        check(rule, start, from, to, expected);
        checked += 1;
    }
    assert_eq!(checked, 400);
}

/// Where that implementation, and others ported from it, differ from RFC 5545.
#[test]
fn rules_others_get_wrong_mean_what_the_rfc_says() {
    let (from, to) = ("20260101T000000", "20270101T000000");
    // BYWEEKNO without BYDAY: DTSTART's weekday, not the whole week.
    check("FREQ=YEARLY;BYWEEKNO=20", "20250512T090000", from, to, "20260511T090000");
    // BYSETPOS picks from the whole week, also in the one DTSTART cuts in two.
    let rule = "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2";
    check(rule, "20260107T090000", from, "20260120T000000", "20260107T090000 20260114T090000");
    let rule = "FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1";
    check(rule, "20260101T090000", from, "20260112T000000", "20260102T090000 20260109T090000");
    // The 53rd week, in the years that have one.
    let rule = "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO";
    check(rule, "20201228T090000", from, "20330101T000000", "20261228T090000 20321227T090000");
    check("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3", "20251231T090000", from, to, "20260131T090000 20260331T090000");
    check("FREQ=YEARLY", "20240229T090000", from, "20330101T000000", "20280229T090000 20320229T090000");
    check("FREQ=DAILY;UNTIL=20260103", "20260101T090000", from, to, "20260101T090000 20260102T090000 20260103T090000");
}

#[test]
fn rules_beyond_understanding_or_measure_are_refused() {
    let refused = |rule: &str| assert!(rule_of(rule).is_none(), "{rule}");
    refused("FREQ=FORTNIGHTLY");
    refused("INTERVAL=2");
    refused("FREQ=DAILY;BYMONTH=13");
    refused("FREQ=DAILY;BYHOUR=24");
    refused("FREQ=MONTHLY;BYMONTHDAY=0");
    refused("RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=1");
    let too_many = |rule: &str| {
        let span = Span { from: wall("20260101T000000"), to: wall("20270101T000000") };
        let found = rule_of(rule).expect("a rule").occurrences(wall("20260101T000000"), span);
        assert_eq!(found, Err(TooMany), "{rule}");
    };
    let all_hours = (0..24).map(|hour| hour.to_string()).collect::<Vec<_>>().join(",");
    let all_minutes = (0..60).map(|minute| minute.to_string()).collect::<Vec<_>>().join(",");
    too_many("FREQ=SECONDLY");
    too_many("FREQ=MINUTELY");
    too_many(&format!(
        "FREQ=YEARLY;BYHOUR={all_hours};BYMINUTE={all_minutes};BYYEARDAY=1,2,3;BYSETPOS=1;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSECOND={all_minutes}"
    ));
    too_many(&format!("FREQ=DAILY;BYHOUR={all_hours};BYMINUTE={all_minutes};BYSECOND={all_minutes}"));
}

/// The age of a series costs nothing where it has no COUNT.
#[test]
fn cost_does_not_grow_with_the_age_of_a_series() {
    check("FREQ=HOURLY;INTERVAL=5", "19700101T000000", "20260101T000000", "20260101T080000", "20260101T040000");
    check(
        "FREQ=SECONDLY;INTERVAL=7",
        "19700101T000000",
        "20260101T000000",
        "20260101T000010",
        "20260101T000000 20260101T000007",
    );
}
