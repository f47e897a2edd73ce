//! Resources no program should write, served by something no server should be. What cannot be understood blocks, is counted, and
//! stops nobody.

use std::sync::Arc;

use agentcal_engine::ports::{Oddities, Provider, ProviderError, SyncMode, SyncNext, SyncRequest};
use agentcal_engine::time::{TimeRange, Timestamp};
use axum::extract::Request;
use axum::response::Response;
use http::Method;

use crate::guard::{Fake, here, listed, multistatus, provider, response};
use crate::support::{Synced, at, basic, calendar, range, resource, window};

/// What a collection does wrong, besides what is in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Good,
    /// Answers about several resources are longer than anybody reads.
    Endless,
    /// The same, and about single ones too.
    EndlessAlone,
}

/// A collection with these resources, behind a server that knows no expanding.
async fn collection(resources: Vec<(&'static str, String)>, manner: Manner) -> Fake {
    let resources = Arc::new(resources);
    Fake::new(move |request| answer(Arc::clone(&resources), manner, request)).await
}

async fn answer(resources: Arc<Vec<(&'static str, String)>>, manner: Manner, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let padding = |len: usize| format!("X-PADDING:{}\r\n", "x".repeat(len));
    if parts.method == Method::GET {
        let name = parts.uri.path().trim_start_matches("/team/").trim_end_matches(".ics");
        let found = resources.iter().find(|(known, _)| *known == name);
        let more = if manner == Manner::EndlessAlone { padding(5 << 20) } else { String::new() };
        return found.map_or_else(|| response(404, &[], ""), |(_, text)| response(200, &[], &(more + text)));
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let href = |name: &str| format!("/team/{name}.ics");
    if parts.method.as_str() == "PROPFIND" {
        let token = "<D:sync-token>one</D:sync-token>";
        let found = format!("<D:propstat><D:prop>{token}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>");
        return multistatus(&format!("<D:response><D:href>/team/</D:href>{found}</D:response>"));
    }
    if body.contains("calendar-query") {
        return multistatus(&resources.iter().map(|(name, _)| listed(&href(name))).collect::<String>());
    }
    let more = if manner == Manner::Good { String::new() } else { padding(17 << 20) };
    multistatus(&resources.iter().map(|(name, text)| here(&href(name), &format!("{more}{text}"))).collect::<String>())
}

async fn full(fake: &Fake) -> Result<(Synced, Oddities), ProviderError> {
    let calendar = calendar(&format!("{}team/", fake.url()), basic(&fake.url(), "alice", "secret"));
    let request = SyncRequest { mode: SyncMode::Full, window: window(), page: None };
    let page = provider().sync(&calendar, &request).await?;
    let SyncNext::Done { cursor } = page.next else { panic!("one page is enough") };
    Ok((Synced { changes: page.changes, cursor, pages: 1 }, page.oddities))
}

const GOOD: &[&str] = &["DTSTART:20261012T080000Z", "DURATION:PT1H"];

fn good() -> TimeRange {
    range("20261012T080000Z", "20261012T090000Z")
}

#[tokio::test]
async fn one_odd_event_blocks_what_it_may_cover_and_stops_nobody() {
    let start = at("20261012T080000Z");
    let until = |end: Timestamp| vec![TimeRange::new(start, end).unwrap()];
    let ages = TimeRange::new(Timestamp::EARLIEST, start).unwrap();
    let wide = range("20261011T180000Z", "20261012T210000Z");
    let cases: [(&str, &[&str], Vec<TimeRange>, u32); 9] = [
        ("a start in words", &["DTSTART:soon", "DURATION:PT1H"], vec![window()], 1),
        ("a day that does not exist", &["DTSTART:20261131T080000Z", "DURATION:PT1H"], vec![window()], 1),
        ("an end in words", &["DTSTART:20261012T080000Z", "DTEND:later"], until(at("20261013T080000Z")), 1),
        ("a zone that does not exist", &["DTSTART;TZID=Mars/Olympus:20261012T080000", "DURATION:PT1H"], vec![wide], 1),
        (
            "every second",
            &["DTSTART:20261012T080000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY;COUNT=100000"],
            until(window().end),
            1,
        ),
        (
            "a rule nobody knows",
            &["DTSTART:20261012T080000Z", "DURATION:PT1H", "RRULE:FREQ=FORTNIGHTLY"],
            until(window().end),
            1,
        ),
        (
            "an end in eight thousand years",
            &["DTSTART:20261012T080000Z", "DTEND:99991231T235959Z"],
            until(Timestamp::LATEST),
            0,
        ),
        ("since two thousand years", &["DTSTART:00010101T000000Z", "DTEND:20261012T080000Z"], vec![ages], 0),
        ("in eight thousand years", &["DTSTART:99991231T080000Z", "DURATION:PT1H"], vec![], 0),
    ];
    for (what, lines, expected, unreadable) in cases {
        let fake =
            collection(vec![("good", resource("good", &[GOOD])), ("odd", resource("odd", &[lines]))], Manner::Good);
        let (synced, oddities) = full(&fake.await).await.unwrap();
        assert_eq!(synced.busy("odd"), expected, "{what}");
        assert_eq!(oddities, Oddities { unreadable, oversized: 0 }, "{what}");
        assert_eq!(synced.busy("good"), [good()], "{what}: the other one is read as well");
    }
}

/// A hundred thousand days, of which the window has fifty.
#[tokio::test]
async fn a_series_of_a_hundred_thousand_instances_ends_with_the_window() {
    let daily = [GOOD[0], GOOD[1], "RRULE:FREQ=DAILY;COUNT=100000"];
    let fake = collection(vec![("daily", resource("daily", &[&daily]))], Manner::Good).await;
    let (synced, oddities) = full(&fake).await.unwrap();
    assert_eq!((synced.busy("daily").len(), oddities), (50, Oddities::default()));
}

/// One resource with a stray character makes nonsense of an answer about several: then each is asked for alone.
#[tokio::test]
async fn an_answer_spoiled_by_one_resource_is_read_one_by_one() {
    let mut spoiled = resource("spoiled", &[GOOD]);
    spoiled = spoiled.replace("SUMMARY:spoiled", "SUMMARY:Tom &Zanzibar; <merger>");
    let fake = collection(vec![("good", resource("good", &[GOOD])), ("spoiled", spoiled)], Manner::Good).await;
    let (synced, oddities) = full(&fake).await.unwrap();
    assert_eq!((synced.busy("good"), synced.busy("spoiled")), (vec![good()], vec![good()]));
    assert_eq!(oddities, Oddities::default());
}

/// Why an answer is no XML is said by the place, not by what is there.
#[tokio::test]
async fn a_spoiled_answer_is_not_quoted() {
    for body in ["<a>&Zanzibar;</a>", "<a><Zanzibar></a>", "<Zanzibar:a/>", "<html>Zanzibar</html>"] {
        let fake = Fake::new(move |_| async move { response(207, &[], body) }).await;
        let error = full(&fake).await.err().unwrap();
        let is_quiet = matches!(&error, ProviderError::Refused(reason) if !reason.contains("Zanzibar"));
        assert!(is_quiet, "{body}: {error:?}");
    }
}

#[tokio::test]
async fn an_oversized_page_is_read_one_by_one_and_counted() {
    let resources = || vec![("good", resource("good", &[GOOD])), ("other", resource("other", &[GOOD]))];
    let (synced, oddities) = full(&collection(resources(), Manner::Endless).await).await.unwrap();
    assert_eq!((synced.busy("good"), synced.busy("other")), (vec![good()], vec![good()]));
    assert_eq!(oddities, Oddities { unreadable: 0, oversized: 2 }, "expanded, and as it is stored");
    let (synced, oddities) = full(&collection(resources(), Manner::EndlessAlone).await).await.unwrap();
    assert_eq!((synced.busy("good"), synced.busy("other")), (vec![window()], vec![window()]));
    assert_eq!(oddities, Oddities { unreadable: 2, oversized: 2 });
}
