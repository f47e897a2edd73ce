//! A booking to iCalendar.

use ::icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};

use crate::ids::BookingId;
use crate::ports::EventWrite;
use crate::time::Timestamp;

/// Property that says which booking an event was written for.
const BOOKING_PROPERTY: &str = "X-AGENTCAL-BOOKING";
/// What follows the booking's id in the UID.
const UID_SUFFIX: &str = "@agentcal";
/// Longest line, in octets (RFC 5545, 3.1).
const LINE_LEN_MAX: usize = 75;
/// Who wrote it.
const PRODID: &str = "-//AgentCal//AgentCal//EN";

/// The UID of a booking's event; the same however often it is written.
pub fn booking_uid(booking_id: BookingId) -> String {
    format!("{booking_id}{UID_SUFFIX}")
}

/// The booking an event was written for, told by its UID. A copy that somebody made of it has a UID of its own and is
/// somebody's busy time.
pub fn booking_of_uid(uid: &str) -> Option<BookingId> {
    uid.strip_suffix(UID_SUFFIX)?.parse().ok()
}

/// The iCalendar object that shows a booking. Times are in UTC: a meeting that was agreed as an instant stays one when a
/// zone's rules change, and no VTIMEZONE is needed.
pub fn write_event(write: &EventWrite, now: Timestamp) -> String {
    let mut event = Event::with_uid(&booking_uid(write.booking_id));
    event
        .timestamp(now.to_utc())
        .created(write.created_at.to_utc())
        .last_modified(now.to_utc())
        .sequence(write.sequence)
        .summary(&clean(&write.summary))
        .starts(write.range.start.to_utc())
        .ends(write.range.end.to_utc())
        .status(EventStatus::Confirmed)
        .append_property(Property::new("TRANSP", "OPAQUE"))
        .append_property(Property::new(BOOKING_PROPERTY, write.booking_id.to_string()));
    if let Some(description) = &write.description {
        event.description(&clean(description));
    }
    if let Some(location) = &write.location {
        event.location(&clean(location));
    }
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", PRODID));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    calendar.push(event.done());
    folded(&calendar.to_string())
}

/// The object with its lines folded anew, between characters: the library's last line of several can be an octet too long,
/// for the space it begins with.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 64);
    for line in text.replace("\r\n ", "").split_inclusive("\r\n") {
        let mut len = 0;
        for character in line.trim_end_matches("\r\n").chars() {
            if len + character.len_utf8() > LINE_LEN_MAX {
                folded.push_str("\r\n ");
                len = 1;
            }
            folded.push(character);
            len += character.len_utf8();
        }
        folded.push_str("\r\n");
    }
    folded
}

/// Text without the control characters iCalendar cannot carry; a line break of any kind becomes one kind.
pub(super) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|&character| character == '\n' || character == '\t' || !character.is_control()).collect()
}
