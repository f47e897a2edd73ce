//! The times of an event, as its JSON says them.

use agentcal_fake_kit::recurrence::{instant_of, wall_of};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;

/// An event's JSON.
pub(crate) type Body = Map<String, Value>;

/// When an event begins, on the wall of its zone, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) start: NaiveDateTime,
    pub(crate) zone: Tz,
    pub(crate) all_day: bool,
    pub(crate) length: TimeDelta,
}

impl Times {
    /// Those of an event in a calendar of this zone.
    pub(crate) fn of(body: &Body, zone: Tz) -> Result<Self, Refusal> {
        let start = Point::of(body, "start", zone)?;
        let end = Point::of(body, "end", zone)?;
        let (length, all_day) = match (start, end) {
            (Point::Day(start), Point::Day(end)) => (end - start, true),
            (Point::Instant { at: start, .. }, Point::Instant { at: end, .. }) => (end - start, false),
            _ => return Err(Refusal::invalid("Start and end times must either both be date or both be dateTime.")),
        };
        if length < TimeDelta::zero() {
            return Err(Refusal::new(400, "calendar", "timeRangeEmpty", "The specified time range is empty."));
        }
        let (start, zone) = match start {
            Point::Day(date) => (date.and_time(chrono::NaiveTime::MIN), zone),
            Point::Instant { at, zone } => (wall_of(at, zone), zone),
        };
        // A day that ends where it begins is the day.
        let length = if all_day { length.max(TimeDelta::days(1)) } else { length };
        Ok(Self { start, zone, all_day, length })
    }

    /// The same at another occurrence.
    pub(crate) fn at(self, start: NaiveDateTime) -> Self {
        Self { start, ..self }
    }

    /// The instants it covers.
    pub(crate) fn span(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let start = instant_of(self.start, self.zone);
        let end = if self.all_day { instant_of(self.start + self.length, self.zone) } else { start + self.length };
        (start, end)
    }

    /// What an instance's id ends with.
    pub(crate) fn suffix(&self) -> String {
        match self.all_day {
            true => self.start.format("%Y%m%d").to_string(),
            false => self.span().0.format("%Y%m%dT%H%M%SZ").to_string(),
        }
    }

    /// Its beginning in JSON.
    pub(crate) fn start_json(&self) -> Value {
        self.point_json(self.start, self.span().0)
    }

    /// Its end in JSON.
    pub(crate) fn end_json(&self) -> Value {
        self.point_json(self.start + self.length, self.span().1)
    }

    fn point_json(&self, wall: NaiveDateTime, at: DateTime<Utc>) -> Value {
        match self.all_day {
            true => json!({"date": wall.date().to_string()}),
            false => json!({"dateTime": in_zone(at, self.zone), "timeZone": self.zone.name()}),
        }
    }
}

/// An instant as Google writes it: with the offset of a zone, without fractions.
pub(crate) fn in_zone(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[derive(Clone, Copy)]
enum Point {
    Day(NaiveDate),
    Instant { at: DateTime<Utc>, zone: Tz },
}

impl Point {
    fn of(body: &Body, name: &str, calendar_zone: Tz) -> Result<Self, Refusal> {
        let missing = || Refusal::required(format!("Missing {name} time."));
        let point = body.get(name).and_then(Value::as_object).ok_or_else(missing)?;
        let text = |key: &str| point.get(key).and_then(Value::as_str);
        if let Some(date) = text("date") {
            let bad = || Refusal::invalid(format!("Invalid value for: Invalid format: \"{date}\""));
            return NaiveDate::parse_from_str(date, "%Y-%m-%d").ok().map(Self::Day).ok_or_else(bad);
        }
        let named = text("timeZone").map(|name| name.parse::<Tz>().ok());
        let zone = match named {
            Some(None) => return Err(Refusal::invalid("Invalid time zone definition for start time.")),
            Some(Some(zone)) => zone,
            None => calendar_zone,
        };
        let time = text("dateTime").ok_or_else(missing)?;
        let bad = || Refusal::invalid(format!("Invalid value for: Invalid format: \"{time}\""));
        let at = match DateTime::parse_from_rfc3339(time) {
            Ok(at) => at.to_utc(),
            // Without an offset it is a time on the wall of the zone, which then must be named.
            Err(_) if named.is_some() => {
                let wall = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").ok().ok_or_else(bad)?;
                instant_of(wall, zone)
            }
            Err(_) => return Err(bad()),
        };
        Ok(Self::Instant { at, zone })
    }
}
