//! The sandbox as a provider: what it shows, how it changes, how it fails.

#[path = "sandbox/conformance.rs"]
mod conformance;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ConnectionId};
use agentcal_engine::ports::{
    CalendarRef, Clock, Credentials, EventDelete, EventWrite, Provider, ProviderError, SandboxEvent, SandboxState,
    StoreError, SyncCursor, SyncMode, SyncNext, SyncRequest, WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::{DAY_US, MINUTE_US, TimeRange, Timestamp};
use agentcal_provider_sandbox::{
    Fault, FaultScope, HOLIDAYS, SandboxProvider, SandboxSettings, WORK, WORK_LATE, event_id_of, seeded_events,
};
use async_trait::async_trait;
use chrono::{Datelike, NaiveDate, Timelike, Weekday};
use chrono_tz::Tz;
use uuid::Uuid;

#[derive(Default)]
struct MemoryState {
    rows: Mutex<BTreeMap<(CalendarId, String), SandboxEvent>>,
}

#[async_trait]
impl SandboxState for MemoryState {
    async fn sandbox_changes(
        &self,
        _account_id: AccountId,
        calendar_id: CalendarId,
        after: u64,
    ) -> Result<Vec<SandboxEvent>, StoreError> {
        let rows = self.rows.lock().expect("no test panics under this lock");
        let mut changes: Vec<_> =
            rows.iter().filter(|((id, _), event)| *id == calendar_id && event.change > after).collect();
        changes.sort_by_key(|(_, event)| event.change);
        Ok(changes.into_iter().map(|(_, event)| event.clone()).collect())
    }

    async fn put_sandbox_event(
        &self,
        _account_id: AccountId,
        calendar_id: CalendarId,
        event: &SandboxEvent,
        expected_change: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let mut rows = self.rows.lock().expect("no test panics under this lock");
        let present = rows.get(&(calendar_id, event.event_id.clone())).filter(|event| event.range.is_some());
        let present = present.map_or(0, |event| event.change);
        if expected_change.is_some_and(|expected| expected != present) {
            return Ok(None);
        }
        let change = 1 + rows.values().map(|event| event.change).max().unwrap_or(0);
        rows.insert((calendar_id, event.event_id.clone()), SandboxEvent { change, ..event.clone() });
        Ok(Some(change))
    }
}

struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("no test panics under this lock")
    }
}

struct Bed {
    provider: SandboxProvider,
    clock: Arc<TestClock>,
    calendar: CalendarRef,
}

fn bed(provider_calendar_id: &str, timezone: Tz, changes_every: Option<Duration>) -> Bed {
    let clock = Arc::new(TestClock(Mutex::new(at(2026, 11, 23, 8, 0))));
    let settings = SandboxSettings { changes_every, ..SandboxSettings::default() };
    let provider = SandboxProvider::new(Arc::<MemoryState>::default(), Arc::clone(&clock) as Arc<dyn Clock>, settings);
    let calendar = CalendarRef {
        account_id: AccountId::from_uuid(Uuid::from_u128(1)),
        connection_id: ConnectionId::from_uuid(Uuid::from_u128(2)),
        calendar_id: CalendarId::from_uuid(Uuid::from_u128(3)),
        provider_calendar_id: provider_calendar_id.to_owned(),
        timezone,
        owner_addresses: Vec::new(),
        credentials: Arc::new(Credentials::Sandbox { seed: 7 }),
    };
    Bed { provider, clock, calendar }
}

fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> Timestamp {
    let date = NaiveDate::from_ymd_opt(year, month, day).expect("a literal date");
    Timestamp::from(date.and_hms_opt(hour, minute, 0).expect("a literal time").and_utc())
}

fn window(days: i64) -> TimeRange {
    let start = at(2026, 11, 20, 0, 0);
    TimeRange { start, end: start.plus_micros(days * DAY_US) }
}

type Instances = BTreeMap<String, Vec<ExternalInstance>>;

impl Bed {
    async fn sync(&self, mode: SyncMode, window: TimeRange, into: &mut Instances) -> Result<SyncCursor, ProviderError> {
        let mut page = None;
        loop {
            let request = SyncRequest { mode: mode.clone(), window, page: page.take() };
            let answer = self.provider.sync(&self.calendar, &request).await?;
            for change in answer.changes {
                into.insert(change.provider_event_id, change.instances);
            }
            match answer.next {
                SyncNext::Page(next) => page = Some(next),
                SyncNext::Done { cursor } => {
                    into.retain(|_, instances| !instances.is_empty());
                    return Ok(cursor);
                }
            }
        }
    }

    async fn full(&self, window: TimeRange) -> (Instances, SyncCursor) {
        let mut found = Instances::new();
        let cursor = self.sync(SyncMode::Full, window, &mut found).await.expect("a full sync");
        (found, cursor)
    }

    async fn edit(&self, event_id: &str, range: Option<TimeRange>) {
        let CalendarRef { account_id, calendar_id, .. } = self.calendar;
        self.provider.edit(account_id, calendar_id, event_id, range).await.expect("an edit");
    }

    fn write(&self, start: Timestamp, known: Option<WrittenEvent>) -> EventWrite {
        EventWrite {
            booking_id: booking(),
            sequence: 0,
            range: TimeRange { start, end: start.plus_micros(30 * MINUTE_US) },
            timezone: self.calendar.timezone,
            summary: "Intro".to_owned(),
            description: None,
            location: None,
            conference: None,
            created_at: start,
            known,
        }
    }

    async fn written(&self, start: Timestamp, known: Option<WrittenEvent>) -> WrittenEvent {
        match self.provider.write_event(&self.calendar, &self.write(start, known)).await {
            Ok(WriteOutcome::Written(written)) => written,
            other => panic!("the sandbox writes: {other:?}"),
        }
    }
}

fn booking() -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(99))
}

#[test]
fn the_same_question_has_the_same_answer() {
    let check = |seed: u64, other_seed: u64, calendar: &str, other_calendar: &str, same: bool| {
        let ask = |seed, calendar| seeded_events(seed, calendar, Tz::Europe__Berlin, window(120));
        let events = ask(seed, calendar);
        assert!(!events.is_empty());
        assert_eq!(events == ask(other_seed, other_calendar), same, "{seed} {calendar} {other_seed} {other_calendar}");
    };
    check(1, 1, WORK, WORK, true);
    check(1, 2, WORK, WORK, false);
    check(1, 1, WORK, WORK_LATE, false);
    check(1, 2, HOLIDAYS, HOLIDAYS, true);
    assert_eq!(seeded_events(1, "no such calendar", Tz::UTC, window(30)), Vec::new());
}

/// A window shows what a larger window shows of it: nothing depends on where a question begins.
#[test]
fn a_part_of_the_window_shows_that_part() {
    let all = seeded_events(5, WORK, Tz::America__New_York, window(200));
    for (from, until) in [(0, 1), (3, 9), (100, 101), (57, 200)] {
        let start = window(0).start;
        let part = TimeRange { start: start.plus_micros(from * DAY_US), end: start.plus_micros(until * DAY_US) };
        let expected: Vec<_> = all.iter().filter(|event| event.range.overlaps(&part)).cloned().collect();
        assert_eq!(seeded_events(5, WORK, Tz::America__New_York, part), expected, "days {from} to {until}");
    }
}

#[test]
fn names_are_unique_and_ascend() {
    for (calendar, timezone) in [(WORK, Tz::Asia__Kolkata), (WORK_LATE, Tz::UTC), (HOLIDAYS, Tz::Europe__Berlin)] {
        let names: Vec<_> =
            seeded_events(3, calendar, timezone, window(700)).into_iter().map(|event| event.event_id).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{calendar}");
    }
}

#[test]
fn life_happens_by_the_wall_clock() {
    for timezone in [Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata, Tz::America__Santiago] {
        let events = seeded_events(11, WORK, timezone, window(400));
        let stand_ups: Vec<_> = events.iter().filter(|event| event.event_id.ends_with("stand-up")).collect();
        assert!(stand_ups.len() > 250, "{timezone}: {}", stand_ups.len());
        let civil = |at: Timestamp| at.to_utc().with_timezone(&timezone);
        let minute = civil(stand_ups[0].range.start).time();
        for stand_up in stand_ups {
            let start = civil(stand_up.range.start);
            assert_eq!(start.time(), minute, "{timezone} {start}: the same time on both sides of a clock change");
            assert!(!matches!(start.weekday(), Weekday::Sat | Weekday::Sun), "{start}");
        }
        for event in &events {
            let (start, end) = (civil(event.range.start), civil(event.range.end));
            let all_day = event.event_id.ends_with("day-off");
            assert!(all_day || (start.hour() >= 9 && end.hour() < 20), "{timezone} {start} to {end}");
        }
    }
}

#[test]
fn all_day_events_fill_the_civil_day() {
    let check = |timezone: Tz, date: (i32, u32, u32)| {
        let day = NaiveDate::from_ymd_opt(date.0, date.1, date.2).expect("a literal date");
        let around = at(date.0, date.1, date.2, 12, 0);
        let around = TimeRange { start: around.plus_micros(-2 * DAY_US), end: around.plus_micros(2 * DAY_US) };
        let name = format!("{}-holiday", day.format("%Y%m%d"));
        let events = seeded_events(1, HOLIDAYS, timezone, around);
        let range = events.iter().find(|event| event.event_id == name).expect("a holiday").range;
        let date_of = |instant: Timestamp| instant.to_utc().with_timezone(&timezone).date_naive();
        assert_eq!(date_of(range.start), day);
        assert_ne!(date_of(range.start.plus_micros(-1)), day);
        assert_eq!(date_of(range.end.plus_micros(-1)), day);
        assert_ne!(date_of(range.end), day);
    };
    check(Tz::Europe__Berlin, (2026, 12, 25));
    check(Tz::Asia__Kathmandu, (2027, 5, 1));
    check(Tz::America__New_York, (2027, 1, 1));
}

#[tokio::test]
async fn discovery_lists_what_can_be_used() {
    let bed = bed(WORK, Tz::UTC, None);
    let found = bed.provider.discover(&Credentials::Sandbox { seed: 1 }).await.expect("discovery");
    let listed: Vec<_> = found.calendars.iter().map(|c| (c.name.as_str(), c.writable, c.timezone)).collect();
    assert_eq!(listed, [("Work", true, None), ("Holidays", false, None)]);
    let foreign = Credentials::CaldavBearer { server_url: String::new(), token: String::new() };
    assert!(matches!(bed.provider.discover(&foreign).await, Err(ProviderError::Unauthorized(_))));
}

#[tokio::test]
async fn paging_leaves_nothing_out() {
    let bed = bed(WORK, Tz::Europe__Berlin, None);
    let window = window(400);
    let (found, cursor) = bed.full(window).await;
    let seeded = seeded_events(7, WORK, Tz::Europe__Berlin, window);
    assert!(seeded.len() > 500, "more than two pages: {}", seeded.len());
    assert_eq!(found.len(), seeded.len());
    assert!(seeded.iter().all(|event| found[&event.event_id][0].range == event.range));
    assert_eq!(cursor, SyncCursor("0".to_owned()));
}

/// Lesson: two pages, two moments. What changes between two pages is in the next incremental sync.
#[tokio::test]
async fn a_change_between_two_pages_is_not_lost() {
    let bed = bed(WORK, Tz::Europe__Berlin, None);
    let window = window(400);
    let request = |page| SyncRequest { mode: SyncMode::Full, window, page };
    let first = bed.provider.sync(&bed.calendar, &request(None)).await.expect("the first page");
    let SyncNext::Page(mut page) = first.next else { panic!("more than one page") };
    let mut found: Instances =
        first.changes.into_iter().map(|change| (change.provider_event_id, change.instances)).collect();
    let last = seeded_events(7, WORK, Tz::Europe__Berlin, window).pop().expect("an event").event_id;
    bed.edit(&last, Some(TimeRange { start: at(2026, 12, 1, 3, 0), end: at(2026, 12, 1, 4, 0) })).await;
    let cursor = loop {
        let answer = bed.provider.sync(&bed.calendar, &request(Some(page))).await.expect("a page");
        found.extend(answer.changes.into_iter().map(|change| (change.provider_event_id, change.instances)));
        match answer.next {
            SyncNext::Page(next) => page = next,
            SyncNext::Done { cursor } => break cursor,
        }
    };
    bed.sync(SyncMode::Incremental { cursor }, window, &mut found).await.expect("an incremental sync");
    assert_eq!(found, bed.full(window).await.0);
}

#[tokio::test]
async fn incremental_equals_full() {
    let window = window(60);
    for changes_every in [None, Some(Duration::from_secs(3_600))] {
        let bed = bed(WORK, Tz::Europe__Berlin, changes_every);
        let (mut found, mut cursor) = bed.full(window).await;
        let seeded: Vec<_> = found.keys().cloned().collect();
        let hour =
            |day: u32, hour| TimeRange { start: at(2026, 12, day, hour, 0), end: at(2026, 12, day, hour + 1, 0) };
        let edits = [
            ("dentist", Some(hour(3, 9))),
            (seeded[4].as_str(), Some(hour(4, 10))),
            (seeded[9].as_str(), None),
            ("dentist", Some(hour(5, 9))),
            ("dentist", None),
            ("far-away", Some(TimeRange { start: at(2030, 1, 1, 0, 0), end: at(2030, 1, 2, 0, 0) })),
        ];
        for (step, (event_id, range)) in edits.into_iter().enumerate() {
            bed.edit(event_id, range).await;
            *bed.clock.0.lock().expect("no panic under this lock") = at(2026, 11, 23, 9 + 2 * step as u32, 0);
            let mode = SyncMode::Incremental { cursor };
            cursor = bed.sync(mode, window, &mut found).await.expect("an incremental sync");
            assert_eq!(found, bed.full(window).await.0, "after {event_id}, changing by itself: {changes_every:?}");
        }
        let before = found.clone();
        let next = bed.sync(SyncMode::Incremental { cursor: cursor.clone() }, window, &mut found).await;
        assert_eq!((next.expect("an incremental sync"), found), (cursor, before), "nothing changed, nothing comes");
    }
}

#[tokio::test]
async fn one_booking_is_one_event() {
    let bed = bed(WORK, Tz::Europe__Berlin, None);
    let event_id = event_id_of(booking());
    let start = at(2026, 12, 1, 9, 0);
    let shown = async || bed.full(window(60)).await.0.remove(&event_id);
    let at_time = |start: Timestamp| {
        let range = TimeRange { start, end: start.plus_micros(30 * MINUTE_US) };
        Some(vec![ExternalInstance { range, booking_id: Some(booking()), blocks: true }])
    };

    let first = bed.written(start, None).await;
    assert_eq!(bed.written(start, None).await, first, "written again without knowing of the first time");
    assert_eq!(bed.written(start, Some(first.clone())).await, first);
    assert_eq!(shown().await, at_time(start));

    let later = start.plus_micros(60 * MINUTE_US);
    let moved = bed.written(later, Some(first)).await;
    assert_eq!(shown().await, at_time(later));

    bed.edit(&event_id, Some(TimeRange { start, end: later })).await;
    let back = bed.written(later, Some(moved)).await;
    assert_eq!(shown().await, at_time(later), "somebody moved it, the booking changed after that");

    bed.edit(&event_id, None).await;
    let known = bed.written(later, Some(back)).await;
    assert_eq!(shown().await, at_time(later), "somebody deleted it, the booking changed after that");

    let delete = EventDelete { booking_id: booking(), known: Some(known) };
    for _ in 0..2 {
        bed.provider.delete_event(&bed.calendar, &delete).await.expect("a delete, safe to repeat");
        assert_eq!(shown().await, None);
    }
}

#[tokio::test]
async fn holidays_cannot_be_written() {
    let bed = bed(HOLIDAYS, Tz::UTC, None);
    let write = bed.write(at(2026, 12, 1, 9, 0), None);
    let refused = bed.provider.write_event(&bed.calendar, &write).await;
    assert_eq!(refused, Err(ProviderError::Refused("the calendar is read-only".to_owned())));
}

/// Lesson: an answer that was lost does not mean that nothing was done; trying again makes no second event.
#[tokio::test]
async fn a_lost_answer_makes_no_second_event() {
    let bed = bed(WORK, Tz::UTC, None);
    let faults = bed.provider.faults();
    faults.fail_next(FaultScope::Calendar(bed.calendar.calendar_id), Fault::LostAnswer, 1);
    let write = bed.write(at(2026, 12, 1, 9, 0), None);
    let lost = bed.provider.write_event(&bed.calendar, &write).await;
    assert!(matches!(lost, Err(ProviderError::Unavailable(_))));
    bed.written(at(2026, 12, 1, 9, 0), None).await;
    let ours = bed.full(window(60)).await.0.into_values().flatten().filter(|i| i.booking_id.is_some()).count();
    assert_eq!(ours, 1);
    assert_eq!(faults.calls(FaultScope::All).writes, 2);
}

#[tokio::test]
async fn a_cursor_nobody_gave_out_is_gone() {
    let bed = bed(WORK, Tz::UTC, None);
    for text in ["", "x", "-1", "1.x", "1.2", "99999999999999999999"] {
        let mode = SyncMode::Incremental { cursor: SyncCursor(text.to_owned()) };
        let answer = bed.sync(mode, window(30), &mut Instances::new()).await;
        assert_eq!(answer, Err(ProviderError::CursorGone), "{text:?}");
    }
    let faults = bed.provider.faults();
    faults.fail(FaultScope::All, Fault::CursorGone);
    let (_, cursor) = bed.full(window(30)).await;
    let mode = SyncMode::Incremental { cursor };
    assert_eq!(bed.sync(mode.clone(), window(30), &mut Instances::new()).await, Err(ProviderError::CursorGone));
    faults.clear(FaultScope::All);
    assert!(bed.sync(mode, window(30), &mut Instances::new()).await.is_ok());
}

#[tokio::test]
async fn a_calendar_that_does_not_exist_is_gone() {
    let bed = bed("no such calendar", Tz::UTC, None);
    let answer = bed.sync(SyncMode::Full, window(30), &mut Instances::new()).await;
    assert_eq!(answer, Err(ProviderError::CalendarGone));
}
