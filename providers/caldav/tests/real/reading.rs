//! Syncs: everything, what changed, and what each kind of event means.

use agentcal_engine::ports::{ProviderError, SyncCursor, SyncMode};
use agentcal_engine::time::TimeRange;

use crate::support::{Bench, on_both_servers, range, resource, window, with_zone};

on_both_servers!(
    every_kind_of_event_means_what_the_rfcs_say,
    series_follow_the_wall_clock_across_a_clock_change,
    changes_are_delivered_and_nothing_else,
    many_events_come_in_pages,
    a_refused_token_is_a_gone_cursor,
    a_deleted_calendar_is_gone,
);

/// A name, the event's lines, and when it is busy.
type Case = (&'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);

async fn every_kind_of_event_means_what_the_rfcs_say(bench: &Bench) {
    let cases: &[Case] = &[
        ("utc", &["DTSTART:20261012T080000Z", "DTEND:20261012T090000Z"], &[("20261012T080000Z", "20261012T090000Z")]),
        (
            "zoned",
            &["DTSTART;TZID=Europe/Berlin:20261012T100000", "DURATION:PT45M"],
            &[("20261012T080000Z", "20261012T084500Z")],
        ),
        (
            "floating",
            &["DTSTART:20261012T100000", "DTEND:20261012T110000"],
            &[("20261012T080000Z", "20261012T090000Z")],
        ),
        ("allday", &["DTSTART;VALUE=DATE:20261012"], &[("20261011T220000Z", "20261012T220000Z")]),
        (
            "twodays",
            &["DTSTART;VALUE=DATE:20261024", "DTEND;VALUE=DATE:20261026"],
            &[("20261023T220000Z", "20261025T230000Z")],
        ),
        ("transparent", &["DTSTART:20261012T080000Z", "DURATION:PT1H", "TRANSP:TRANSPARENT"], &[]),
        ("cancelled", &["DTSTART:20261012T080000Z", "DURATION:PT1H", "STATUS:CANCELLED"], &[]),
        (
            "tentative",
            &["DTSTART:20261012T080000Z", "DURATION:PT1H", "STATUS:TENTATIVE"],
            &[("20261012T080000Z", "20261012T090000Z")],
        ),
        (
            "declined",
            &[
                "DTSTART:20261012T080000Z",
                "DURATION:PT1H",
                "ORGANIZER:mailto:bob@example.com",
                "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.com",
                "ATTENDEE;PARTSTAT=DECLINED:MAILTO:Alice@Example.com",
            ],
            &[],
        ),
        (
            "declinedbyother",
            &[
                "DTSTART:20261012T080000Z",
                "DURATION:PT1H",
                "ORGANIZER:mailto:alice@example.com",
                "ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.com",
            ],
            &[("20261012T080000Z", "20261012T090000Z")],
        ),
        ("nolength", &["DTSTART:20261012T080000Z"], &[]),
        ("before", &["DTSTART:20200101T080000Z", "DURATION:PT1H"], &[]),
    ];
    for (name, lines, _) in cases {
        bench.put(name, &resource(name, &[lines])).await;
    }
    let synced = bench.full(window()).await;
    for (name, _, expected) in cases {
        let expected: Vec<TimeRange> = expected.iter().map(|(start, end)| range(start, end)).collect();
        assert_eq!(synced.busy(name), expected, "{name}");
    }
}

/// Exceptions that move, cancel or free an instance; EXDATE; RDATE; a zone no database knows.
async fn series_follow_the_wall_clock_across_a_clock_change(bench: &Bench) {
    let weekly: &[&str] = &[
        "DTSTART;TZID=Europe/Berlin:20261012T100000",
        "DTEND;TZID=Europe/Berlin:20261012T110000",
        "RRULE:FREQ=WEEKLY;COUNT=6",
        "EXDATE;TZID=Europe/Berlin:20261102T100000",
    ];
    let moved: &[&str] = &[
        "RECURRENCE-ID;TZID=Europe/Berlin:20261019T100000",
        "DTSTART;TZID=Europe/Berlin:20261020T150000",
        "DTEND;TZID=Europe/Berlin:20261020T153000",
    ];
    let freed: &[&str] = &[
        "RECURRENCE-ID;TZID=Europe/Berlin:20261109T100000",
        "DTSTART;TZID=Europe/Berlin:20261109T100000",
        "DTEND;TZID=Europe/Berlin:20261109T110000",
        "TRANSP:TRANSPARENT",
    ];
    let cancelled: &[&str] = &[
        "RECURRENCE-ID;TZID=Europe/Berlin:20261116T100000",
        "DTSTART;TZID=Europe/Berlin:20261116T100000",
        "DTEND;TZID=Europe/Berlin:20261116T110000",
        "STATUS:CANCELLED",
    ];
    bench.put("weekly", &resource("weekly", &[weekly, moved, freed, cancelled])).await;
    let strange = "BEGIN:VTIMEZONE\r\nTZID:Head Office\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:-0345\r\n\
        TZOFFSETTO:-0345\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";
    let strange = with_zone(strange, "strange", &[&["DTSTART;TZID=Head Office:20261012T100000", "DURATION:PT1H"]]);
    bench.put("strange", &strange).await;
    let synced = bench.full(window()).await;
    let expected = [
        range("20261012T080000Z", "20261012T090000Z"),
        range("20261020T130000Z", "20261020T133000Z"),
        range("20261026T090000Z", "20261026T100000Z"),
    ];
    assert_eq!(synced.busy("weekly"), expected);
    assert_eq!(synced.busy("strange"), [range("20261012T134500Z", "20261012T144500Z")]);
}

async fn changes_are_delivered_and_nothing_else(bench: &Bench) {
    let at = |hour: u32| resource("a", &[&[&format!("DTSTART:20261012T{hour:02}0000Z"), "DURATION:PT1H"]]);
    bench.put("a", &at(8)).await;
    bench.put("b", &at(9).replace("UID:a", "UID:b")).await;
    let full = bench.full(window()).await;
    assert_eq!(full.names(), ["a", "b"]);
    let nothing = bench.since(&full.cursor, window()).await;
    assert_eq!((nothing.changes.len(), nothing.pages), (0, 1));

    bench.put("a", &at(10)).await;
    bench.put("c", &at(11).replace("UID:a", "UID:c")).await;
    bench.delete("b").await;
    let changed = bench.since(&nothing.cursor, window()).await;
    assert_eq!(changed.names(), ["a", "b", "c"]);
    assert_eq!(changed.busy("a"), [range("20261012T100000Z", "20261012T110000Z")]);
    assert_eq!(changed.of("b"), Some(vec![]));
    assert_eq!(changed.busy("c"), [range("20261012T110000Z", "20261012T120000Z")]);

    // A cursor may be used twice: a crash between reading and saving repeats the sync.
    assert_eq!(bench.since(&nothing.cursor, window()).await.names(), ["a", "b", "c"]);
    bench.put("a", &resource("a", &[&["DTSTART:20300101T080000Z", "DURATION:PT1H"]])).await;
    let left = bench.since(&changed.cursor, window()).await;
    assert_eq!((left.names(), left.of("a")), (vec!["a"], Some(vec![])), "moved out of the window");
}

async fn many_events_come_in_pages(bench: &Bench) {
    for number in 0..120 {
        let (day, hour) = (number / 24 + 1, number % 24);
        let name = format!("e{number}");
        let line = format!("DTSTART:202610{day:02}T{hour:02}0000Z");
        bench.put(&name, &resource(&name, &[&[&line, "DURATION:PT30M"]])).await;
    }
    let synced = bench.full(window()).await;
    assert_eq!(synced.pages, 3);
    let mut names = synced.names();
    names.dedup();
    assert_eq!(names.len(), 120);
    assert!(synced.changes.iter().all(|change| change.instances.len() == 1));
}

async fn a_refused_token_is_a_gone_cursor(bench: &Bench) {
    let good = bench.full(window()).await.cursor;
    let refused = SyncCursor(good.0.replace(|character: char| character.is_ascii_digit(), "f"));
    for cursor in
        [refused, SyncCursor("not ours".to_owned()), SyncCursor(r#"{"position":{"token":"elsewhere"}}"#.to_owned())]
    {
        let answer = bench.sync(SyncMode::Incremental { cursor: cursor.clone() }, window()).await;
        assert_eq!(answer.err(), Some(ProviderError::CursorGone), "{cursor:?}");
    }
}

async fn a_deleted_calendar_is_gone(bench: &Bench) {
    let cursor = bench.full(window()).await.cursor;
    bench.raw(agentcal_testkit::USERNAME, "DELETE", bench.collection.clone(), &[], "").await;
    for mode in [SyncMode::Full, SyncMode::Incremental { cursor }] {
        assert_eq!(bench.sync(mode, window()).await.err(), Some(ProviderError::CalendarGone));
    }
}
