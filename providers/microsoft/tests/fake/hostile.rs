//! Answers Graph should never give. What cannot be understood blocks, is counted, and stops nobody: the other events of its page
//! are read, and the next good answer mends it.

use agentcal_engine::ports::{Oddities, Provider, ProviderError};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::{Value, json};

use crate::support::{Mirror, World, hour, time, window};

fn garble(world: &World, path: &str, fault: Fault) {
    world.fake.faults().clear();
    world.fake.faults().add(Rule::new("GET", path, When::Always, fault));
}

const GOOD: &str = "2026-11-24T07:00:00Z..2026-11-24T08:00:00Z";
const ODD: &str = "2026-11-24T09:00:00Z..2026-11-24T10:00:00Z";

fn everything() -> Vec<String> {
    vec![format!("{:?}", window())]
}

fn good_and(more: &[&str]) -> Vec<String> {
    [GOOD].iter().chain(more).map(|range| (*range).to_owned()).collect()
}

/// A calendar with a good hour and one that will be odd; the odd one's id.
fn furnish(world: &World) -> String {
    world.put(hour("2026-11-24T07:00:00", "2026-11-24T08:00:00", json!({})));
    world.put(hour("2026-11-24T09:00:00", "2026-11-24T10:00:00", json!({ "subject": "Odd one" })))
}

#[tokio::test]
async fn one_odd_event_blocks_what_it_may_cover_and_stops_nobody() {
    let world = World::new().await;
    let id = furnish(&world);
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    let start = r#"{"dateTime":"2026-11-24T09:00:00.0000000","timeZone":"UTC"}"#;
    let end = r#"{"dateTime":"2026-11-24T10:00:00.0000000","timeZone":"UTC"}"#;
    let at = |text: &str, zone: &str| json!({ "dateTime": text, "timeZone": zone }).to_string();
    let name = format!(r#""id":"{id}""#);
    let title = r#""subject":"Odd one""#;
    let wide = "2026-11-23T19:00:00Z..2026-11-24T10:00:00Z";
    let from_odd = "2026-11-24T09:00:00Z..2200-01-01T00:00:00Z";
    let until_odd = "1970-01-01T00:00:00Z..2026-11-24T10:00:00Z";
    let cases: Vec<(&str, &str, String, Vec<String>, u32)> = vec![
        ("a flag in place of a word", title, r#""showAs":7"#.to_owned(), good_and(&[ODD]), 1),
        ("a text in place of a flag", title, r#""isCancelled":"true""#.to_owned(), good_and(&[ODD]), 1),
        ("an answer that is text", title, r#""responseStatus":"declined""#.to_owned(), good_and(&[ODD]), 1),
        ("gone, it seems", title, r#""@removed":true"#.to_owned(), good_and(&[ODD]), 1),
        ("a start that is text", start, r#""nine""#.to_owned(), everything(), 1),
        ("an end that is missing", end, "null".to_owned(), everything(), 1),
        ("an end before the start", end, at("2026-11-24T08:30:00", "UTC"), everything(), 1),
        ("a year nobody sees", end, at("999999999-11-24T10:00:00", "UTC"), everything(), 1),
        ("the last second of all", end, at("+262142-12-31T23:59:59", "Pacific Standard Time"), everything(), 1),
        ("an end in eight thousand years", end, at("9999-12-31T23:59:59", "UTC"), good_and(&[from_odd]), 0),
        ("since two thousand years", start, at("0001-01-01T00:00:00", "UTC"), vec![until_odd.to_owned()], 0),
        (
            "a zone that does not exist",
            start,
            at("2026-11-24T09:00:00", "Mars Standard Time"),
            vec![wide.to_owned()],
            1,
        ),
        (
            "a zone that is a number",
            start,
            json!({"dateTime": "2026-11-24T09:00:00", "timeZone": 7}).to_string(),
            vec![wide.to_owned()],
            1,
        ),
        ("a name that is a number", &name, r#""id":7"#.to_owned(), everything(), 1),
        ("a name no store can keep", &name, r#""id":"a\u0000b""#.to_owned(), everything(), 1),
        ("no event at all", &name, r#""nothing":0"#.to_owned(), everything(), 1),
    ];
    for (what, from, to, expected, unreadable) in cases {
        garble(&world, "calendarView", Fault::Replace(from.to_owned(), to));
        let mut anew = Mirror::default();
        anew.sync(&world).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(anew.busy(), expected, "{what}");
        assert_eq!(anew.oddities, Oddities { unreadable, oversized: 0 }, "{what}");
        assert_eq!(anew.resources.len(), 2, "{what}: the other one is read as well");

        // The same in the next round, beside what was read before.
        world.act("PATCH", &format!("/events/{id}"), json!({ "importance": "high" }));
        let mut next =
            Mirror { resources: mirror.resources.clone(), cursor: mirror.cursor.clone(), ..Mirror::default() };
        next.sync(&world).await.unwrap();
        assert_eq!((next.busy(), next.oddities.unreadable), (expected, unreadable), "{what}");

        world.fake.faults().clear();
        world.act("PATCH", &format!("/events/{id}"), json!({ "importance": "low" }));
        mirror.sync(&world).await.unwrap();
        assert_eq!((mirror.busy(), mirror.oddities), (world.truth(), Oddities::default()), "{what}");
    }
}

/// What is no event at all blocks like an event that says nothing.
#[tokio::test]
async fn items_that_are_no_events_block_and_spoil_no_page() {
    let world = World::new().await;
    let good = json!({ "id": "a", "start": time("2026-11-24T07:00:00"), "end": time("2026-11-24T08:00:00") });
    let link = format!("{}/me/calendarView/delta?$deltatoken=a", world.fake.graph_url());
    for item in [json!("Zanzibar merger"), json!(7), json!(-7), json!(7.5), json!(true), json!(null), json!([[good]])] {
        let body = json!({ "value": [item, good], "@odata.deltaLink": link });
        garble(&world, "calendarView", Fault::json(200, &body));
        let mut mirror = Mirror::default();
        mirror.sync(&world).await.unwrap();
        assert_eq!((mirror.busy(), mirror.oddities.unreadable), (everything(), 1), "{item}");
        assert_eq!(mirror.resources.len(), 2, "{item}: the other one is read as well");
    }
}

/// A series whose name leads elsewhere is not asked about; its occurrences block, whatever it may say.
#[tokio::test]
async fn a_series_that_cannot_be_named_is_not_asked_about() {
    let world = World::new().await;
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    let occurrence = json!({
        "id": "a", "type": "occurrence", "seriesMasterId": "../../me/messages",
        "start": time("2026-11-24T07:00:00"), "end": time("2026-11-24T08:00:00"),
    });
    let series = json!({ "id": "../../me/messages", "type": "seriesMaster", "showAs": "busy" });
    let link = format!("{}/me/calendarView/delta?$deltatoken=a", world.fake.graph_url());
    let body = json!({ "value": [series, occurrence], "@odata.deltaLink": link });
    garble(&world, "calendarView", Fault::json(200, &body));
    let before = world.fake.calls().total();
    let mut anew = Mirror::default();
    for mirror in [&mut mirror, &mut anew] {
        mirror.sync(&world).await.unwrap();
        assert_eq!((mirror.busy(), mirror.oddities.unreadable), (good_and(&[]), 1));
    }
    assert_eq!(world.fake.calls().total(), before, "nothing else was asked");
}

/// Nothing of such an answer is believed, and the next sync is whole.
#[tokio::test]
async fn pages_that_make_no_sense_fail_and_say_nothing_of_what_they_hold() {
    let world = World::new().await;
    furnish(&world);
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    let text = |body: &str, media: &str| {
        let headers = vec![("content-type".to_owned(), media.to_owned())];
        Fault::Status { status: 200, headers, body: body.to_owned() }
    };
    let html = "<html><title>Zanzibar merger</title></html>";
    let delta = format!("{}/me/calendarView/delta?$deltatoken=a", world.fake.graph_url());
    let elsewhere = "http://127.0.0.1:9/v1.0/me/calendarView/delta?$deltatoken=a";
    let page = |value: Value, link: &str| Fault::json(200, &json!({ "value": value, "@odata.deltaLink": link }));
    let cases = [
        ("a web page", text(html, "text/html")),
        ("a web page that says it is JSON", text(html, "application/json")),
        ("half of JSON", text(r#"{"value":[{"id":"a","sub"#, "application/json")),
        ("nothing", text("", "application/json")),
        ("a list", Fault::json(200, &json!(["Zanzibar merger"]))),
        ("events that are none", page(json!("Zanzibar merger"), &delta)),
        ("more events than Graph sends", page(Value::Array(vec![json!({}); 1_001]), &delta)),
        ("nested without end", text(&"{\"value\":[".repeat(5_000), "application/json")),
        ("no link to go on with", Fault::json(200, &json!({ "value": [] }))),
        ("a next round that is elsewhere", page(json!([]), elsewhere)),
    ];
    for (what, fault) in cases {
        garble(&world, "calendarView", fault);
        for cursor in [None, mirror.cursor.clone()] {
            let error = Mirror { cursor, ..Mirror::default() }.sync(&world).await.unwrap_err();
            let refused = matches!(error, ProviderError::Refused(_) | ProviderError::Unavailable(_));
            assert!(refused && !error.to_string().contains("Zanzibar"), "{what}: {error:?}");
        }
    }
    world.fake.faults().clear();
    let mut anew = Mirror::default();
    anew.sync(&world).await.unwrap();
    assert_eq!(anew.busy(), world.truth());
}

/// Graph expands; what it expands to ends with the window.
#[tokio::test]
async fn a_series_of_a_hundred_thousand_instances_ends_with_the_window() {
    let world = World::new().await;
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    let recurrence = json!({
        "pattern": { "type": "daily", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 100_000, "startDate": "2026-11-01" },
    });
    let more =
        json!({ "recurrence": recurrence, "start": time("2026-11-01T09:00:00"), "end": time("2026-11-01T09:30:00") });
    world.put(hour("2026-11-01T09:00:00", "2026-11-01T09:30:00", more));
    let mut anew = Mirror::default();
    for mirror in [&mut mirror, &mut anew] {
        mirror.sync(&world).await.unwrap();
        assert_eq!((mirror.busy(), mirror.oddities), (world.truth(), Oddities::default()));
        assert_eq!(mirror.busy().len(), 73, "a day each, from the window's beginning to its end");
    }
}

/// The mailbox's own zone: one that does not exist is none.
#[tokio::test]
async fn a_mailbox_in_no_zone_is_found_all_the_same() {
    let world = World::new().await;
    for name in ["\"Mars Standard Time\"", "7"] {
        let fault = Fault::Replace(format!("\"{}\"", crate::support::ZONE), name.to_owned());
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("POST", "$batch", When::Always, fault));
        let found = world.provider.discover(&world.calendar.credentials).await.unwrap();
        let zones: Vec<_> = found.calendars.iter().map(|calendar| calendar.timezone).collect();
        assert_eq!(zones, [None], "{name}");
    }
}
