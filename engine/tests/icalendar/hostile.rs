//! Input that means no good: nothing panics, nothing runs away.

use std::time::Duration;

use agentcal_engine::calendar::INSTANCES_PER_RESOURCE_MAX;
use agentcal_engine::icalendar::{retime, shows, timezone_of};
use chrono_tz::Tz;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{at, in_calendar, read_in, resource, window, write};

const SEEDS: [&str; 6] = [
    "DTSTART;TZID=Europe/Berlin:20261012T100000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=-1;COUNT=40",
    "DTSTART;VALUE=DATE:20261012\nDTEND;VALUE=DATE:20261014\nRRULE:FREQ=YEARLY;BYWEEKNO=20,-1;WKST=SU;INTERVAL=2",
    "DTSTART:20261012T100000\nDTEND:20261012T110000\nEXDATE:20261019T100000\nRDATE;VALUE=PERIOD:20261020T100000/PT1H",
    "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Odd:20261019T100000\nDTSTART;TZID=Odd:20261020T235960\nDURATION:-P1W",
    "UID:book_00000000000000000000000001@agentcal\nDTSTART:20261012T080000Z\nDTEND:20261012T083000Z\nTRANSP:TRANSPARENT",
    "DTSTART:99991231T235959Z\nDTEND:99991231T235959Z\nRRULE:FREQ=SECONDLY;INTERVAL=65535;UNTIL=99991231",
];

const ZONE: &str = "BEGIN:VTIMEZONE\nTZID:Odd\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:-2359\n\
    RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nEND:VTIMEZONE";

/// Bytes to put in somewhere: digits and separators most of all, since they reach furthest.
fn splice() -> impl Strategy<Value = (usize, usize, String)> {
    let piece = prop_oneof![
        "[0-9]{1,10}",
        "[:;,=/\\-+TZP]{1,3}",
        Just("\r\nBEGIN:VEVENT\r\n".to_owned()),
        Just("\r\nEND:VEVENT\r\n".to_owned()),
        Just("\r\nRRULE:FREQ=DAILY\r\n".to_owned()),
        Just("BYHOUR=0,1,2,3;BYMINUTE=0,1,2,3,4,5;BYSECOND=0,1,2;".to_owned()),
        Just("99999999".to_owned()),
        Just("00000000".to_owned()),
        Just("\u{0}".to_owned()),
        Just("é\u{2028}🎉".to_owned()),
        Just(String::new()),
    ];
    (any::<usize>(), 0_usize..12, piece)
}

fn mutated(mut text: String, splices: &[(usize, usize, String)]) -> String {
    for (place, removed, piece) in splices {
        let boundary = |at: usize| (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        let start = boundary(place % (text.len() + 1));
        let end = boundary((start + removed).min(text.len()));
        text.replace_range(start..end, piece);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever is read: no panic, bounded, inside the window, ascending.
    #[test]
    fn mutated_resources_are_read_or_refused(
        first in 0..SEEDS.len(),
        second in 0..SEEDS.len(),
        splices in vec(splice(), 0..8),
        tz in prop_oneof![Just(Tz::UTC), Just(Tz::Europe__Berlin), Just(Tz::America__Santiago), Just(Tz::Pacific__Apia)],
    ) {
        let text = mutated(in_calendar(ZONE, &[SEEDS[first], SEEDS[second]]), &splices);
        if let Ok(read) = read_in(&text, tz, window()) {
            prop_assert!(read.instances.len() <= INSTANCES_PER_RESOURCE_MAX);
            prop_assert!(read.instances.iter().all(|instance| instance.range.overlaps(&window())));
            prop_assert!(read.instances.is_sorted());
            prop_assert!(read.instances.iter().all(|instance| instance.blocks || instance.booking_id.is_some()));
        }
        let _ = timezone_of(&text);
        if let Ok(moved) = retime(&text, &write(), at("2026-10-01 10:00")) {
            prop_assert!(shows(&moved, &write()), "{}", moved);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,400}") {
        let _ = read_in(&text, Tz::UTC, window());
        let _ = retime(&text, &write(), at("2026-10-01 10:00"));
    }
}

/// Each is small, and each would be endless for somebody who expands without measure.
#[test]
fn small_texts_that_mean_a_lot_of_work_stay_cheap() {
    let all = |limit: usize| (0..limit).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
    let dense = format!("RRULE:FREQ=DAILY;BYHOUR={};BYMINUTE={};BYSECOND={}", all(24), all(60), all(60));
    let exceptions = "EXDATE:20261012T080000Z\n".repeat(20_000);
    let many_rules = "RRULE:FREQ=MINUTELY;INTERVAL=7\n".repeat(500);
    let many_series =
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:19000101T000000Z\n";
    let many_series = many_series.repeat(20_000);
    for lines in [
        "RRULE:FREQ=SECONDLY",
        "RRULE:FREQ=SECONDLY;COUNT=4294967295",
        "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5",
        &dense,
        &exceptions,
        &many_rules,
        &many_series,
    ] {
        for start in ["DTSTART:20261012T080000Z", "DTSTART:00010101T000000Z", "DTSTART;TZID=Nowhere:19000101T000000"] {
            let text = resource(&[&format!("{start}\nDURATION:PT1H\n{lines}")]);
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || sender.send(read_in(&text, Tz::Europe__Berlin, window()).is_ok()));
            let done = receiver.recv_timeout(Duration::from_secs(60));
            assert_eq!(done, Ok(true), "{start} {lines:.60}");
        }
    }
}
