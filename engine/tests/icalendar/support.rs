//! Short ways to write resources and instants.

use agentcal_engine::icalendar::{ReadContext, ReadError, Resource, read_resource};
use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::EventWrite;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono_tz::Tz;
use uuid::Uuid;

/// `2026-10-12 08:00` and the like, in UTC.
pub(crate) fn at(text: &str) -> Timestamp {
    let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    Timestamp::from(naive.and_utc())
}

pub(crate) fn range(start: &str, end: &str) -> TimeRange {
    TimeRange::new(at(start), at(end)).unwrap()
}

/// One VEVENT per text, of one UID; lines are separated by line breaks, leading spaces are dropped.
pub(crate) fn resource(events: &[&str]) -> String {
    in_calendar("", events)
}

pub(crate) fn in_calendar(zone: &str, events: &[&str]) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//test//EN\r\n".to_owned();
    let mut lines = |block: &str| {
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            text.push_str(line);
            text.push_str("\r\n");
        }
    };
    lines(zone);
    for event in events {
        lines("BEGIN:VEVENT\nDTSTAMP:20260101T000000Z");
        if !event.contains("UID:") {
            lines("UID:one");
        }
        lines(event);
        lines("END:VEVENT");
    }
    text + "END:VCALENDAR\r\n"
}

pub(crate) const OWNERS: [&str; 2] = ["alice@example.com", "a.smith@example.com"];

pub(crate) fn read_in(text: &str, timezone: Tz, window: TimeRange) -> Result<Resource, ReadError> {
    let owner_addresses = OWNERS.map(str::to_owned);
    read_resource(text, &ReadContext { timezone, owner_addresses: &owner_addresses, window })
}

/// Read in Berlin, October and November 2026.
pub(crate) fn read(text: &str) -> Resource {
    read_in(text, Tz::Europe__Berlin, window()).unwrap()
}

pub(crate) fn window() -> TimeRange {
    range("2026-10-01 00:00", "2026-12-01 00:00")
}

/// Busy ranges as pairs of texts.
pub(crate) fn busy(resource: &Resource) -> Vec<(String, String)> {
    let text = |instant: Timestamp| instant.to_utc().format("%Y-%m-%d %H:%M").to_string();
    let blocking = resource.instances.iter().filter(|instance| instance.blocks);
    blocking.map(|instance| (text(instance.range.start), text(instance.range.end))).collect()
}

pub(crate) fn check_in(timezone: Tz, text: &str, expected: &[(&str, &str)]) {
    let found = busy(&read_in(text, timezone, window()).unwrap());
    let expected: Vec<_> = expected.iter().map(|&(start, end)| (start.to_owned(), end.to_owned())).collect();
    assert_eq!(found, expected, "{text}");
}

pub(crate) fn check(events: &[&str], expected: &[(&str, &str)]) {
    check_in(Tz::Europe__Berlin, &resource(events), expected);
}

pub(crate) fn booking(number: u128) -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(number))
}

pub(crate) fn write() -> EventWrite {
    EventWrite {
        booking_id: booking(1),
        sequence: 0,
        range: range("2026-10-12 08:00", "2026-10-12 08:30"),
        timezone: Tz::Europe__Berlin,
        summary: "Intro".to_owned(),
        description: None,
        location: None,
        conference: None,
        created_at: at("2026-09-01 12:00"),
        known: None,
    }
}
