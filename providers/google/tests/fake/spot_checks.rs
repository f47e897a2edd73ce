//! Looking at one range, apart from any sync.

use agentcal_engine::busy::BusySet;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{Provider, ProviderError};
use agentcal_engine::time::TimeRange;
use agentcal_fake_google::CLIENT_ID;
use agentcal_fake_kit::{Fault, Rule, When};
use chrono_tz::Tz;
use serde_json::json;

use crate::support::{SARAH, Stage, calendar_ref, event, id_of, range, series, write};

type Answer = Result<Option<Vec<ExternalInstance>>, ProviderError>;

async fn look(stage: &Stage, range: TimeRange) -> Answer {
    stage.provider.spot_check(&stage.calendar, range).await
}

fn busy(answer: Answer, range: TimeRange) -> Vec<TimeRange> {
    let found = answer.unwrap().expect("all of it");
    let blocking = found.iter().filter(|instance| instance.blocks);
    BusySet::from_ranges(blocking.filter_map(|instance| instance.range.intersection(&range))).into_ranges()
}

#[tokio::test]
async fn it_takes_one_request_and_no_scope_that_is_not_granted() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, event(60, 30));
    let granted = [
        "https://www.googleapis.com/auth/calendar.events",
        "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
        "openid",
    ];
    let calendar = stage.with_token(&stage.google.token_with(SARAH, CLIENT_ID, &granted));
    stage.google.calls().reset();
    let answer = stage.provider.spot_check(&calendar, range(45, 60)).await;
    assert_eq!(busy(answer, range(45, 60)), [range(60, 30)]);
    assert_eq!(stage.google.calls().total(), 1);
}

#[tokio::test]
async fn what_blocks_is_what_a_sync_says_blocks() {
    let stage = Stage::new().await;
    let odd = |minutes: i64, fields: serde_json::Value| {
        let mut event = event(minutes, 30);
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        stage.google.insert(SARAH, event);
    };
    odd(0, json!({"transparency": "transparent"}));
    odd(60, json!({"status": "tentative"}));
    odd(120, json!({"attendees": [{"email": SARAH, "responseStatus": "declined"}]}));
    stage.google.insert(SARAH, series(180, 30, "RRULE:FREQ=DAILY;COUNT=3"));
    let gone = stage.google.insert(SARAH, event(360, 30));
    stage.google.delete(SARAH, id_of(&gone));
    let day = range(0, 600);
    let (facts, _) = stage.full().await;
    let synced: Vec<TimeRange> =
        crate::support::busy(&facts).iter().filter_map(|range| range.intersection(&day)).collect();
    assert_eq!(busy(look(&stage, day).await, day), synced);
    let second = range(180 + 24 * 60, 30);
    assert_eq!(busy(look(&stage, second).await, second), [second], "a time of a series");
}

#[tokio::test]
async fn whole_days_are_the_calendars_to_their_edges() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, json!({"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-25"}}));
    // Noon of the 22nd in UTC; the 24th begins 35 hours later in Berlin, and 44 hours later in Los Angeles.
    for (zone, begins) in [(Tz::Europe__Berlin, 35 * 60), (Tz::America__Los_Angeles, 44 * 60)] {
        let mut calendar = calendar_ref(&stage.google, SARAH, SARAH);
        calendar.timezone = zone;
        let ends = begins + 24 * 60;
        for (asked, expected) in [
            (range(begins - 30, 30), vec![]),
            (range(begins - 30, 60), vec![range(begins, 30)]),
            (range(ends - 30, 60), vec![range(ends - 30, 30)]),
            (range(ends, 30), vec![]),
        ] {
            let answer = stage.provider.spot_check(&calendar, asked).await;
            assert_eq!(busy(answer, asked), expected, "{zone} {asked:?}");
        }
    }
}

#[tokio::test]
async fn an_event_of_ours_comes_by_its_name() {
    let stage = Stage::new().await;
    let write = write(7, range(60, 30));
    stage.provider.write_event(&stage.calendar, &write).await.unwrap();
    let found = look(&stage, range(75, 60)).await.unwrap().unwrap();
    let ours = ExternalInstance { range: write.range, booking_id: Some(write.booking_id), blocks: true };
    assert_eq!(found, [ours], "and whole, though the range holds half of it");
}

#[tokio::test]
async fn what_is_not_whole_or_not_understood_is_no_answer() {
    let stage = Stage::new().await;
    for nth in 0..3 {
        stage.google.insert(SARAH, event(60 * nth, 30));
    }
    let asked = range(500, 30);
    assert_eq!(look(&stage, asked).await, Ok(Some(vec![])));
    stage.google.set_page_len_max(2);
    assert_eq!(look(&stage, asked).await, Ok(None), "there is another page");
    stage.google.set_page_len_max(250);
    for body in [json!({}), json!({"items": []})] {
        stage.google.faults().add(Rule::new("GET", "/events", When::Always, Fault::json(200, &body)));
        assert_eq!(look(&stage, asked).await, Ok(None), "{body}");
        stage.google.faults().clear();
    }
    let unread = Fault::Replace("2026-11-22T13:00:00".into(), "soon".into());
    stage.google.faults().add(Rule::new("GET", "/events", When::Always, unread));
    assert_eq!(look(&stage, asked).await, Ok(None), "an event that may be then");
    stage.google.faults().clear();
    stage.google.insert(
        SARAH,
        json!({
            "transparency": "x".repeat(5_000_000), "start": event(500, 30)["start"], "end": event(500, 30)["end"],
        }),
    );
    assert_eq!(look(&stage, asked).await, Ok(None), "it is longer than is read");
}

#[tokio::test]
async fn a_refusal_is_told_as_in_a_sync() {
    let stage = Stage::new().await;
    let refused = stage.provider.spot_check(&stage.with_token("dead"), range(0, 30)).await;
    assert!(matches!(refused, Err(ProviderError::Unauthorized(_))), "{refused:?}");
    stage.google.remove_calendar(SARAH);
    assert_eq!(look(&stage, range(0, 30)).await, Err(ProviderError::CalendarGone));
}
