//! Bookings as iCalendar, and moving them in place.

use agentcal_engine::icalendar::{RetimeError, booking_of_uid, booking_uid, retime, write_event};
use agentcal_engine::ports::EventWrite;

use crate::support::{at, booking, busy, range, read, write};

#[test]
fn a_booking_is_one_opaque_event_of_its_own_uid() {
    let text = write_event(&write(), at("2026-09-01 12:00"));
    let lines: Vec<&str> = text.split("\r\n").collect();
    let id = booking(1);
    for expected in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        &format!("UID:{id}@agentcal"),
        &format!("X-AGENTCAL-BOOKING:{id}"),
        "DTSTAMP:20260901T120000Z",
        "CREATED:20260901T120000Z",
        "DTSTART:20261012T080000Z",
        "DTEND:20261012T083000Z",
        "SEQUENCE:0",
        "SUMMARY:Intro",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
    ] {
        assert_eq!(lines.iter().filter(|line| **line == expected).count(), 1, "{expected} in {text}");
    }
    let found = read(&text);
    assert_eq!(found.instances.len(), 1);
    assert_eq!((found.instances[0].booking_id, found.instances[0].range), (Some(id), write().range));
    assert_eq!(write_event(&write(), at("2026-09-01 12:00")), text, "writing twice writes the same");
}

/// Lines of every length, whose last part begins with a space like every other.
#[test]
fn no_line_is_longer_than_75_octets() {
    for length in 1..400 {
        let write = EventWrite { summary: "é".repeat(length), description: Some("a".repeat(length)), ..write() };
        let text = write_event(&write, at("2026-09-01 12:00"));
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "{text}");
        assert!(text.replace("\r\n ", "").contains(&format!("\r\nDESCRIPTION:{}\r\n", "a".repeat(length))));
    }
}

/// What callers put into names stays text: no property, component or line of its own.
#[test]
fn text_cannot_become_structure() {
    for hostile in [
        "Meet\r\nEND:VEVENT\r\nBEGIN:VEVENT",
        "a;b,c\\d\"e",
        "line\rone\u{85}two\u{2028}three",
        "\u{0}\u{7}\u{1b}bell",
        "🎉 Ünïcödé 会議 ".repeat(30).as_str(),
        ":;,\\n\\N\\",
        "",
    ] {
        let hostile_write = EventWrite {
            summary: hostile.to_owned(),
            description: Some(hostile.to_owned()),
            location: Some(hostile.to_owned()),
            ..write()
        };
        let text = write_event(&hostile_write, at("2026-09-01 12:00"));
        let lines = || text.split("\r\n").filter(|line| !line.starts_with(' '));
        assert_eq!(lines().filter(|line| line.starts_with("BEGIN:")).count(), 2, "{text}");
        assert_eq!(lines().filter(|line| line.starts_with("SUMMARY")).count(), 1, "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 75), "folded: {text}");
        assert!(!text.replace("\r\n", "").contains(|c: char| c.is_control() && c != '\t'), "{text:?}");
        assert_eq!(read(&text).instances.len(), 1, "{text}");
    }
}

#[test]
fn uids_tell_bookings() {
    let id = booking(99);
    assert_eq!(booking_of_uid(&booking_uid(id)), Some(id));
    for other in ["", "@agentcal", "book_x@agentcal", &id.to_string(), &format!("{id}@agentcal.example")] {
        assert_eq!(booking_of_uid(other), None, "{other}");
    }
}

fn moved() -> EventWrite {
    EventWrite { range: range("2026-10-26 09:00", "2026-10-26 09:30"), sequence: 3, ..write() }
}

#[test]
fn moving_keeps_what_people_added() {
    let now = at("2026-10-01 10:00");
    let added = "COMMENT:bring\r\n  the slides\r\nATTENDEE;CN=\"A; B: C\":mailto:a@example.com\r\nX-COLOR:red\r\nBEGIN:VALARM\r\n\
        ACTION:DISPLAY\r\nDESCRIPTION:soon\r\nDURATION:PT5M\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\n";
    let text = write_event(&write(), at("2026-09-01 12:00")).replace("END:VEVENT", &format!("{added}END:VEVENT"));
    let zoned = text
        .replace("DTSTART:20261012T080000Z", "DTSTART;TZID=Europe/Berlin:20261013T\r\n 120000")
        .replace("DTEND:20261012T083000Z", "DURATION:PT3H")
        .replace("STATUS:CONFIRMED", "STATUS:CANCELLED\r\nRRULE:FREQ=DAILY;COUNT=3");
    for before in [text.clone(), zoned, text.replace("\r\n", "\n"), text.replace("BEGIN:V", "begin:v")] {
        let after = retime(&before, &moved(), now).unwrap();
        let found = read(&after);
        assert_eq!(busy(&found), [("2026-10-26 09:00".to_owned(), "2026-10-26 09:30".to_owned())], "{after}");
        assert_eq!(found.instances[0].booking_id, Some(booking(1)));
        assert!(!found.recurring);
        let unix = after.replace("\r\n", "\n");
        for kept in added.replace("\r\n", "\n").lines().filter(|line| !line.to_lowercase().contains("valarm")) {
            assert!(unix.contains(kept), "{kept} in {after}");
        }
        for expected in ["SEQUENCE:3", "LAST-MODIFIED:20261001T100000Z", "SUMMARY:Intro", "CREATED:20260901T120000Z"] {
            assert_eq!(unix.lines().filter(|line| *line == expected).count(), 1, "{expected} in {after}");
        }
        assert_eq!(retime(&after, &moved(), now), Ok(after.clone()), "moving twice moves once");
    }
}

#[test]
fn only_the_bookings_single_event_is_moved() {
    let now = at("2026-10-01 10:00");
    let text = write_event(&write(), now);
    let event = &text[text.find("BEGIN:VEVENT").unwrap()..text.find("END:VCALENDAR").unwrap()];
    let twice = text.replace("END:VCALENDAR", &format!("{event}END:VCALENDAR"));
    let foreign = text.replace(&booking_uid(booking(1)), "somebody-elses");
    let other = EventWrite { booking_id: booking(2), ..moved() };
    for (text, write) in [(&twice, &moved()), (&foreign, &moved()), (&text, &other), (&String::new(), &moved())] {
        assert_eq!(retime(text, write, now), Err(RetimeError::NotOurs), "{text}");
    }
}
