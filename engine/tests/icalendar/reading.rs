//! What each kind of event means (RFC 5545; RFC 4791, 7.10).

use agentcal_engine::icalendar::{ReadError, booking_uid};
use chrono_tz::Tz;

use crate::support::{booking, busy, check, check_in, range, read, read_in, resource, window};

const HOUR: (&str, &str) = ("2026-10-12 08:00", "2026-10-12 09:00");
const TIMED: &str = "DTSTART:20261012T080000Z\nDTEND:20261012T090000Z\n";

fn timed(lines: &str) -> String {
    format!("{TIMED}{lines}")
}

#[test]
fn times_mean_instants() {
    check(&[TIMED], &[HOUR]);
    check(&["DTSTART:20261012T080000Z\nDURATION:PT1H"], &[HOUR]);
    check(&["DTSTART;TZID=Europe/Berlin:20261012T100000\nDTEND;TZID=Europe/Berlin:20261012T110000"], &[HOUR]);
    check(&["DTSTART;TZID=Europe/Berlin:20261012T100000\nDTEND:20261012T090000Z"], &[HOUR]);
    check(&["DTSTART;TZID=America/New_York:20261012T040000\nDTEND;TZID=Asia/Kolkata:20261012T143000"], &[HOUR]);
    check(&["DTSTART:20261012T100000\nDTEND:20261012T110000"], &[HOUR]);
    check_in(Tz::Asia__Kolkata, &resource(&["DTSTART:20261012T133000\nDURATION:PT1H"]), &[HOUR]);
    // Windows names, old paths, and offsets that only some programs write.
    check(&["DTSTART;TZID=W. Europe Standard Time:20261012T100000\nDURATION:PT1H"], &[HOUR]);
    check(&["DTSTART;TZID=/mozilla.org/20050126_1/Europe/Berlin:20261012T100000\nDURATION:PT1H"], &[HOUR]);
    // A zone nobody knows may be any.
    check(&["DTSTART;TZID=Nowhere/Town:20261012T100000\nDURATION:PT1H"], &[("2026-10-11 20:00", "2026-10-12 23:00")]);
}

#[test]
fn hours_that_a_zone_skips_or_repeats() {
    let april = range("2026-03-01 00:00", "2026-05-01 00:00");
    let check_spring = |text: &str, expected: (&str, &str)| {
        let found = busy(&read_in(&resource(&[text]), Tz::Europe__Berlin, april).unwrap());
        assert_eq!(found, [(expected.0.to_owned(), expected.1.to_owned())], "{text}");
    };
    // Skipped: the offset before the gap. Repeated: the first of the two.
    check_spring(
        "DTSTART;TZID=Europe/Berlin:20260329T023000\nDURATION:PT15M",
        ("2026-03-29 01:30", "2026-03-29 01:45"),
    );
    check(&["DTSTART;TZID=Europe/Berlin:20261025T023000\nDURATION:PT15M"], &[("2026-10-25 00:30", "2026-10-25 00:45")]);
    // DTEND across the change, DURATION in hours (exact) and in days (the wall clock's).
    let night = "DTSTART;TZID=Europe/Berlin:20261024T230000\n";
    check(&[&format!("{night}DTEND;TZID=Europe/Berlin:20261025T050000")], &[("2026-10-24 21:00", "2026-10-25 04:00")]);
    check(&[&format!("{night}DURATION:PT24H")], &[("2026-10-24 21:00", "2026-10-25 21:00")]);
    check(&[&format!("{night}DURATION:P1D")], &[("2026-10-24 21:00", "2026-10-25 22:00")]);
    // A day whose midnight does not exist.
    let santiago = range("2026-09-01 00:00", "2026-10-01 00:00");
    let found = read_in(&resource(&["DTSTART;VALUE=DATE:20260906"]), Tz::America__Santiago, santiago).unwrap();
    assert_eq!(busy(&found), [("2026-09-06 04:00".to_owned(), "2026-09-07 03:00".to_owned())]);
}

#[test]
fn whole_days_block_the_day_in_the_calendars_zone() {
    let day = [("2026-10-11 22:00", "2026-10-12 22:00")];
    check(&["DTSTART;VALUE=DATE:20261012"], &day);
    check(&["DTSTART;VALUE=DATE:20261012\nDTEND;VALUE=DATE:20261013"], &day);
    check(&["DTSTART;VALUE=DATE:20261012\nDTEND;VALUE=DATE:20261012"], &day);
    check(&["DTSTART;VALUE=DATE:20261012\nDURATION:P1D"], &day);
    check(&["DTSTART;VALUE=DATE:20261012\nDURATION:P2W"], &[("2026-10-11 22:00", "2026-10-25 23:00")]);
    let kolkata = [("2026-10-11 18:30", "2026-10-12 18:30")];
    check_in(Tz::Asia__Kolkata, &resource(&["DTSTART;VALUE=DATE:20261012"]), &kolkata);
    check(
        &["DTSTART;VALUE=DATE:20261012\nRRULE:FREQ=WEEKLY;UNTIL=20261026\nEXDATE;VALUE=DATE:20261019"],
        &[day[0], ("2026-10-25 23:00", "2026-10-26 23:00")],
    );
}

#[test]
fn what_blocks_and_what_does_not() {
    let blocks = |lines: &str| check(&[&timed(lines)], &[HOUR]);
    let free = |lines: &str| check(&[&timed(lines)], &[]);
    blocks("TRANSP:OPAQUE");
    blocks("TRANSP:WHATEVER");
    free("TRANSP:TRANSPARENT");
    free("TRANSP:transparent");
    blocks("STATUS:CONFIRMED");
    blocks("STATUS:TENTATIVE");
    blocks("STATUS:X-UNHEARD-OF");
    free("STATUS:CANCELLED");
    blocks("CLASS:PRIVATE");
    blocks("X-MICROSOFT-CDO-BUSYSTATUS:OOF");
    free("X-MICROSOFT-CDO-BUSYSTATUS:FREE");
    blocks("TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:FREE");
    free("TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE");
    blocks("ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.com");
    blocks("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:alice@example.com");
    blocks("ATTENDEE;PARTSTAT=TENTATIVE:mailto:alice@example.com");
    blocks("ATTENDEE:mailto:alice@example.com");
    free("ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com");
    free("ATTENDEE;PARTSTAT=DECLINED;CN=\"Smith, Alice\":MAILTO:Alice@EXAMPLE.com");
    free("ATTENDEE;EMAIL=alice@example.com;PARTSTAT=declined:/principals/alice/");
    blocks("ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com");
    blocks("ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com\nATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@example.com");
    // Invited under two addresses, declined under one.
    blocks(
        "ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com\nATTENDEE;PARTSTAT=ACCEPTED:mailto:a.smith@example.com",
    );
    // An alarm inside has a say in nothing.
    blocks("BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT5M\nSTATUS:CANCELLED\nEND:VALARM");
}

#[test]
fn what_lasts_no_time_blocks_none() {
    check(&["DTSTART:20261012T080000Z"], &[]);
    check(&["DTSTART:20261012T080000Z\nDTEND:20261012T080000Z"], &[]);
    check(&["DTSTART:20261012T080000Z\nDURATION:PT0S"], &[]);
    check(&["SUMMARY:no time at all"], &[]);
}

#[test]
fn series_and_their_exceptions() {
    let weekly = "DTSTART;TZID=Europe/Berlin:20261012T100000\nDTEND;TZID=Europe/Berlin:20261012T110000\n";
    let series = format!("{weekly}RRULE:FREQ=WEEKLY;COUNT=4");
    let (first, second) = (HOUR, ("2026-10-19 08:00", "2026-10-19 09:00"));
    let (third, fourth) = (("2026-10-26 09:00", "2026-10-26 10:00"), ("2026-11-02 09:00", "2026-11-02 10:00"));
    check(&[&series], &[first, second, third, fourth]);
    check(&[&format!("{series}\nEXDATE;TZID=Europe/Berlin:20261019T100000,20261102T100000")], &[first, third]);
    check(&[&format!("{series}\nEXDATE:20261019T080000Z")], &[first, third, fourth]);
    check(&[&format!("{series}\nEXDATE:20261019T100000")], &[first, third, fourth]);
    // Of another kind than DTSTART, so it takes nothing out.
    check(&[&format!("{series}\nEXDATE;VALUE=DATE:20261019")], &[first, second, third, fourth]);
    let added = format!("{series}\nRDATE;TZID=Europe/Berlin:20261104T100000");
    check(&[&added], &[first, second, third, fourth, ("2026-11-04 09:00", "2026-11-04 10:00")]);
    let period = format!("{series}\nRDATE;VALUE=PERIOD:20261104T090000Z/PT2H");
    check(&[&period], &[first, second, third, fourth, ("2026-11-04 09:00", "2026-11-04 11:00")]);

    let exception = |lines: &str| format!("RECURRENCE-ID;TZID=Europe/Berlin:20261019T100000\n{lines}");
    let moved = exception("DTSTART;TZID=Europe/Berlin:20261020T150000\nDURATION:PT30M");
    let moved_to = ("2026-10-20 13:00", "2026-10-20 13:30");
    check(&[&series, &moved], &[first, moved_to, third, fourth]);
    check(&[&moved, &series], &[first, moved_to, third, fourth]);
    let same = "DTSTART;TZID=Europe/Berlin:20261019T100000\nDURATION:PT1H\n";
    check(&[&series, &exception(&format!("{same}STATUS:CANCELLED"))], &[first, third, fourth]);
    check(&[&series, &exception(&format!("{same}TRANSP:TRANSPARENT"))], &[first, third, fourth]);
    let declined = exception(&format!("{same}ATTENDEE;PARTSTAT=DECLINED:mailto:alice@example.com"));
    check(&[&series, &declined], &[first, third, fourth]);
    // A free series with a busy exception.
    check(&[&format!("{series}\nTRANSP:TRANSPARENT"), &moved], &[moved_to]);
    // In UTC, as servers that expand write it.
    check(
        &[&series, &moved.replace(";TZID=Europe/Berlin:20261019T100000", ":20261019T080000Z")],
        &[first, moved_to, third, fourth],
    );
    // Somebody else's exception replaces nothing here.
    let other = format!("UID:two\n{moved}");
    check(&[&series, &other], &[first, second, moved_to, third, fourth]);
    // For this and all future ones: both block.
    let future = moved.replace("RECURRENCE-ID;", "RECURRENCE-ID;RANGE=THISANDFUTURE;");
    check(&[&series, &future], &[first, second, moved_to, third, fourth]);
    // Only the instance one was invited to.
    check(&[&moved], &[moved_to]);
}

#[test]
fn the_age_of_a_series_does_not_matter() {
    let daily = "DTSTART;TZID=America/New_York:19900101T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261002T130000Z";
    check(&[daily], &[("2026-10-01 13:00", "2026-10-01 14:00"), ("2026-10-02 13:00", "2026-10-02 14:00")]);
    let counted = "DTSTART:19900101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=13423";
    check(&[counted], &[("2026-10-01 09:00", "2026-10-01 10:00")]);
    // An instance that began before the window and reaches into it.
    let long = "DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20260131\nRRULE:FREQ=MONTHLY;COUNT=9";
    check(&[long], &[("2026-08-31 22:00", "2026-09-30 22:00")][1..]);
    let reaching = "DTSTART:20260920T000000Z\nDURATION:P15D\nRRULE:FREQ=YEARLY";
    check(&[reaching], &[("2026-09-20 00:00", "2026-10-05 00:00")]);
}

#[test]
fn busy_periods_of_a_vfreebusy_block() {
    let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VFREEBUSY\r\nUID:f\r\nDTSTAMP:20260101T000000Z\r\n\
        FREEBUSY:20261012T080000Z/20261012T090000Z\r\nFREEBUSY;FBTYPE=BUSY-TENTATIVE:20261013T080000Z/PT1H\r\n\
        FREEBUSY;FBTYPE=FREE:20261014T080000Z/PT1H\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n";
    check_in(Tz::UTC, text, &[HOUR, ("2026-10-13 08:00", "2026-10-13 09:00")]);
    let task = "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:t\r\nDTSTART:20261012T080000Z\r\nDUE:20261012T090000Z\r\nEND:VTODO\r\n\
        END:VCALENDAR\r\n";
    check_in(Tz::UTC, task, &[]);
}

#[test]
fn ours_are_told_by_their_uid() {
    let ours = format!("UID:{}\n{TIMED}", booking_uid(booking(7)));
    let found = read(&resource(&[&ours]));
    assert_eq!(found.instances.len(), 1);
    assert_eq!((found.instances[0].booking_id, found.instances[0].blocks), (Some(booking(7)), true));
    // Still shown where it is when it blocks no more.
    for lines in ["TRANSP:TRANSPARENT", "STATUS:CANCELLED"] {
        let found = read(&resource(&[&format!("{ours}{lines}")]));
        assert_eq!(
            found.instances.iter().map(|i| (i.booking_id, i.blocks)).collect::<Vec<_>>(),
            [(Some(booking(7)), false)]
        );
    }
    let shortened = read(&resource(&[&format!("UID:{}\nDTSTART:20261012T080000Z", booking_uid(booking(7)))]));
    assert_eq!((shortened.instances.len(), shortened.instances[0].blocks), (1, false));
    // A copy somebody made.
    let copy = read(&resource(&[&format!("UID:copy\n{TIMED}X-AGENTCAL-BOOKING:{}", booking(7))]));
    assert_eq!((copy.instances[0].booking_id, copy.instances[0].blocks), (None, true));
}

/// Unknown is never free.
#[test]
fn what_cannot_be_understood_blocks() {
    let until_the_end = ("2026-10-12 08:00", "2026-12-01 00:00");
    check(&[&timed("RRULE:FREQ=FORTNIGHTLY")], &[until_the_end]);
    check(&[&timed("RRULE:FREQ=YEARLY;BYMONTH=77")], &[until_the_end]);
    check(&[&timed("RRULE:FREQ=SECONDLY")], &[until_the_end]);
    check(&[&timed("RRULE:FREQ=FORTNIGHTLY\nTRANSP:TRANSPARENT")], &[]);
    let day = ("2026-10-12 08:00", "2026-10-13 08:00");
    check(&["DTSTART:20261012T080000Z\nDTEND:sometime"], &[day]);
    check(&["DTSTART:20261012T080000Z\nDTEND:20261011T080000Z"], &[day]);
    check(&["DTSTART:20261012T080000Z\nDURATION:a while"], &[day]);
    // However long it lasts, and had lasted, it blocks.
    let ages = [("2026-10-12 08:00", "2200-01-01 00:00"), ("1970-01-01 00:00", "2026-10-12 08:00")];
    check(&["DTSTART:20261012T080000Z\nDTEND:99991231T000000Z"], &ages[..1]);
    check(&["DTSTART:00010101T000000Z\nDTEND:20261012T080000Z"], &ages[1..]);
    let whole_days = read(&resource(&["DTSTART;VALUE=DATE:00010101\nDTEND;VALUE=DATE:99991231"]));
    assert!(whole_days.instances[0].range.covers(&window()), "{whole_days:?}");
    for (lines, guesses) in [
        (timed("RRULE:FREQ=SECONDLY"), 1),
        (timed(""), 0),
        ("DTSTART;TZID=Nowhere:20261012T080000\nDURATION:PT1H".to_owned(), 1),
        ("DTSTART:20261012T080000Z\nDTEND:sometime".to_owned(), 1),
        ("DTSTART:20261012T080000Z\nDTEND:sometime\nTRANSP:TRANSPARENT".to_owned(), 0),
    ] {
        assert_eq!(read(&resource(&[&lines])).blocked_whole, guesses, "{lines}");
    }
    let refused = |text: &str, expected: ReadError| {
        assert_eq!(read_in(text, Tz::UTC, window()), Err(expected), "{text:.80}");
    };
    refused(&resource(&["DTSTART:soon\nDURATION:PT1H"]), ReadError::TimeNotUnderstood);
    refused(&resource(&["DTSTART:20261340T080000Z\nDURATION:PT1H"]), ReadError::TimeNotUnderstood);
    refused(&resource(&["DTSTART:20261012T080000Z\nRECURRENCE-ID:then"]), ReadError::TimeNotUnderstood);
    refused("<html>not found</html>", ReadError::NotICalendar);
    refused("", ReadError::NotICalendar);
    refused(&"x".repeat(5 << 20), ReadError::TooLong);
}
