//! The iCalendar object in a mail (RFC 5545), by the rules of iTIP (RFC 5546).

use agentcal_engine::icalendar::folded;
use agentcal_engine::time::Timestamp;
use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};

use crate::notice::{Contact, HOSTS_MAX, Notice, NoticeEvent, ReaderRole};
use crate::sender::Sender;
use crate::text::{NAME_CHARS_MAX, PROSE_CHARS_MAX, TITLE_CHARS_MAX, line, lines};
use crate::view::description;

const PRODID: &str = "-//AgentCal//AgentCal//EN";

/// What an object asks of who gets it (RFC 5546, 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Please take part: for attendees, of a new or changed event.
    Request,
    /// It does not take place.
    Cancel,
    /// Know of it; there is nothing to answer. For the organizer, who cannot be invited by himself.
    Publish,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
            Self::Publish => "PUBLISH",
        }
    }
}

/// An iCalendar object, and its method.
#[derive(Clone, Debug)]
pub(crate) struct Invitation {
    pub(crate) method: Method,
    pub(crate) text: String,
}

/// The object that belongs into a mail. None in a reminder: nothing has changed, and a second REQUEST would make some
/// programs forget the answer that was given to the first.
pub(crate) fn invitation(notice: &Notice, sender: &Sender) -> Option<Invitation> {
    let method = method_of(notice)?;
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", PRODID));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    calendar.append_property(Property::new("METHOD", method.name()));
    calendar.push(event(notice, sender, method));
    Some(Invitation { method, text: folded(&calendar.to_string()) })
}

fn method_of(notice: &Notice) -> Option<Method> {
    let is_organizer = notice.reader.contact.address == notice.organizer.address;
    match notice.event {
        NoticeEvent::Reminder { .. } => None,
        _ if is_organizer => Some(Method::Publish),
        NoticeEvent::Cancellation { .. } => Some(Method::Cancel),
        NoticeEvent::Confirmation | NoticeEvent::Reschedule { .. } => Some(Method::Request),
    }
}

/// Times are in UTC: a meeting that was agreed as an instant stays one when a zone's rules change, every program shows it
/// in its reader's own zone, and no VTIMEZONE can be wrong.
fn event(notice: &Notice, sender: &Sender, method: Method) -> Event {
    let mut event = Event::with_uid(&line(&notice.uid, TITLE_CHARS_MAX));
    event
        .timestamp(whole_second(notice.at).to_utc())
        .sequence(notice.sequence)
        .summary(&line(&notice.title, TITLE_CHARS_MAX))
        .description(&description(notice))
        .starts(notice.range.start.to_utc())
        .ends(notice.range.end.to_utc())
        .status(status_of(notice))
        .append_property(Property::new("TRANSP", "OPAQUE"))
        .append_property(organizer(&notice.organizer, sender));
    if let Some(location) = prose(notice.location.as_deref()) {
        event.location(&location);
    }
    if let NoticeEvent::Cancellation { reason } = &notice.event
        && let Some(reason) = prose(reason.as_deref())
    {
        event.append_property(Property::new("COMMENT", reason));
    }
    if method != Method::Publish {
        for attendee in attendees(notice) {
            event.append_multi_property(attendee);
        }
    }
    event.done()
}

/// A text of several lines, if there is anything in it.
fn prose(text: Option<&str>) -> Option<String> {
    text.map(|text| lines(text, PROSE_CHARS_MAX)).filter(|text| !text.is_empty())
}

fn status_of(notice: &Notice) -> EventStatus {
    match notice.event {
        NoticeEvent::Cancellation { .. } => EventStatus::Cancelled,
        _ => EventStatus::Confirmed,
    }
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.clamped().as_micros() / 1_000_000)
}

/// Who sends for somebody else says so (RFC 5545, 3.2.18; RFC 6047, 3).
fn organizer(contact: &Contact, sender: &Sender) -> Property {
    let mut property = Property::new("ORGANIZER", contact.address.to_mailto());
    property.add_parameter("CN", &parameter(&contact.name));
    if sender.address != contact.address {
        property.add_parameter("SENT-BY", &sender.address.to_mailto());
    }
    property
}

/// Who booked is asked to answer, and hosts have: by offering the time. Nobody is named twice.
fn attendees(notice: &Notice) -> Vec<Property> {
    let booked = notice.attendee.address.as_ref().map(|address| {
        let contact = Contact { name: notice.attendee.name.clone(), address: address.clone() };
        (contact, Part { role: "REQ-PARTICIPANT", answer: "NEEDS-ACTION", is_asked: true })
    });
    let hosts = notice.hosts.iter().take(HOSTS_MAX).filter_map(|host| {
        let contact = Contact { name: host.name.clone(), address: host.address.clone()? };
        let is_chair = contact.address == notice.organizer.address;
        let role = if is_chair { "CHAIR" } else { "REQ-PARTICIPANT" };
        Some((contact, Part { role, answer: "ACCEPTED", is_asked: false }))
    });
    let reader = (notice.reader.role == ReaderRole::Host).then(|| {
        let part = Part { role: "REQ-PARTICIPANT", answer: "ACCEPTED", is_asked: false };
        (notice.reader.contact.clone(), part)
    });
    let mut named = Vec::new();
    let everybody = booked.into_iter().chain(hosts).chain(reader);
    let each_once = everybody.filter(|(contact, _)| {
        let is_new = !named.contains(&contact.address);
        named.push(contact.address.clone());
        is_new
    });
    each_once.map(|(contact, part)| attendee(&contact, &part)).collect()
}

struct Part {
    role: &'static str,
    answer: &'static str,
    is_asked: bool,
}

fn attendee(contact: &Contact, part: &Part) -> Property {
    let mut property = Property::new("ATTENDEE", contact.address.to_mailto());
    property.add_parameter("CN", &parameter(&contact.name));
    property.add_parameter("CUTYPE", "INDIVIDUAL");
    property.add_parameter("ROLE", part.role);
    property.add_parameter("PARTSTAT", part.answer);
    property.add_parameter("RSVP", if part.is_asked { "TRUE" } else { "FALSE" });
    property
}

/// A parameter has no way to write a double quote that every program reads (RFC 5545, 3.2), nor may one be empty.
fn parameter(text: &str) -> String {
    let text = line(text, NAME_CHARS_MAX).replace('"', "'");
    if text.is_empty() { "?".to_owned() } else { text }
}
