//! Moving an event of ours without touching what people added to it.

use super::read::{ReadContext, read_resource};
use super::write::booking_of_uid;
use crate::ids::BookingId;
use crate::ports::EventWrite;
use crate::time::Timestamp;

/// Why an event cannot be moved in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetimeError {
    /// The text holds no event of this booking, or more than a single one.
    #[error("the text holds no single event of the booking")]
    NotOurs,
}

/// The text of a booking's event at the time, sequence and state the booking now has. Every other line stays as it is,
/// byte for byte: alarms, attendees, colours and whatever else people or programs added. What comes out is read again
/// before it is believed.
pub fn retime(text: &str, write: &EventWrite, now: Timestamp) -> Result<String, RetimeError> {
    let moved = replace_times(text, write, now)?;
    if shows(&moved, write) { Ok(moved) } else { Err(RetimeError::NotOurs) }
}

/// Whether a text shows the booking where it is, blocking, and nothing else of it there.
pub fn shows(text: &str, write: &EventWrite) -> bool {
    let context = ReadContext { timezone: write.timezone, owner_addresses: &[], window: write.range };
    let instances = read_resource(text, &context).map(|resource| resource.instances).unwrap_or_default();
    let mut ours = instances.iter().filter(|instance| instance.booking_id == Some(write.booking_id));
    let shown = ours.next().is_some_and(|instance| instance.range == write.range && instance.blocks);
    shown && ours.next().is_none()
}

fn replace_times(text: &str, write: &EventWrite, now: Timestamp) -> Result<String, RetimeError> {
    let lines = unfolded_lines(text);
    let span = event_span(&lines, write.booking_id).ok_or(RetimeError::NotOurs)?;
    let mut out = String::with_capacity(text.len() + 256);
    for (index, line) in lines.iter().enumerate() {
        if index == span.end {
            for property in replacements(write, now) {
                out.push_str(&property);
                out.push_str("\r\n");
            }
        }
        if !(span.own.contains(&index) && is_replaced(line.name())) {
            out.push_str(line.raw);
            if !line.raw.ends_with('\n') {
                out.push_str("\r\n");
            }
        }
    }
    Ok(out)
}

/// Properties that say when, and in which version; SUMMARY and the like belong to whoever edits the calendar.
fn replacements(write: &EventWrite, now: Timestamp) -> Vec<String> {
    let utc = |instant: Timestamp| instant.to_utc().format("%Y%m%dT%H%M%SZ").to_string();
    vec![
        format!("DTSTART:{}", utc(write.range.start)),
        format!("DTEND:{}", utc(write.range.end)),
        format!("DTSTAMP:{}", utc(now)),
        format!("LAST-MODIFIED:{}", utc(now)),
        format!("SEQUENCE:{}", write.sequence),
        "STATUS:CONFIRMED".to_owned(),
        "TRANSP:OPAQUE".to_owned(),
    ]
}

fn is_replaced(name: &str) -> bool {
    const REPLACED: [&str; 12] = [
        "DTSTART",
        "DTEND",
        "DURATION",
        "DTSTAMP",
        "LAST-MODIFIED",
        "SEQUENCE",
        "STATUS",
        "TRANSP",
        // Somebody made a series of it; the booking is one meeting.
        "RRULE",
        "RDATE",
        "EXDATE",
        "EXRULE",
    ];
    REPLACED.iter().any(|replaced| name.eq_ignore_ascii_case(replaced))
}

/// A logical line: its raw bytes with folds and line end.
struct Line<'t> {
    raw: &'t str,
}

impl<'t> Line<'t> {
    fn content(&self) -> String {
        self.raw.replace("\r\n ", "").replace("\r\n\t", "").replace("\n ", "").replace("\n\t", "")
    }

    fn name(&self) -> &'t str {
        self.raw.split([':', ';', '\r', '\n']).next().unwrap_or_default().trim()
    }

    fn value(&self) -> String {
        let content = self.content();
        content.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.name().eq_ignore_ascii_case(name) && self.value().eq_ignore_ascii_case(value)
    }
}

fn unfolded_lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices('\n') {
        let folded = text[at + 1..].starts_with([' ', '\t']);
        if !folded {
            lines.push(Line { raw: &text[begin..=at] });
            begin = at + 1;
        }
    }
    if begin < text.len() {
        lines.push(Line { raw: &text[begin..] });
    }
    lines
}

struct EventSpan {
    /// Lines that are the event's own, not those of an alarm inside it.
    own: Vec<usize>,
    /// The line `END:VEVENT`.
    end: usize,
}

/// The only VEVENT of the booking. Several (exceptions of a series somebody made of it) are not moved in place.
fn event_span(lines: &[Line<'_>], booking_id: BookingId) -> Option<EventSpan> {
    let mut depth = 0_usize;
    let mut own = Vec::new();
    let mut found = None;
    for (index, line) in lines.iter().enumerate() {
        if line.is("BEGIN", "VEVENT") && depth == 0 {
            (depth, own) = (1, Vec::new());
        } else if depth > 0 && line.name().eq_ignore_ascii_case("BEGIN") {
            depth += 1;
        } else if depth > 0 && line.name().eq_ignore_ascii_case("END") {
            depth -= 1;
            if depth == 0 && found.replace(EventSpan { own: std::mem::take(&mut own), end: index }).is_some() {
                return None;
            }
        } else if depth == 1 {
            own.push(index);
        }
    }
    let span = found?;
    let is_uid = |&&index: &&usize| lines[index].name().eq_ignore_ascii_case("UID");
    let uid = span.own.iter().find(is_uid).map(|&index| lines[index].value())?;
    (booking_of_uid(&uid) == Some(booking_id)).then_some(span)
}
