//! What is read of an event.

mod parse;

use agentcal_engine::civil;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::icalendar::timezone_named;
use agentcal_engine::ids::BookingId;
use agentcal_engine::time::{HOUR_US, TimeRange, Timestamp};
use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mark;
use crate::urls::ID_LEN_MAX;

pub(crate) use parse::Listed;

/// The widest offsets in use on Earth; a time in a zone nobody knows lies between them.
const OFFSET_EAST_MAX_US: i64 = 14 * HOUR_US;
const OFFSET_WEST_MAX_US: i64 = 12 * HOUR_US;

/// An event as Graph sends it, as far as it is read; whatever else it says is passed over unread. Every field may be of
/// another type than it should: one such event does not spoil its page.
#[derive(Clone, Debug, Default)]
pub(crate) struct GraphEvent {
    id: Value,
    etag: Value,
    removed: Value,
    event_type: Value,
    series_master_id: Value,
    start: Value,
    end: Value,
    is_all_day: Value,
    is_cancelled: Value,
    show_as: Value,
    response_status: Value,
    transaction_id: Value,
}

/// Where an event is, inside the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its instance; none where it takes no time there.
    pub(crate) instance: Option<ExternalInstance>,
    /// Not all of it could be understood: it blocks wherever it may be.
    pub(crate) is_guess: bool,
}

/// What an occurrence takes from its series, because Graph may send only when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traits {
    /// Whether it blocks.
    pub(crate) blocks: bool,
    /// The booking it was made for.
    pub(crate) booking_id: Option<BookingId>,
}

impl Traits {
    /// Those of a series nobody knows: unknown is never free.
    pub(crate) const UNKNOWN: Self = Self { blocks: true, booking_id: None };
}

impl GraphEvent {
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_str().filter(|id| (1..=ID_LEN_MAX).contains(&id.len()) && !id.contains(char::is_control))
    }

    pub(crate) fn etag(&self) -> Option<&str> {
        self.etag.as_str()
    }

    /// Whether it is there no more, or never was in the window. What says so in another way than Graph does is not believed.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.is_object() || self.is_cancelled()
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled == Value::Bool(true)
    }

    /// Whether it stands for a series; its occurrences are events of their own.
    pub(crate) fn is_series(&self) -> bool {
        self.event_type.as_str().is_some_and(|name| name.eq_ignore_ascii_case("seriesMaster"))
    }

    pub(crate) fn series_id(&self) -> Option<&str> {
        self.series_master_id.as_str().filter(|id| !id.is_empty())
    }

    pub(crate) fn booking_id(&self) -> Option<BookingId> {
        self.transaction_id.as_str().and_then(mark::booking_of)
    }

    /// What it says of itself; `None` where that stands with its series.
    pub(crate) fn traits(&self) -> Option<Traits> {
        if self.show_as.is_null() && self.series_id().is_some() {
            return None;
        }
        Some(Traits { blocks: self.shows_busy() && !self.is_declined(), booking_id: self.booking_id() })
    }

    fn shows_busy(&self) -> bool {
        let free = |name: &str| name.eq_ignore_ascii_case("free") || name.eq_ignore_ascii_case("workingElsewhere");
        !self.show_as.as_str().is_some_and(free)
    }

    fn is_declined(&self) -> bool {
        let response = self.response_status.get("response").and_then(Value::as_str);
        response.is_some_and(|response| response.eq_ignore_ascii_case("declined"))
    }

    /// Whether it blocks exactly this time, by itself.
    pub(crate) fn shows(&self, range: TimeRange) -> bool {
        let timed = self.is_all_day != Value::Bool(true) && !self.is_series() && !self.is_removed();
        let stands = self.span(Tz::UTC).is_some_and(|span| span == (range.start, range.end));
        timed && stands && self.traits().is_some_and(|traits| traits.blocks)
    }

    /// Where it is. What cannot be understood takes all of the window.
    pub(crate) fn placed(&self, traits: Traits, timezone: Tz, window: TimeRange) -> Placed {
        let instance = |range| ExternalInstance { range, booking_id: traits.booking_id, blocks: traits.blocks };
        match self.span(timezone) {
            Some((start, end)) if start <= end => {
                let range = TimeRange::new(start, end).filter(|range| range.overlaps(&window));
                Placed { instance: range.map(instance), is_guess: !self.is_plain() }
            }
            Some(_) | None => {
                let blocked = ExternalInstance { range: window, booking_id: None, blocks: true };
                Placed { instance: Some(blocked), is_guess: true }
            }
        }
    }

    /// Whether everything that decides where it is, and whether it blocks, is of the type Graph documents, and its zones are
    /// known.
    fn is_plain(&self) -> bool {
        let texts = [&self.event_type, &self.series_master_id, &self.show_as, &self.transaction_id];
        let flags = [&self.is_all_day, &self.is_cancelled];
        let has_zone = |point: &Value| zone_of(point).is_some();
        self.id().is_some()
            && self.removed.is_null()
            && texts.into_iter().all(|text| text.is_null() || text.is_string())
            && flags.into_iter().all(|flag| flag.is_null() || flag.is_boolean())
            && (self.response_status.is_null() || self.response_status.is_object())
            && (self.is_all_day == Value::Bool(true) || (has_zone(&self.start) && has_zone(&self.end)))
    }

    fn span(&self, timezone: Tz) -> Option<(Timestamp, Timestamp)> {
        let days = || {
            let (first, end) = (wall(&self.start)?.date(), wall(&self.end)?.date());
            Some((civil::day_start(first, timezone).clamped(), civil::day_start(end, timezone).clamped()))
        };
        let times = || Some((instants(&self.start)?.0, instants(&self.end)?.1));
        match &self.is_all_day {
            Value::Bool(true) => days(),
            Value::Bool(false) | Value::Null => times(),
            // Either may be meant.
            _ => {
                let ((first, until), (start, end)) = (days()?, times()?);
                Some((first.min(start), until.max(end)))
            }
        }
    }
}

/// The zone of a `dateTimeTimeZone`; `None` for one nobody knows.
fn zone_of(value: &Value) -> Option<Tz> {
    match value.get("timeZone") {
        None | Some(Value::Null) => Some(Tz::UTC),
        Some(Value::String(name)) if name.eq_ignore_ascii_case("UTC") || name == "tzone://Microsoft/Utc" => {
            Some(Tz::UTC)
        }
        Some(Value::String(name)) => timezone_named(name),
        Some(_) => None,
    }
}

/// The instants between which a `dateTimeTimeZone` may lie: one and the same where its zone is known.
fn instants(value: &Value) -> Option<(Timestamp, Timestamp)> {
    let wall = wall(value)?;
    let as_utc = Timestamp::from(wall.and_utc()).clamped();
    let Some(zone) = zone_of(value) else {
        return Some((as_utc.plus_micros(-OFFSET_EAST_MAX_US), as_utc.plus_micros(OFFSET_WEST_MAX_US)));
    };
    // A time that occurs twice may be either; one that the zone skips is read as it stood before the gap.
    let found = zone.from_local_datetime(&wall);
    let (first, last) = (found.earliest(), found.latest());
    match first.zip(last) {
        Some((first, last)) => {
            Some((Timestamp::from(first.to_utc()).clamped(), Timestamp::from(last.to_utc()).clamped()))
        }
        None => {
            let shifted = wall.checked_add_signed(chrono::TimeDelta::hours(1))?;
            let shifted = zone.from_local_datetime(&shifted).earliest()?;
            let instant = Timestamp::from(shifted.to_utc()).clamped();
            Some((instant.plus_micros(-HOUR_US), instant))
        }
    }
}

fn wall(value: &Value) -> Option<NaiveDateTime> {
    let text = value.get("dateTime")?.as_str()?;
    NaiveDateTime::parse_from_str(text.trim_end_matches(['Z', 'z']), "%Y-%m-%dT%H:%M:%S%.f").ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).expect("a literal instant").to_utc())
    }

    fn window() -> TimeRange {
        TimeRange::new(at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")).expect("a range")
    }

    /// The fields of a busy hour, changed as given.
    fn event(changes: Value) -> GraphEvent {
        let mut event = json!({
            "id": "a", "type": "singleInstance", "showAs": "busy", "isAllDay": false, "isCancelled": false,
            "subject": "unread", "start": { "dateTime": "2026-11-22T09:00:00.0000000", "timeZone": "UTC" },
            "end": { "dateTime": "2026-11-22T10:00:00.0000000", "timeZone": "UTC" }
        });
        let fields = event.as_object_mut().expect("an object");
        fields.extend(changes.as_object().expect("an object").clone());
        serde_json::from_value(event).expect("any object is an event")
    }

    fn range_of(event: &GraphEvent) -> Option<String> {
        let traits = event.traits().unwrap_or(Traits::UNKNOWN);
        let placed = event.placed(traits, Tz::Europe__Berlin, window());
        placed.instance.map(|instance| format!("{:?}", instance.range))
    }

    #[test]
    fn what_blocks_is_what_the_contract_says() {
        let check = |changes: Value, expected: bool| {
            assert_eq!(event(changes.clone()).traits().map(|traits| traits.blocks), Some(expected), "{changes}");
        };
        for busy in ["busy", "tentative", "oof", "unknown", "somethingNew", "BUSY"] {
            check(json!({ "showAs": busy }), true);
        }
        check(json!({ "showAs": "free" }), false);
        check(json!({ "showAs": "workingElsewhere" }), false);
        check(json!({ "showAs": 7 }), true);
        check(json!({ "showAs": null }), true);
        check(json!({ "responseStatus": { "response": "declined" } }), false);
        check(json!({ "responseStatus": { "response": "tentativelyAccepted" } }), true);
        check(json!({ "responseStatus": { "response": "notResponded" } }), true);
        check(json!({ "responseStatus": ["declined"] }), true);
    }

    #[test]
    fn an_occurrence_may_leave_the_rest_to_its_series() {
        let bare = event(json!({ "showAs": null, "seriesMasterId": "m", "type": "occurrence" }));
        assert_eq!((bare.traits(), bare.series_id()), (None, Some("m")));
        let own = event(json!({ "showAs": "free", "seriesMasterId": "m", "type": "exception" }));
        assert_eq!(own.traits(), Some(Traits { blocks: false, booking_id: None }));
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let check = |changes: Value, expected: Option<&str>| {
            assert_eq!(range_of(&event(changes.clone())).as_deref(), expected, "{changes}");
        };
        let time = |text: &str, zone: &str| json!({ "dateTime": text, "timeZone": zone });
        let from = |start: Value, end: Value| json!({ "start": start, "end": end });
        let whole = Some("2026-11-01T00:00:00Z..2026-12-01T00:00:00Z");
        check(json!({}), Some("2026-11-22T09:00:00Z..2026-11-22T10:00:00Z"));
        let berlin = "W. Europe Standard Time";
        check(
            from(time("2026-11-22T09:00:00", berlin), time("2026-11-22T10:00:00", "Europe/Berlin")),
            Some("2026-11-22T08:00:00Z..2026-11-22T09:00:00Z"),
        );
        check(
            from(time("2026-11-22T09:00:00", "Nowhere Standard Time"), time("2026-11-22T10:00:00", "Nowhere")),
            Some("2026-11-21T19:00:00Z..2026-11-22T22:00:00Z"),
        );
        let day = from(time("2026-11-22T00:00:00.0000000", "UTC"), time("2026-11-24T00:00:00.0000000", "UTC"));
        let mut all_day = day.clone();
        all_day["isAllDay"] = json!(true);
        check(all_day, Some("2026-11-21T23:00:00Z..2026-11-23T23:00:00Z"));
        check(from(time("2026-10-01T09:00:00", "UTC"), time("2026-10-01T10:00:00", "UTC")), None);
        check(from(time("2026-11-22T09:00:00", "UTC"), time("2026-11-22T09:00:00", "UTC")), None);
        check(from(time("2026-11-22T09:00:00", "UTC"), time("2026-11-22T08:00:00", "UTC")), whole);
        check(json!({ "start": "tomorrow" }), whole);
        check(json!({ "start": { "dateTime": 7 } }), whole);
        check(json!({ "end": null }), whole);
        check(from(time("2026-11-22T09:00:00", "UTC"), time("99999-11-22T08:00:00", "UTC")), whole);
        let ages = from(time("0001-01-01T00:00:00", "UTC"), time("9999-12-31T00:00:00", "UTC"));
        let clamped = Some("1970-01-01T00:00:00Z..2200-01-01T00:00:00Z");
        check(ages.clone(), clamped);
        let mut days = ages;
        days["isAllDay"] = json!(true);
        check(days, clamped);
        // Beyond the calendar of chrono, in a zone behind UTC.
        let last = "+262142-12-31T23:59:59";
        check(from(time("2026-11-22T09:00:00", "UTC"), time(last, "Pacific Standard Time")), whole);
    }

    #[test]
    fn what_is_understood_in_part_blocks_wherever_it_may_be() {
        let check = |changes: Value, expected: Option<&str>, is_guess: bool| {
            let event = event(changes.clone());
            let traits = event.traits().unwrap_or(Traits::UNKNOWN);
            let placed = event.placed(traits, Tz::Europe__Berlin, window());
            assert_eq!(placed.is_guess, is_guess, "{changes}");
            let blocks = placed.instance.filter(|instance| instance.blocks).map(|instance| instance.range);
            assert_eq!(blocks.map(|range| format!("{range:?}")).as_deref(), expected, "{changes}");
            assert!(!event.is_removed(), "{changes}");
        };
        let nine = Some("2026-11-22T09:00:00Z..2026-11-22T10:00:00Z");
        let whole = Some("2026-11-01T00:00:00Z..2026-12-01T00:00:00Z");
        check(json!({}), nine, false);
        check(json!({ "isAllDay": null, "responseStatus": null, "showAs": "somethingNew" }), nine, false);
        check(json!({ "showAs": 7 }), nine, true);
        check(json!({ "isCancelled": "true" }), nine, true);
        check(json!({ "responseStatus": "declined" }), nine, true);
        check(json!({ "@removed": true }), nine, true);
        check(json!({ "id": 7 }), nine, true);
        check(json!({ "id": "a\u{0}b" }), nine, true);
        // The day in Berlin and the hour in UTC.
        let day = json!({ "dateTime": "2026-11-22T00:00:00", "timeZone": "UTC" });
        let next = json!({ "dateTime": "2026-11-23T00:00:00", "timeZone": "UTC" });
        let either = Some("2026-11-21T23:00:00Z..2026-11-23T00:00:00Z");
        check(json!({ "isAllDay": "true", "start": day, "end": next }), either, true);
        let nowhere = json!({ "dateTime": "2026-11-22T10:00:00", "timeZone": "Nowhere" });
        check(json!({ "end": nowhere }), Some("2026-11-22T09:00:00Z..2026-11-22T22:00:00Z"), true);
        let no_name = json!({ "dateTime": "2026-11-22T10:00:00", "timeZone": 7 });
        check(json!({ "end": no_name }), Some("2026-11-22T09:00:00Z..2026-11-22T22:00:00Z"), true);
        check(json!({ "start": "nine" }), whole, true);
    }

    #[test]
    fn an_event_of_ours_is_known_and_compared() {
        let booking_id = BookingId::from_uuid(Uuid::from_u128(7));
        let ours = json!({ "transactionId": mark::transaction(booking_id) });
        assert_eq!(event(ours.clone()).booking_id(), Some(booking_id));
        let asked = TimeRange::new(at("2026-11-22T09:00:00Z"), at("2026-11-22T10:00:00Z")).expect("a range");
        let check = |changes: Value, expected: bool| {
            assert_eq!(event(changes.clone()).shows(asked), expected, "{changes}");
        };
        check(ours, true);
        check(json!({ "showAs": "free" }), false);
        check(json!({ "type": "seriesMaster" }), false);
        check(json!({ "isCancelled": true }), false);
        check(json!({ "isAllDay": true }), false);
        check(json!({ "start": { "dateTime": "2026-11-22T08:00:00", "timeZone": "UTC" } }), false);
    }
}
