//! Zones that no database knows, by their own rules.

use agentcal_engine::icalendar::timezone_of;
use chrono_tz::Tz;

use crate::support::{check_in, in_calendar};

/// As Outlook writes zones: rules since 1601, no end.
const CUSTOM: &str = "BEGIN:VTIMEZONE
    TZID:Customized Time Zone
    BEGIN:STANDARD
    DTSTART:16010101T030000
    TZOFFSETFROM:+0200
    TZOFFSETTO:+0100
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
    END:STANDARD
    BEGIN:DAYLIGHT
    DTSTART:16010101T020000
    TZOFFSETFROM:+0100
    TZOFFSETTO:+0200
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
    END:DAYLIGHT
    END:VTIMEZONE";

fn check(zone: &str, tzid: &str, wall: &str, expected: (&str, &str)) {
    let event = format!("DTSTART;TZID={tzid}:{wall}\nDURATION:PT1H");
    check_in(Tz::Pacific__Auckland, &in_calendar(zone, &[&event]), &[expected]);
}

#[test]
fn a_zone_of_its_own_follows_its_own_rules() {
    let zone = "Customized Time Zone";
    check(CUSTOM, zone, "20261024T100000", ("2026-10-24 08:00", "2026-10-24 09:00"));
    check(CUSTOM, zone, "20261026T100000", ("2026-10-26 09:00", "2026-10-26 10:00"));
    check(CUSTOM, zone, "20261025T023000", ("2026-10-25 00:30", "2026-10-25 01:30"));
    check(CUSTOM, &format!("\"{zone}\""), "20261026T100000", ("2026-10-26 09:00", "2026-10-26 10:00"));
    let series = format!("DTSTART;TZID={zone}:20261019T100000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=2");
    check_in(
        Tz::UTC,
        &in_calendar(CUSTOM, &[&series]),
        &[("2026-10-19 08:00", "2026-10-19 09:00"), ("2026-10-26 09:00", "2026-10-26 10:00")],
    );
}

#[test]
fn changes_that_are_listed_one_by_one_or_that_end() {
    let listed = "BEGIN:VTIMEZONE
        TZID:Ship
        BEGIN:STANDARD
        DTSTART:20260101T000000
        RDATE:20261012T000000
        TZOFFSETFROM:+0300
        TZOFFSETTO:+0500
        END:STANDARD
        BEGIN:STANDARD
        DTSTART:20260601T000000
        TZOFFSETFROM:+0500
        TZOFFSETTO:+0300
        END:STANDARD
        END:VTIMEZONE";
    check(listed, "Ship", "20261011T100000", ("2026-10-11 07:00", "2026-10-11 08:00"));
    check(listed, "Ship", "20261012T100000", ("2026-10-12 05:00", "2026-10-12 06:00"));
    let ended =
        CUSTOM.replace("BYMONTH=3", "BYMONTH=3;UNTIL=20250330T010000Z").replace("Customized Time Zone", "Ended");
    check(&ended, "Ended", "20261024T100000", ("2026-10-24 09:00", "2026-10-24 10:00"));
    let fixed = "BEGIN:VTIMEZONE
        TZID:Head Office
        BEGIN:STANDARD
        DTSTART:19700101T000000
        TZOFFSETFROM:-0345
        TZOFFSETTO:-0345
        END:STANDARD
        END:VTIMEZONE";
    check(fixed, "Head Office", "20261012T100000", ("2026-10-12 13:45", "2026-10-12 14:45"));
}

#[test]
fn a_zone_that_cannot_be_understood_may_be_any() {
    let broken = CUSTOM.replace("FREQ=YEARLY", "FREQ=SOMETIMES");
    check(&broken, "Customized Time Zone", "20261012T100000", ("2026-10-11 20:00", "2026-10-12 23:00"));
    let empty = "BEGIN:VTIMEZONE\nTZID:Empty\nEND:VTIMEZONE";
    check(empty, "Empty", "20261012T100000", ("2026-10-11 20:00", "2026-10-12 23:00"));
}

/// A definition under an IANA name is taken for that zone, whatever year it was cut from.
#[test]
fn an_iana_name_means_the_iana_zone() {
    let stale = CUSTOM.replace("Customized Time Zone", "America/New_York");
    check(&stale, "America/New_York", "20261012T100000", ("2026-10-12 14:00", "2026-10-12 15:00"));
}

#[test]
fn the_zone_of_a_calendar_is_told_by_its_definition() {
    let of = |tzid: &str, more: &str| {
        let zone = format!("BEGIN:VTIMEZONE\nTZID:{tzid}\n{more}\nBEGIN:STANDARD\nEND:STANDARD\nEND:VTIMEZONE");
        timezone_of(&in_calendar(&zone, &[]))
    };
    assert_eq!(of("Europe/Berlin", ""), Some(Tz::Europe__Berlin));
    assert_eq!(
        of("/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", ""),
        Some(Tz::America__Argentina__Buenos_Aires)
    );
    assert_eq!(of("W. Europe Standard Time", ""), Some(Tz::Europe__Berlin));
    assert_eq!(of("Office", "X-LIC-LOCATION:Europe/Vienna"), Some(Tz::Europe__Vienna));
    assert_eq!(of("Office", ""), None);
    assert_eq!(timezone_of("nonsense"), None);
}
