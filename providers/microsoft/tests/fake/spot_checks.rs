//! Looking at one range, apart from any sync.

use agentcal_engine::busy::BusySet;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{Provider, ProviderError};
use agentcal_engine::time::TimeRange;
use agentcal_fake_kit::{Fault, Rule, When};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::support::{World, booking, hour, range, time, write_of};

type Answer = Result<Option<Vec<ExternalInstance>>, ProviderError>;

async fn look(world: &World, range: TimeRange) -> Answer {
    world.provider.spot_check(&world.calendar, range).await
}

fn busy(answer: Answer, range: TimeRange) -> Vec<TimeRange> {
    let found = answer.unwrap().expect("all of it");
    let blocking = found.iter().filter(|instance| instance.blocks);
    BusySet::from_ranges(blocking.filter_map(|instance| instance.range.intersection(&range))).into_ranges()
}

fn day() -> TimeRange {
    range("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")
}

#[tokio::test]
async fn what_blocks_is_what_the_contract_says() {
    for (show_as, blocks) in
        [("busy", true), ("tentative", true), ("oof", true), ("free", false), ("workingElsewhere", false)]
    {
        let world = World::new().await;
        world.put(hour("2026-11-23T09:00:00", "2026-11-23T10:00:00", json!({ "showAs": show_as })));
        let nine = range("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z");
        assert_eq!(busy(look(&world, day()).await, day()).contains(&nine), blocks, "{show_as}");
    }
    let world = World::new().await;
    let id = world.put(hour("2026-11-23T09:00:00", "2026-11-23T10:00:00", json!({})));
    world.act("POST", &format!("/events/{id}/decline"), json!({ "sendResponse": false }));
    assert_eq!(busy(look(&world, day()).await, day()), [], "declined");
}

#[tokio::test]
async fn a_time_of_a_series_is_there_and_one_that_was_dropped_is_not() {
    let world = World::new().await;
    let recurrence = json!({
        "pattern": { "type": "daily", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 3, "startDate": "2026-11-22" },
    });
    let series = hour("2026-11-22T09:00:00", "2026-11-22T10:00:00", json!({ "recurrence": recurrence }));
    let id = world.put(series);
    assert_eq!(busy(look(&world, day()).await, day()), [range("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z")]);
    world.act("DELETE", &format!("/events/{id}_o20261123"), Value::Null);
    assert_eq!(busy(look(&world, day()).await, day()), []);
}

#[tokio::test]
async fn whole_days_are_the_calendars_to_their_edges() {
    let mut world = World::new().await;
    let midnight = |date: &str| time(&format!("{date}T00:00:00"));
    world.put(json!({ "isAllDay": true, "start": midnight("2026-11-24"), "end": midnight("2026-11-25") }));
    let check = async |world: &World, asked: TimeRange, expected: &[TimeRange]| {
        assert_eq!(busy(look(world, asked).await, asked), expected, "{} {asked:?}", world.calendar.timezone);
    };
    world.calendar.timezone = Tz::Europe__Berlin;
    check(&world, range("2026-11-23T22:30:00Z", "2026-11-23T23:00:00Z"), &[]).await;
    let first = range("2026-11-23T23:00:00Z", "2026-11-23T23:30:00Z");
    check(&world, first, &[first]).await;
    world.calendar.timezone = Tz::America__Los_Angeles;
    check(&world, first, &[]).await;
    let last = range("2026-11-25T07:30:00Z", "2026-11-25T08:00:00Z");
    check(&world, last, &[last]).await;
    check(&world, range("2026-11-25T08:00:00Z", "2026-11-25T08:30:00Z"), &[]).await;
}

#[tokio::test]
async fn an_event_of_ours_comes_by_its_name() {
    let world = World::new().await;
    let nine = range("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z");
    world.provider.write_event(&world.calendar, &write_of(booking(7), nine, None)).await.unwrap();
    let half = range("2026-11-23T09:30:00Z", "2026-11-23T11:00:00Z");
    let found = look(&world, half).await.unwrap().unwrap();
    let ours = ExternalInstance { range: nine, booking_id: Some(booking(7)), blocks: true };
    assert_eq!(found, [ours], "and whole, though the range holds half of it");
}

#[tokio::test]
async fn what_is_not_whole_or_not_understood_is_no_answer() {
    let world = World::new().await;
    for start in ["08", "09", "10"] {
        let event = hour(&format!("2026-11-23T{start}:00:00"), &format!("2026-11-23T{start}:30:00"), json!({}));
        world.put(event);
    }
    let asked = range("2026-11-23T15:00:00Z", "2026-11-23T16:00:00Z");
    assert_eq!(look(&world, asked).await, Ok(Some(vec![])));
    let unread = Fault::Replace("2026-11-23T09:00:00".into(), "soon".into());
    world.fake.faults().add(Rule::new("GET", "/calendarView", When::Always, unread));
    assert_eq!(look(&world, asked).await, Ok(None), "an event that may be then");
    world.fake.faults().clear();
    world.fake.faults().add(Rule::new("GET", "/calendarView", When::Always, Fault::json(200, &json!({}))));
    let nothing = look(&world, asked).await;
    assert!(matches!(nothing, Err(ProviderError::Unavailable(_))), "{nothing:?}");
    world.fake.faults().clear();
    for minute in 0..250 {
        let at = |second: u32| format!("2026-11-23T{:02}:{:02}:{second:02}", minute / 60, minute % 60);
        world.put(hour(&at(0), &at(30), json!({})));
    }
    assert_eq!(look(&world, asked).await, Ok(None), "there is another page");
}

#[tokio::test]
async fn a_refusal_is_told_as_in_a_sync() {
    let world = World::new().await;
    let refusal = json!({ "error": { "code": "ApplicationThrottled", "message": "slow down" } });
    world.fake.faults().add(Rule::new("GET", "/calendarView", When::Nth(1), Fault::json(429, &refusal)));
    let refused = look(&world, day()).await;
    assert!(matches!(refused, Err(ProviderError::RateLimited { .. })), "{refused:?}");
    let id = world.calendar.provider_calendar_id.clone();
    let mut world = world;
    world.calendar.provider_calendar_id = format!("{id}gone");
    assert_eq!(look(&world, day()).await, Err(ProviderError::CalendarGone));
}
