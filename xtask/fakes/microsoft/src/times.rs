//! `dateTimeTimeZone`, and what it means.

use agentcal_fake_kit::recurrence::{instant_of, wall_of};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::reply::{Reply, bad_request};
use crate::zones::zone_of;

/// A stretch of time.
pub(crate) type Span = (DateTime<Utc>, DateTime<Utc>);
/// The fields of an event.
pub(crate) type Fields = Map<String, Value>;

/// The wall clock and the zone of a `dateTimeTimeZone`.
pub(crate) fn wall_and_zone(value: &Value) -> Result<(NaiveDateTime, Tz), Reply> {
    let text = value.get("dateTime").and_then(Value::as_str).unwrap_or_default();
    let wall = wall_of_text(text).ok_or_else(|| bad_request("ErrorInvalidRequest", "dateTime cannot be read."))?;
    let name = value.get("timeZone").and_then(Value::as_str).unwrap_or("UTC");
    let zone = zone_of(name)
        .ok_or_else(|| bad_request("TimeZoneNotSupportedException", "A valid TimeZone value must be specified."))?;
    Ok((wall, zone))
}

/// A time as text; what follows the seconds may be missing.
pub(crate) fn wall_of_text(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim_end_matches(['Z', 'z']);
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
        .ok()
}

/// A point of a query, such as `startDateTime`: with an offset, or in UTC.
pub(crate) fn point(text: &str) -> Option<DateTime<Utc>> {
    // A plus sign that was not escaped arrives as a space.
    let text = text.replace(' ', "+");
    match DateTime::parse_from_rfc3339(&text) {
        Ok(instant) => Some(instant.to_utc()),
        Err(_) => wall_of_text(&text).map(|wall| wall.and_utc()),
    }
}

pub(crate) fn is_all_day(fields: &Fields) -> bool {
    fields.get("isAllDay") == Some(&Value::Bool(true))
}

/// When an event is; whole days are those of the mailbox.
pub(crate) fn span_of(fields: &Fields, mailbox: Tz) -> Result<Span, Reply> {
    let (start, start_zone) = wall_and_zone(&fields["start"])?;
    let (end, end_zone) = wall_and_zone(&fields["end"])?;
    if is_all_day(fields) {
        return Ok((instant_of(start, mailbox), instant_of(end, mailbox)));
    }
    Ok((instant_of(start, start_zone), instant_of(end, end_zone)))
}

/// A `dateTimeTimeZone` in the zone a caller prefers. Whole days stay the days they are.
pub(crate) fn rendered(value: &Value, all_day: bool, preferred: &str) -> Value {
    let zone = zone_of(preferred).unwrap_or(Tz::UTC);
    let Ok((wall, own)) = wall_and_zone(value) else { return value.clone() };
    let shown = if all_day { wall } else { wall_of(instant_of(wall, own), zone) };
    json!({ "dateTime": shown.format("%Y-%m-%dT%H:%M:%S.0000000").to_string(), "timeZone": preferred })
}

pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.%6f0Z").to_string()
}
