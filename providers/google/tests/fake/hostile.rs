//! Answers Google should never give. What cannot be understood blocks, is counted, and stops nobody: the other events of its
//! page are read, and the next good answer mends it.

use agentcal_engine::ports::{Oddities, Provider, ProviderError, SyncCursor, SyncMode, SyncNext, SyncRequest};
use agentcal_engine::time::TimeRange;
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::{Value, json};

use crate::failing::kind;
use crate::support::{Facts, SARAH, Stage, busy, event, id_of, range, series, window};

/// A sync to its end, with what was put up with.
async fn read(stage: &Stage, mode: SyncMode) -> Result<(Facts, Oddities, SyncCursor), ProviderError> {
    let (mut facts, mut page, mut oddities) = (Facts::new(), None, Oddities::default());
    loop {
        let request = SyncRequest { mode: mode.clone(), window: window(), page };
        let answer = stage.provider.sync(&stage.calendar, &request).await?;
        oddities.unreadable += answer.oddities.unreadable;
        oddities.oversized += answer.oddities.oversized;
        facts.extend(answer.changes.into_iter().map(|change| (change.provider_event_id, change.instances)));
        match answer.next {
            SyncNext::Page(next) => page = Some(next),
            SyncNext::Done { cursor } => return Ok((facts, oddities, cursor)),
        }
    }
}

fn garble(stage: &Stage, fault: Fault) {
    stage.google.faults().clear();
    stage.google.faults().add(Rule::new("GET", "/events", When::Always, fault));
}

/// What an event that is odd in one place blocks.
enum Blocks {
    Nothing,
    ItsTime,
    FromItsBeginning,
    Everything,
}

/// The odd event is from 16:20 to 16:50 in Berlin; the good one long before it.
#[tokio::test]
async fn one_odd_event_blocks_what_it_may_cover_and_stops_nobody() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, event(100, 30));
    let mut odd = event(200, 30);
    odd["transparency"] = "oddly".into();
    let odd = stage.google.insert(SARAH, odd);
    let id = id_of(&odd).to_owned();
    let (_, mut cursor) = stage.full().await;
    let (start, end) = ("2026-11-22T16:20:00+01:00", "2026-11-22T16:50:00+01:00");
    let transparency = r#""transparency":"oddly""#;
    let (name, point) = (format!(r#""id":"{id}""#), format!(r#"{{"dateTime":"{start}","#));
    let cases: Vec<(&str, &str, &str, Blocks, u32)> = vec![
        ("a field of another type", transparency, r#""transparency":7"#, Blocks::ItsTime, 1),
        ("guests that are none", transparency, r#""attendees":"nobody""#, Blocks::ItsTime, 1),
        ("a list for a kind", transparency, r#""eventType":["birthday"]"#, Blocks::ItsTime, 1),
        ("a start in words", start, "soon", Blocks::Everything, 1),
        ("a start that is a number", &point, r#"{"dateTime":7,"#, Blocks::Everything, 1),
        ("an end without an offset", end, "2026-11-22T16:50:00", Blocks::Everything, 1),
        ("an offset that is none", start, "2026-11-22T16:20:00+99:00", Blocks::Everything, 1),
        ("an end before the start", end, "2026-11-22T15:50:00+01:00", Blocks::Everything, 1),
        ("a year nobody sees", end, "+262142-12-31T23:59:59-12:00", Blocks::Everything, 1),
        ("an end in eight thousand years", end, "9999-12-31T23:59:59Z", Blocks::FromItsBeginning, 0),
        ("over for two thousand years", "2026-11-22T16", "0001-01-01T16", Blocks::Nothing, 0),
        ("a zone that does not exist", "Europe/Berlin", "Mars/Olympus", Blocks::ItsTime, 0),
        ("a zone that is a number", r#""Europe/Berlin""#, "7", Blocks::Everything, 2),
        (
            "a series among instances",
            transparency,
            r#""recurrence":["RRULE:FREQ=SECONDLY"]"#,
            Blocks::FromItsBeginning,
            1,
        ),
        ("a name that is a number", &name, r#""id":7"#, Blocks::Everything, 1),
        ("a name no store can keep", &name, "\"id\":\"a\\u0000b\"", Blocks::Everything, 1),
        ("no event at all", &name, r#""nothing":0"#, Blocks::Everything, 1),
    ];
    for (what, from, to, blocks, unreadable) in cases {
        let long = TimeRange::new(range(200, 30).start, window().end).unwrap();
        let good = range(100, 30);
        let expected = match blocks {
            Blocks::Nothing => vec![good],
            Blocks::ItsTime => vec![good, range(200, 30)],
            Blocks::FromItsBeginning => vec![good, long],
            Blocks::Everything => vec![window()],
        };
        garble(&stage, Fault::Replace(from.to_owned(), to.to_owned()));
        let (facts, oddities, _) = read(&stage, SyncMode::Full).await.unwrap();
        assert_eq!(busy(&facts), expected, "{what}");
        assert_eq!(oddities, Oddities { unreadable, oversized: 0 }, "{what}");
        assert_eq!(facts.len(), 2, "{what}: the other one is read as well");

        // The same in what changed; a series there means that everything is to be read anew.
        stage.google.patch(SARAH, &id, json!({"summary": what}));
        match read(&stage, SyncMode::Incremental { cursor: cursor.clone() }).await {
            Ok((changed, oddities, _)) => {
                let told: Vec<TimeRange> = expected.iter().copied().filter(|range| *range != good).collect();
                assert_eq!(busy(&changed), told, "{what}");
                assert_eq!(oddities.unreadable, unreadable.min(1), "{what}");
            }
            Err(error) => assert_eq!((what, error), ("a series among instances", ProviderError::CursorGone)),
        }
        stage.google.faults().clear();
        stage.google.patch(SARAH, &id, json!({"summary": "good"}));
        let (mended, oddities, next) = read(&stage, SyncMode::Incremental { cursor }).await.unwrap();
        assert_eq!((busy(&mended), oddities), (vec![range(200, 30)], Oddities::default()), "{what}");
        cursor = next;
    }
}

fn page(body: &Value) -> Fault {
    Fault::json(200, body)
}

/// Nothing of such an answer is believed, and the next sync is whole.
#[tokio::test]
async fn pages_that_make_no_sense_are_refused() {
    let stage = Stage::new().await;
    stage.google.insert(SARAH, event(100, 30));
    let (_, cursor) = stage.full().await;
    let text = |body: &str, media: &str| {
        let headers = vec![("content-type".to_owned(), media.to_owned())];
        Fault::Status { status: 200, headers, body: body.to_owned() }
    };
    let html = "<html><title>Zanzibar merger</title></html>";
    let token = json!({"nextSyncToken": "t"});
    let with = |items: Value| json!({"items": items, "nextSyncToken": "t"});
    let cases = [
        ("a web page", text(html, "text/html")),
        ("a web page that says it is JSON", text(html, "application/json")),
        ("half of JSON", text(r#"{"items":[{"id":"a","sum"#, "application/json")),
        ("nothing", text("", "application/json")),
        ("a list", page(&json!([with(json!([]))]))),
        ("items that are none", page(&with(json!("Zanzibar merger")))),
        ("more items than Google sends", page(&with(Value::Array(vec![json!({}); 2_501])))),
        ("nested without end", text(&"{\"items\":[".repeat(5_000), "application/json")),
        ("no token to go on with", page(&json!({"items": []}))),
        ("an empty token", page(&json!({"items": [], "nextPageToken": "", "nextSyncToken": ""}))),
        ("a token no store can keep", page(&json!({"items": [], "nextSyncToken": "a\u{0}b"}))),
    ];
    for (what, fault) in cases {
        garble(&stage, fault);
        for mode in [SyncMode::Full, SyncMode::Incremental { cursor: cursor.clone() }] {
            let error = read(&stage, mode).await.unwrap_err();
            assert_eq!(kind(&error), "refused", "{what}");
            assert!(!error.to_string().contains("Zanzibar"), "{what}: {error}");
        }
    }
    garble(&stage, page(&token));
    assert!(read(&stage, SyncMode::Full).await.unwrap().0.is_empty(), "without items there are none");
    stage.google.faults().clear();
    assert_eq!(busy(&stage.full().await.0), stage.truth());
}

/// A page longer than is read is asked for in smaller ones; a single event that is longer is nobody's to read.
#[tokio::test]
async fn an_oversized_page_is_read_in_parts_and_counted() {
    let stage = Stage::new().await;
    // Each transparency is a text that is asked for, so that thirty of them are more than four megabytes.
    for nth in 0..30 {
        let mut long = event(nth * 100, 30);
        long["transparency"] = "x".repeat(150_000).into();
        stage.google.insert(SARAH, long);
    }
    let (facts, oddities, _) = read(&stage, SyncMode::Full).await.unwrap();
    assert_eq!(busy(&facts), stage.truth());
    assert_eq!(oddities, Oddities { unreadable: 0, oversized: 1 });
    let stage = Stage::new().await;
    let mut endless = event(100, 30);
    endless["transparency"] = "x".repeat(5_000_000).into();
    stage.google.insert(SARAH, endless);
    assert_eq!(kind(&read(&stage, SyncMode::Full).await.unwrap_err()), "refused");
}

/// Google expands; what it expands to ends with the window, and comes in pages.
#[tokio::test]
async fn a_series_of_a_hundred_thousand_instances_ends_with_the_window() {
    let stage = Stage::new().await;
    let (_, cursor) = stage.full().await;
    stage.google.insert(SARAH, series(-1_440 * 5, 30, "RRULE:FREQ=DAILY;COUNT=100000"));
    for mode in [SyncMode::Full, SyncMode::Incremental { cursor }] {
        let (facts, oddities, _) = read(&stage, mode.clone()).await.unwrap();
        assert_eq!(oddities, Oddities::default(), "{mode:?}");
        assert_eq!(busy(&facts), stage.truth(), "{mode:?}");
        let in_window = facts.values().filter(|instances| !instances.is_empty()).count();
        assert!((430..=433).contains(&in_window), "{mode:?}: {in_window}");
    }
}

/// The calendar's own zone, as a list of calendars tells it: one that does not exist is none.
#[tokio::test]
async fn a_calendar_in_no_zone_is_found_all_the_same() {
    let stage = Stage::new().await;
    let fault = Fault::Replace("Europe/Berlin".to_owned(), "Mars/Olympus".to_owned());
    stage.google.faults().add(Rule::new("GET", "/calendarList", When::Always, fault));
    let found = stage.provider.discover(&stage.calendar.credentials).await.unwrap();
    assert_eq!(found.calendars.iter().map(|calendar| calendar.timezone).collect::<Vec<_>>(), [None]);
}
