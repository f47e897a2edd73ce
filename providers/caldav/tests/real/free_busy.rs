//! Busy time must equal the server's own free-busy REPORT (RFC 4791, 7.10).

use agentcal_engine::icalendar::{ReadContext, read_resource};
use agentcal_engine::time::TimeRange;
use agentcal_testkit::USERNAME;

use crate::support::{Bench, at, on_both_servers, resource, window};

on_both_servers!(busy_time_equals_the_servers_own_free_busy_report, what_servers_expand_equals_what_is_expanded_here);

/// Ranges shorter than this stand for nothing: one server writes events without length as one second.
const NOTHING_US: i64 = 1_000_000;

async fn fill(bench: &Bench) {
    for (name, events) in calendar() {
        let lines: Vec<Vec<&str>> = events.iter().map(|event| event.split('\n').collect()).collect();
        let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
        bench.put(&name, &resource(&name, &lines)).await;
    }
}

async fn busy_time_equals_the_servers_own_free_busy_report(bench: &Bench) {
    fill(bench).await;
    let synced = bench.full(window()).await;
    let ours: Vec<TimeRange> = synced.changes.iter().flat_map(|change| &change.instances).map(|i| i.range).collect();
    let (ours, theirs) = (merged(ours), merged(server_says(bench).await));
    assert!(ours.len() > 100);
    let missing: Vec<_> = theirs.iter().filter(|range| !ours.contains(range)).collect();
    let surplus: Vec<_> = ours.iter().filter(|range| !theirs.contains(range)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
}

/// Whoever expands a series, the instances are the same.
async fn what_servers_expand_equals_what_is_expanded_here(bench: &Bench) {
    fill(bench).await;
    let calendar = bench.calendar();
    let context =
        ReadContext { timezone: calendar.timezone, owner_addresses: &calendar.owner_addresses, window: window() };
    let mut series = 0;
    for change in bench.full(window()).await.changes {
        let text = bench.get(&change.provider_event_id).await.unwrap();
        let stored = read_resource(&text, &context).unwrap();
        series += usize::from(stored.recurring);
        assert_eq!(change.instances, stored.instances, "{text}");
    }
    assert!(series >= 7, "{series}");
}

/// Many kinds of events in three zones. Declined, floating and all-day ones are left to other tests, since servers
/// differ there.
fn calendar() -> Vec<(String, Vec<String>)> {
    let mut calendar: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |name: &str, events: &[&str]| {
        calendar.push((name.to_owned(), events.iter().map(|event| (*event).to_owned()).collect()));
    };
    let berlin = |start: &str, rest: &str| format!("DTSTART;TZID=Europe/Berlin:{start}\n{rest}");
    add("daily", &[&berlin("20260901T083000", "DURATION:PT15M\nRRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR")]);
    add(
        "fortnightly",
        &[&berlin("20250107T140000", "DURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;WKST=MO")],
    );
    add("monthly", &[&berlin("20240131T100000", "DURATION:PT2H\nRRULE:FREQ=MONTHLY;BYDAY=-1FR")]);
    add("monthday", &[&berlin("20260115T160000", "DURATION:PT30M\nRRULE:FREQ=MONTHLY;BYMONTHDAY=15,-1;COUNT=30")]);
    add("yearly", &["DTSTART:20101107T120000Z\nDURATION:PT3H\nRRULE:FREQ=YEARLY"]);
    add("until", &["DTSTART:20261001T170000Z\nDTEND:20261001T173000Z\nRRULE:FREQ=DAILY;UNTIL=20261010T170000Z"]);
    add("night", &[&berlin("20261024T230000", "DTEND;TZID=Europe/Berlin:20261025T050000")]);
    add(
        "exceptions",
        &[
            &berlin(
                "20261005T100000",
                "DURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=8\nEXDATE;TZID=Europe/Berlin:20261012T100000",
            ),
            &berlin("20261021T180000", "DURATION:PT1H\nRECURRENCE-ID;TZID=Europe/Berlin:20261019T100000"),
        ],
    );
    add("transparent", &["DTSTART:20261103T100000Z\nDURATION:PT1H\nTRANSP:TRANSPARENT"]);
    add("cancelled", &["DTSTART:20261103T120000Z\nDURATION:PT1H\nSTATUS:CANCELLED"]);
    add("tentative", &["DTSTART:20261103T140000Z\nDURATION:PT1H\nSTATUS:TENTATIVE"]);
    add("nolength", &["DTSTART:20261103T160000Z"]);
    add("edge", &["DTSTART:20260930T230000Z\nDTEND:20261001T010000Z"]);
    add("outside", &["DTSTART:20261201T000000Z\nDURATION:PT1H"]);
    for quarter in 0..96 {
        let start = format!("DTSTART:20261117T{:02}{:02}00Z\nDURATION:PT10M", quarter / 4, quarter % 4 * 15);
        add(&format!("quarter{quarter}"), &[&start]);
    }
    calendar
}

async fn server_says(bench: &Bench) -> Vec<TimeRange> {
    let body = r#"<C:free-busy-query xmlns:C="urn:ietf:params:xml:ns:caldav">
        <C:time-range start="20261001T000000Z" end="20261201T000000Z"/></C:free-busy-query>"#;
    let headers = [("content-type", "application/xml"), ("depth", "1")];
    let answer = bench.raw(USERNAME, "REPORT", bench.collection.clone(), &headers, body).await;
    let text = String::from_utf8(answer.body).unwrap().replace("\r\n ", "").replace("\r\n", "\n");
    // One server lists cancelled events, as free.
    let lines = text.lines().filter(|line| line.starts_with("FREEBUSY") && !line.contains("FBTYPE=FREE"));
    let periods = lines.flat_map(|line| line.split_once(':').unwrap().1.split(','));
    periods.filter_map(period).collect()
}

fn period(text: &str) -> Option<TimeRange> {
    let (start, end) = text.split_once('/').unwrap();
    let start = at(start);
    let end = match end.strip_prefix('P') {
        None => at(end),
        Some(length) => {
            let number = |unit: char| {
                let before = length.split_once(unit).map_or("0", |(before, _)| before);
                before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<i64>().unwrap_or(0)
            };
            start.plus_micros((number('H') * 3_600 + number('M') * 60 + number('S')) * 1_000_000)
        }
    };
    TimeRange::new(start, end)
}

/// Merged and cut to the window.
fn merged(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.retain(|range| range.len_micros() > NOTHING_US);
    ranges.sort_unstable();
    let mut merged: Vec<TimeRange> = Vec::new();
    for range in ranges.into_iter().filter_map(|range| range.intersection(&window())) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
