//! The scenarios. Each comes to a word for the page, or panics where the port is not kept.

use agentcal_engine::busy::BusySet;
use agentcal_engine::ids::BookingId;
use agentcal_engine::model::{ConferenceKind, ProviderKind};
use agentcal_engine::ports::{
    CalendarRef, ConferenceSeen, EventDelete, EventWrite, ProviderError, SyncMode, SyncRequest, WriteOutcome,
    WrittenEvent,
};
use agentcal_engine::time::{TimeRange, Timestamp};
use chrono::NaiveDate;
use chrono_tz::Tz;
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::mirror::{Mirror, window};
use crate::{Event, Ground, Kind, NOON, NotHere, hours};

/// What a scenario came to.
type CameTo = Result<&'static str, NotHere>;
type Scenario = for<'g> fn(&'g dyn Ground) -> BoxFuture<'g, CameTo>;

const YES: CameTo = Ok("yes");

/// Every scenario, by its title in the page.
pub(crate) const ALL: &[(&str, Scenario)] = &[
    ("finds its calendars", |ground| discovers(ground).boxed()),
    ("reads everything", |ground| reads_everything(ground).boxed()),
    ("reads what changed, and nothing else", |ground| reads_changes(ground).boxed()),
    ("follows pages to the end", |ground| follows_pages(ground).boxed()),
    ("sees what was removed", |ground| sees_removals(ground).boxed()),
    ("sees what was moved", |ground| sees_moves(ground).boxed()),
    ("expands a series with a moved and a dropped time", |ground| expands_series(ground).boxed()),
    ("blocks all-day events in the calendar's zone", |ground| blocks_whole_days(ground).boxed()),
    ("leaves free events free", |ground| leaves_free(ground, Kind::Free).boxed()),
    ("leaves declined events free", |ground| leaves_free(ground, Kind::Declined).boxed()),
    ("blocks tentative events", |ground| blocks_tentative(ground).boxed()),
    ("says what is in one range, without a sync", |ground| spot_checks(ground).boxed()),
    ("writes a booking", |ground| writes(ground).boxed()),
    ("writes it once, however often asked", |ground| writes_once(ground).boxed()),
    ("moves a booking", |ground| moves(ground).boxed()),
    ("takes a booking out", |ground| takes_out(ground).boxed()),
    ("adds a conference on request, and keeps it", |ground| adds_a_conference(ground).boxed()),
    ("a person deletes a booking's event", |ground| deleted_by_a_person(ground).boxed()),
    ("a person deletes it, and the first write is repeated", |ground| repeated_after_a_person(ground).boxed()),
    ("says that a cursor is gone", |ground| loses_its_cursor(ground).boxed()),
    ("says that credentials are refused", |ground| is_refused(ground).boxed()),
    ("says that it was asked too often", |ground| is_throttled(ground).boxed()),
];

fn busy(range: TimeRange) -> Event {
    Event::Single { range, kind: Kind::Busy }
}

/// Days on which no provider has anything of its own: a weekend.
fn free_days() -> TimeRange {
    hours(4 * 24 + 12, 6 * 24 + 11)
}

/// Hours after Saturday's midnight in UTC.
fn saturday(from: i64, to: i64) -> TimeRange {
    hours(4 * 24 + 12 + from, 4 * 24 + 12 + to)
}

fn booking(number: u128) -> BookingId {
    BookingId::from_uuid(Uuid::from_u128(number))
}

fn write(number: u128, range: TimeRange) -> EventWrite {
    EventWrite {
        booking_id: booking(number),
        sequence: 0,
        range,
        timezone: Tz::Europe__Berlin,
        summary: "Call: Ada".to_owned(),
        description: None,
        location: None,
        conference: None,
        created_at: NOON,
        known: None,
    }
}

async fn written(ground: &dyn Ground, write: &EventWrite) -> WrittenEvent {
    match ground.provider().write_event(&ground.calendar(), write).await.expect("it is written") {
        WriteOutcome::Written(event) => event,
        WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
    }
}

async fn followed(mirror: &mut Mirror, ground: &dyn Ground) -> Vec<String> {
    mirror.follow(ground).await.expect("an incremental sync")
}

async fn discovers(ground: &dyn Ground) -> CameTo {
    let calendar = ground.calendar();
    let found = ground.provider().discover(&calendar.credentials).await.expect("a discovery");
    let own = found.calendars.iter().find(|remote| remote.provider_calendar_id == calendar.provider_calendar_id);
    assert!(own.expect("the calendar is among them").writable);
    YES
}

async fn reads_everything(ground: &dyn Ground) -> CameTo {
    ground.put("first", &busy(saturday(9, 10))).await?;
    ground.put("second", &busy(saturday(10, 12))).await?;
    ground.put("far", &busy(hours(24 * 400, 24 * 400 + 1))).await?;
    let mirror = Mirror::of(ground).await;
    assert_eq!(mirror.busy(free_days()), [saturday(9, 12)]);
    assert_eq!(mirror.busy(hours(24 * 399, 24 * 401)), [], "what lies outside the window is none of ours");
    YES
}

async fn reads_changes(ground: &dyn Ground) -> CameTo {
    ground.put("first", &busy(saturday(9, 10))).await?;
    let mut mirror = Mirror::of(ground).await;
    assert_eq!(followed(&mut mirror, ground).await, [""; 0], "nothing changed");
    ground.put("second", &busy(saturday(11, 12))).await?;
    assert_eq!(followed(&mut mirror, ground).await.len(), 1);
    assert_eq!(mirror.busy(free_days()), [saturday(9, 10), saturday(11, 12)], "what was known stays");
    assert_eq!(followed(&mut mirror, ground).await, [""; 0]);
    YES
}

async fn follows_pages(ground: &dyn Ground) -> CameTo {
    let a_page = ground.page_len().await?;
    let count = a_page + 2;
    for number in 0..count {
        let minutes = i64::try_from(number).expect("few") * 2;
        let start = saturday(0, 1).start.plus_micros(minutes * 60_000_000);
        let range = TimeRange { start, end: start.plus_micros(60_000_000) };
        ground.put(&format!("event-{number}"), &busy(range)).await?;
    }
    let mirror = Mirror::of(ground).await;
    assert!(mirror.pages > 1, "{} page", mirror.pages);
    assert_eq!(mirror.busy(free_days()).len(), count, "lesson: page two was not read, and so free");
    YES
}

async fn sees_removals(ground: &dyn Ground) -> CameTo {
    ground.put("gone", &busy(saturday(9, 10))).await?;
    ground.put("stays", &busy(saturday(11, 12))).await?;
    let mut mirror = Mirror::of(ground).await;
    ground.delete("gone").await?;
    assert_eq!(followed(&mut mirror, ground).await.len(), 1);
    assert_eq!(mirror.busy(free_days()), [saturday(11, 12)]);
    assert_eq!(Mirror::of(ground).await.busy(free_days()), [saturday(11, 12)]);
    YES
}

async fn sees_moves(ground: &dyn Ground) -> CameTo {
    ground.put("meeting", &busy(saturday(9, 10))).await?;
    let mut mirror = Mirror::of(ground).await;
    ground.put("meeting", &busy(saturday(14, 16))).await?;
    followed(&mut mirror, ground).await;
    assert_eq!(mirror.busy(free_days()), [saturday(14, 16)]);
    YES
}

async fn expands_series(ground: &dyn Ground) -> CameTo {
    let series = Event::Daily { first: saturday(-24 + 20, -24 + 21), count: 4, second: saturday(6, 7) };
    let mut mirror = Mirror::of(ground).await;
    ground.put("series", &series).await?;
    followed(&mut mirror, ground).await;
    // Friday's stands before; Saturday's was moved to the morning, Sunday's dropped, Monday's comes after.
    let around = TimeRange { start: saturday(-5, 0).start, end: saturday(0, 80).end };
    let expected = [saturday(-4, -3), saturday(6, 7), saturday(68, 69)];
    let of_series = |mirror: &Mirror| -> Vec<TimeRange> {
        mirror.busy(around).into_iter().filter(|range| expected.contains(range)).collect()
    };
    for mirror in [mirror, Mirror::of(ground).await] {
        assert_eq!(of_series(&mirror), expected);
        assert_eq!(mirror.busy(free_days()), [saturday(6, 7)]);
    }
    YES
}

async fn blocks_whole_days(ground: &dyn Ground) -> CameTo {
    let date = NaiveDate::from_ymd_opt(2026, 11, 28).expect("a Saturday");
    ground.put("holiday", &Event::AllDay { date }).await?;
    let midnight = |day: NaiveDate| -> Timestamp {
        let naive = day.and_hms_opt(0, 0, 0).expect("midnight");
        let local = naive.and_local_timezone(ground.calendar().timezone).single().expect("one midnight");
        Timestamp::from(local.to_utc())
    };
    let day = TimeRange { start: midnight(date), end: midnight(date.succ_opt().expect("a Sunday")) };
    let around = TimeRange { start: day.start.plus_micros(-3_600_000_000), end: day.end.plus_micros(3_600_000_000) };
    assert_eq!(Mirror::of(ground).await.busy(around), [day]);
    YES
}

async fn leaves_free(ground: &dyn Ground, kind: Kind) -> CameTo {
    ground.put("maybe", &busy(saturday(9, 10))).await?;
    let mut mirror = Mirror::of(ground).await;
    ground.put("maybe", &Event::Single { range: saturday(9, 10), kind }).await?;
    followed(&mut mirror, ground).await;
    assert_eq!(mirror.busy(free_days()), []);
    assert_eq!(Mirror::of(ground).await.busy(free_days()), []);
    YES
}

async fn blocks_tentative(ground: &dyn Ground) -> CameTo {
    ground.put("maybe", &Event::Single { range: saturday(9, 10), kind: Kind::Tentative }).await?;
    assert_eq!(Mirror::of(ground).await.busy(free_days()), [saturday(9, 10)]);
    YES
}

/// What a range holds: cut to it, and ours by name.
async fn spot_check(ground: &dyn Ground, range: TimeRange) -> (Vec<TimeRange>, Vec<BookingId>) {
    let answer = ground.provider().spot_check(&ground.calendar(), range).await.expect("an answer");
    let found = answer.expect("all of it");
    let blocking = found.iter().filter(|instance| instance.blocks);
    let busy = BusySet::from_ranges(blocking.filter_map(|instance| instance.range.intersection(&range)));
    (busy.into_ranges(), found.iter().filter_map(|instance| instance.booking_id).collect())
}

async fn spot_checks(ground: &dyn Ground) -> CameTo {
    let cannot = NotHere("it has no such question");
    if !ground.provider().can_spot_check() {
        let answer = ground.provider().spot_check(&ground.calendar(), saturday(9, 10)).await;
        assert_eq!(answer, Ok(None), "it says that it cannot say");
        return Err(cannot);
    }
    assert_eq!(spot_check(ground, saturday(9, 18)).await, (vec![], vec![]));
    ground.put("first", &busy(saturday(9, 10))).await?;
    ground.put("long", &busy(saturday(11, 15))).await?;
    ground.put("elsewhere", &busy(saturday(30, 31))).await?;
    written(ground, &write(9, saturday(16, 17))).await;
    let mirror = Mirror::of(ground).await;
    for range in [saturday(9, 18), saturday(12, 13), saturday(10, 11), saturday(14, 16), saturday(17, 18)] {
        let (busy, ours) = spot_check(ground, range).await;
        assert_eq!(busy, mirror.busy(range), "a sync would say so");
        let expected: Vec<BookingId> = if range.overlaps(&saturday(16, 17)) { vec![booking(9)] } else { Vec::new() };
        assert_eq!(ours, expected);
    }
    ground.delete("first").await?;
    assert_eq!(spot_check(ground, saturday(9, 11)).await, (vec![], vec![]), "it is asked of now");
    ground.put("late", &busy(saturday(17, 18))).await?;
    assert_eq!(spot_check(ground, saturday(17, 19)).await.0, [saturday(17, 18)]);
    YES
}

async fn writes(ground: &dyn Ground) -> CameTo {
    let mut mirror = Mirror::of(ground).await;
    let write = write(1, saturday(9, 10));
    let event = written(ground, &write).await;
    assert!(!event.provider_event_id.is_empty());
    assert_eq!(followed(&mut mirror, ground).await.len(), 1);
    for mirror in [mirror, Mirror::of(ground).await] {
        assert_eq!(mirror.of_booking(write.booking_id), [write.range]);
        assert_eq!(mirror.busy(free_days()), [write.range]);
    }
    YES
}

async fn writes_once(ground: &dyn Ground) -> CameTo {
    let write = write(2, saturday(9, 10));
    let first = written(ground, &write).await;
    let again = written(ground, &write).await;
    let knowing = written(ground, &EventWrite { known: Some(first.clone()), ..write.clone() }).await;
    for other in [again, knowing] {
        assert_eq!(other.provider_event_id, first.provider_event_id);
    }
    assert_eq!(Mirror::of(ground).await.of_booking(write.booking_id), [write.range]);
    YES
}

async fn moves(ground: &dyn Ground) -> CameTo {
    let before = write(3, saturday(9, 10));
    let known = Some(written(ground, &before).await);
    let mut mirror = Mirror::of(ground).await;
    let after = EventWrite { sequence: 1, range: saturday(15, 16), known, ..before.clone() };
    written(ground, &after).await;
    followed(&mut mirror, ground).await;
    assert_eq!(mirror.of_booking(before.booking_id), [after.range]);
    assert_eq!(mirror.busy(free_days()), [after.range]);
    YES
}

async fn takes_out(ground: &dyn Ground) -> CameTo {
    let write = write(4, saturday(9, 10));
    let known = Some(written(ground, &write).await);
    let mut mirror = Mirror::of(ground).await;
    let delete = EventDelete { booking_id: write.booking_id, known };
    for _ in 0..2 {
        ground.provider().delete_event(&ground.calendar(), &delete).await.expect("it is taken out, or is not there");
    }
    followed(&mut mirror, ground).await;
    assert_eq!((mirror.of_booking(write.booking_id), mirror.busy(free_days())), (Vec::new(), Vec::new()));
    let never = EventDelete { booking_id: booking(5), known: None };
    ground.provider().delete_event(&ground.calendar(), &never).await.expect("what was never written is taken out");
    YES
}

/// Asked for with the first write, there when the booking is moved or written again, and absent where nobody asked.
async fn adds_a_conference(ground: &dyn Ground) -> CameTo {
    let (provider, calendar) = (ground.provider(), ground.calendar());
    let kind = match provider.kind() {
        ProviderKind::Microsoft => ConferenceKind::MicrosoftTeams,
        _ => ConferenceKind::GoogleMeet,
    };
    let before = EventWrite { conference: Some(kind), ..write(10, saturday(9, 10)) };
    let known = written(ground, &before).await;
    let seen = provider.conference(&calendar, &known).await.expect("an answer");
    if !kind.is_made_at(provider.kind()) {
        assert!(matches!(seen, ConferenceSeen::Failed(_)), "{seen:?}");
        return Err(NotHere("it makes none"));
    }
    assert!(matches!(seen, ConferenceSeen::Ready { .. }), "{seen:?}");
    let again = written(ground, &before).await;
    assert_eq!(provider.conference(&calendar, &again).await, Ok(seen.clone()), "it is asked for once");
    let moved = EventWrite { sequence: 1, range: saturday(15, 16), known: Some(known), ..before };
    let known = written(ground, &moved).await;
    assert_eq!(provider.conference(&calendar, &known).await, Ok(seen), "the booking moves, and its link stays");
    YES
}

/// The event is gone for every reader. A later change of the booking writes it again, where the provider lets us.
async fn deleted_by_a_person(ground: &dyn Ground) -> CameTo {
    let before = write(6, saturday(9, 10));
    let known = written(ground, &before).await;
    let mut mirror = Mirror::of(ground).await;
    ground.delete_ours(before.booking_id, &known).await?;
    followed(&mut mirror, ground).await;
    assert_eq!(mirror.of_booking(before.booking_id), []);
    let after = EventWrite { sequence: 1, range: saturday(15, 16), known: Some(known), ..before.clone() };
    let outcome = ground.provider().write_event(&ground.calendar(), &after).await.expect("an outcome");
    let (expected, word) = match outcome {
        WriteOutcome::Written(_) => (vec![after.range], "written again when the booking changes"),
        WriteOutcome::DeletedByHuman => (Vec::new(), "stays deleted"),
    };
    assert_eq!(Mirror::of(ground).await.of_booking(before.booking_id), expected);
    Ok(word)
}

/// A write whose answer nobody heard is repeated, and somebody deleted the event meanwhile. It is not there unless it says so.
async fn repeated_after_a_person(ground: &dyn Ground) -> CameTo {
    let write = write(8, saturday(9, 10));
    let unheard = written(ground, &write).await;
    ground.delete_ours(write.booking_id, &unheard).await?;
    let outcome = ground.provider().write_event(&ground.calendar(), &write).await.expect("an outcome");
    let (expected, word) = match outcome {
        WriteOutcome::Written(_) => (vec![write.range], "written again"),
        WriteOutcome::DeletedByHuman => (Vec::new(), "told, and left deleted"),
    };
    assert_eq!(Mirror::of(ground).await.of_booking(write.booking_id), expected);
    Ok(word)
}

async fn loses_its_cursor(ground: &dyn Ground) -> CameTo {
    let mut mirror = Mirror::of(ground).await;
    mirror.cursor = ground.forget(&mirror.cursor).await?;
    assert_eq!(mirror.follow(ground).await, Err(ProviderError::CursorGone));
    YES
}

async fn read(ground: &dyn Ground, calendar: &CalendarRef) -> Result<(), ProviderError> {
    let request = SyncRequest { mode: SyncMode::Full, window: window(), page: None };
    ground.provider().sync(calendar, &request).await.map(drop)
}

async fn is_refused(ground: &dyn Ground) -> CameTo {
    let stranger = ground.stranger()?;
    let refused = read(ground, &stranger).await;
    assert!(matches!(refused, Err(ProviderError::Unauthorized(_))), "{refused:?}");
    let refused = ground.provider().write_event(&stranger, &write(7, saturday(9, 10))).await;
    assert!(matches!(refused, Err(ProviderError::Unauthorized(_))), "{refused:?}");
    YES
}

async fn is_throttled(ground: &dyn Ground) -> CameTo {
    ground.throttle().await?;
    let refused = read(ground, &ground.calendar()).await;
    assert!(matches!(refused, Err(ProviderError::RateLimited { .. })), "{refused:?}");
    YES
}
