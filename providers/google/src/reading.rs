//! From an event as Google tells it to busy time. What cannot be understood blocks: unknown is never free. A field of a wrong
//! type costs what it says: without its time an event blocks the window, without anything else its time.

use agentcal_engine::civil::day_start;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::ResourceChange;
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::Days;
use chrono_tz::Tz;
use google_calendar3::api::{Event, EventDateTime};
use serde::Deserialize;
use serde_json::Value;

use crate::event_id::booking_of;

/// What no event is called: stands for all that come without a name.
const NAMELESS: &str = "nameless";
/// Longest name of an event, which is Google's own bound.
const NAME_LEN_MAX: usize = 1_024;
/// Room given to an event of ours that somebody shortened to nothing, so that it still shows where it is.
const SHOWN_MICROS: i64 = 1_000_000;

/// What reading needs to know beside the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    /// The calendar's zone, for all-day events.
    pub(crate) timezone: Tz,
    /// Only what overlaps it concerns us.
    pub(crate) window: TimeRange,
}

/// An item of a list, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Its present state.
    pub(crate) change: ResourceChange,
    /// The series it is an instance of.
    pub(crate) series: Option<String>,
    /// It is gone.
    pub(crate) is_cancelled: bool,
    /// It is a series, which a list of single events should not have.
    pub(crate) is_series: bool,
    /// It could not be understood, or only in part, and blocks wherever it may be.
    pub(crate) is_unreadable: bool,
}

impl Reader {
    /// Reads an item; one that is typed badly does not fail its page.
    pub(crate) fn read(&self, item: &Value) -> Read {
        let id = item.get("id").and_then(Value::as_str).filter(|id| is_name(id)).map(str::to_owned);
        let is_cancelled = text(item, "status") == Some("cancelled");
        let (event, is_whole) = match Event::deserialize(item) {
            Ok(event) => (event, true),
            Err(_) => (what_is_left(item), false),
        };
        let is_series = event.recurrence.is_some();
        let instances = if is_cancelled { Some(Vec::new()) } else { self.instances(&event) };
        let is_unreadable = id.is_none() || instances.is_none() || (!is_cancelled && (is_series || !is_whole));
        let blocked = || vec![ExternalInstance { range: self.window, booking_id: None, blocks: true }];
        let instances = if id.is_some() { instances.unwrap_or_else(blocked) } else { blocked() };
        let provider_event_id = id.unwrap_or_else(|| NAMELESS.to_owned());
        let change = ResourceChange { provider_event_id, instances };
        Read { change, series: event.recurring_event_id, is_cancelled, is_series, is_unreadable }
    }

    /// What of an event concerns us; `None` where it has no time that can be read.
    fn instances(&self, event: &Event) -> Option<Vec<ExternalInstance>> {
        // An instance of a series somebody made of an event of ours is ours.
        let name = event.recurring_event_id.as_deref().or(event.id.as_deref())?;
        let booking_id = booking_of(name);
        let blocks = blocks(event);
        let (start, end) = self.span(event)?;
        // A series has no business here. Its instances are not known; they begin with the first.
        let end = if event.recurrence.is_some() { end.max(self.window.end) } else { end };
        let end = if booking_id.is_some() { end.max(start.plus_micros(SHOWN_MICROS)) } else { end };
        let range = TimeRange::new(start, end).filter(|range| range.overlaps(&self.window));
        let concerns = blocks || booking_id.is_some();
        Some(
            range
                .filter(|_| concerns)
                .map(|range| ExternalInstance { range, booking_id, blocks })
                .into_iter()
                .collect(),
        )
    }

    fn span(&self, event: &Event) -> Option<(Timestamp, Timestamp)> {
        let (start, end) = (event.start.as_ref()?, event.end.as_ref()?);
        let (from, to) = (self.instant(start)?, self.instant(end)?);
        match (start.date, end.date) {
            // An end on the very day is how some programs write a single day.
            (Some(first), Some(_)) if to <= from => {
                Some((from, day_start(first.checked_add_days(Days::new(1))?, self.timezone).clamped()))
            }
            _ => (from <= to).then_some((from, to)),
        }
    }

    /// A day begins when it begins in the calendar's zone.
    fn instant(&self, point: &EventDateTime) -> Option<Timestamp> {
        let instant = match (point.date_time, point.date) {
            (Some(instant), _) => Timestamp::from(instant),
            (None, Some(date)) => day_start(date, self.timezone),
            (None, None) => return None,
        };
        Some(instant.clamped())
    }
}

/// A name that can be kept.
fn is_name(id: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&id.len()) && !id.contains(char::is_control)
}

fn text<'a>(item: &'a Value, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str)
}

/// What can be told of an event that is typed badly: whose it is and when. It blocks, since nothing says that it does not.
fn what_is_left(item: &Value) -> Event {
    let point = |name: &str| item.get(name).and_then(|point| EventDateTime::deserialize(point).ok());
    Event {
        id: text(item, "id").map(str::to_owned),
        recurring_event_id: text(item, "recurringEventId").map(str::to_owned),
        recurrence: item.get("recurrence").filter(|lines| !lines.is_null()).map(|_| Vec::new()),
        start: point("start"),
        end: point("end"),
        ..Event::default()
    }
}

/// Opaque and not declined by the one whose copy this is. Tentative, out of office, focus time and kinds nobody knows yet
/// block; where somebody works, and whose birthday it is, does not.
fn blocks(event: &Event) -> bool {
    let free = event.transparency.as_deref() == Some("transparent");
    let is_remark = matches!(event.event_type.as_deref(), Some("workingLocation" | "birthday"));
    let guests = event.attendees.as_deref().unwrap_or_default();
    let mut own = guests.iter().filter(|guest| guest.self_ == Some(true)).peekable();
    let declined = own.peek().is_some() && own.all(|guest| guest.response_status.as_deref() == Some("declined"));
    !free && !is_remark && !declined
}

#[cfg(test)]
mod tests {
    use agentcal_engine::ids::BookingId;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::event_id::of_booking;

    /// Minutes after 2026-11-23T00:00:00Z, a Monday.
    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_392_000 + minutes * 60)
    }

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(at(from), at(to)).expect("a range")
    }

    fn reader() -> Reader {
        Reader { timezone: Tz::Europe__Berlin, window: range(0, 10_080) }
    }

    fn booking() -> BookingId {
        BookingId::from_uuid(Uuid::from_u128(7))
    }

    /// An event from nine to ten in UTC, with something changed.
    fn event(change: Value) -> Value {
        let mut event = json!({
            "id": "abcde", "status": "confirmed",
            "start": {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"},
            "end": {"dateTime": "2026-11-23T11:00:00+01:00"},
        });
        let fields = event.as_object_mut().expect("an object");
        fields.extend(change.as_object().expect("an object").clone());
        fields.retain(|_, value| !value.is_null());
        event
    }

    fn busy(from: i64, to: i64) -> Vec<ExternalInstance> {
        vec![ExternalInstance { range: range(from, to), booking_id: None, blocks: true }]
    }

    #[test]
    fn what_is_busy_is_what_the_contract_says() {
        let guest = |is_self: bool, status: &str| json!({"attendees": [{"self": is_self, "responseStatus": status}]});
        let nine = || busy(540, 600);
        let cases = [
            (json!({}), nine()),
            (json!({"status": "tentative"}), nine()),
            (json!({"status": "cancelled"}), vec![]),
            (json!({"transparency": "opaque"}), nine()),
            (json!({"transparency": "transparent"}), vec![]),
            (json!({"eventType": "outOfOffice"}), nine()),
            (json!({"eventType": "focusTime"}), nine()),
            (json!({"eventType": "fromGmail"}), nine()),
            (json!({"eventType": "somethingNew"}), nine()),
            (json!({"eventType": "workingLocation"}), vec![]),
            (json!({"eventType": "birthday"}), vec![]),
            (guest(true, "declined"), vec![]),
            (guest(true, "needsAction"), nine()),
            (guest(true, "tentative"), nine()),
            (guest(false, "declined"), nine()),
            (json!({"attendees": []}), nine()),
        ];
        for (change, expected) in cases {
            let read = reader().read(&event(change.clone()));
            assert_eq!(read.change.instances, expected, "{change}");
            assert!(!read.is_unreadable, "{change}");
        }
    }

    #[test]
    fn times_are_instants_and_days_are_the_calendars() {
        let day = |start: &str, end: &str| json!({"start": {"date": start}, "end": {"date": end}});
        let time = |start: &str, end: &str| json!({"start": {"dateTime": start}, "end": {"dateTime": end}});
        let cases = [
            // Tuesday in Berlin, which is an hour ahead of UTC.
            (day("2026-11-24", "2026-11-25"), busy(1_380, 2_820)),
            (day("2026-11-24", "2026-11-24"), busy(1_380, 2_820)),
            (day("2026-11-24", "2026-11-26"), busy(1_380, 4_260)),
            (time("2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z"), vec![]),
            (time("2026-11-22T23:00:00Z", "2026-11-23T00:30:00Z"), busy(-60, 30)),
            (time("2026-11-22T23:00:00Z", "2026-11-23T00:00:00Z"), vec![]),
            (time("2026-11-30T00:00:00Z", "2026-11-30T01:00:00Z"), vec![]),
            (time("2026-11-23T09:00:00.5Z", "2026-11-23T10:00:00+00:00"), vec![]),
        ];
        for (change, mut expected) in cases {
            if change["start"]["dateTime"] == "2026-11-23T09:00:00.5Z" {
                let start = at(540).plus_micros(500_000);
                expected = busy(540, 600);
                expected[0].range.start = start;
            }
            assert_eq!(reader().read(&event(change.clone())).change.instances, expected, "{change}");
        }
    }

    #[test]
    fn what_cannot_be_understood_blocks_the_window() {
        let blocked = busy(0, 10_080);
        let cases = [
            json!({"start": null}),
            json!({"end": null}),
            json!({"start": {"dateTime": "yesterday"}}),
            json!({"start": {"dateTime": 7}}),
            json!({"start": {}}),
            json!({"end": {"dateTime": "2026-11-23T08:00:00Z"}}),
            json!({"start": {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": 7}}),
            json!({"start": {"dateTime": "+262142-12-31T23:59:59-12:00"}}),
            json!({"end": {"date": "2026-11-31"}}),
            json!({"id": 7}),
            json!({"id": ""}),
            json!({"id": "a\u{0}b"}),
            json!({"id": "a".repeat(1_025)}),
        ];
        for change in cases {
            let read = reader().read(&event(change.clone()));
            assert_eq!(read.change.instances, blocked, "{change}");
            assert!(read.is_unreadable, "{change}");
        }
        assert_eq!(reader().read(&json!({})).change.provider_event_id, NAMELESS);
        let gone = reader().read(&json!({"id": "abcde", "status": "cancelled", "start": 7}));
        assert_eq!(gone.change.instances, vec![], "what is gone need not be understood");
    }

    #[test]
    fn what_is_understood_in_part_blocks_its_time() {
        let nine = busy(540, 600);
        for change in [
            json!({"attendees": "nobody"}),
            json!({"attendees": [{"self": "yes", "responseStatus": "declined"}]}),
            json!({"transparency": 7}),
            json!({"eventType": ["birthday"]}),
            json!({"status": 7}),
            json!({"recurringEventId": 7}),
        ] {
            let read = reader().read(&event(change.clone()));
            assert_eq!((read.change.instances, read.is_unreadable), (nine.clone(), true), "{change}");
        }
        for recurrence in [json!(["RRULE:FREQ=DAILY"]), json!([]), json!("RRULE:FREQ=DAILY")] {
            let read = reader().read(&event(json!({"recurrence": recurrence})));
            assert_eq!((read.change.instances, read.is_unreadable), (busy(540, 10_080), true), "{recurrence}");
            assert!(read.is_series, "{recurrence}");
        }
    }

    #[test]
    fn absurd_times_are_brought_within_bounds() {
        let ages = json!({"start": {"dateTime": "0001-01-01T00:00:00Z"}, "end": {"dateTime": "9999-12-31T23:59:59Z"}});
        let read = reader().read(&event(ages));
        let all = TimeRange::new(Timestamp::EARLIEST, Timestamp::LATEST).expect("a range");
        assert_eq!(read.change.instances, vec![ExternalInstance { range: all, booking_id: None, blocks: true }]);
    }

    #[test]
    fn events_of_ours_are_told_by_their_names() {
        let ours = of_booking(booking());
        let shown =
            |from, to, blocks| vec![ExternalInstance { range: range(from, to), booking_id: Some(booking()), blocks }];
        let series = format!("{ours}_20261123T090000Z");
        let cases = [
            (json!({"id": ours}), shown(540, 600, true)),
            (json!({"id": ours, "transparency": "transparent"}), shown(540, 600, false)),
            (json!({"id": series, "recurringEventId": ours}), shown(540, 600, true)),
            (json!({"id": "abcde", "recurringEventId": "abcde"}), busy(540, 600)),
        ];
        for (change, expected) in cases {
            assert_eq!(reader().read(&event(change.clone())).change.instances, expected, "{change}");
        }
        let nothing = json!({"id": ours, "end": {"dateTime": "2026-11-23T09:00:00Z"}});
        let read = reader().read(&event(nothing));
        assert_eq!(read.change.instances[0].range.len_micros(), SHOWN_MICROS);
    }
}
