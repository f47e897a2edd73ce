//! Bookings, written and taken out.

use std::sync::Arc;

use agentcal_engine::icalendar::booking_uid;
use agentcal_engine::ports::{EventDelete, EventWrite, Provider, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_engine::time::TimeRange;
use agentcal_testkit::{PASSWORD, ServerKind, USERNAME};
use http::StatusCode;

use crate::support::{Bench, basic, booking_write, calendar, on_both_servers, range, window};

on_both_servers!(
    a_booking_is_written_moved_and_taken_out,
    a_crash_between_write_and_record_writes_once,
    one_of_six_racers_claims_an_href,
    what_people_did_to_an_event_is_seen_and_kept,
);

const FIRST: (&str, &str) = ("20261012T080000Z", "20261012T083000Z");
const SECOND: (&str, &str) = ("20261026T090000Z", "20261026T093000Z");

fn time((start, end): (&str, &str)) -> TimeRange {
    range(start, end)
}

async fn write(bench: &Bench, write: &EventWrite) -> WrittenEvent {
    match bench.provider.write_event(&bench.calendar(), write).await.unwrap() {
        WriteOutcome::Written(event) => event,
        WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
    }
}

fn take_out(write: &EventWrite) -> EventDelete {
    EventDelete { booking_id: write.booking_id, known: write.known.clone() }
}

async fn a_booking_is_written_moved_and_taken_out(bench: &Bench) {
    let cursor = bench.full(window()).await.cursor;
    let mut booking = booking_write(1, time(FIRST));
    let event = write(bench, &booking).await;
    assert!(event.etag.is_some());
    let text = bench.get(&event.provider_event_id).await.unwrap();
    for line in ["SUMMARY:Intro\\; with\\, commas\\\\and \"quotes\"", "DTSTART:20261012T080000Z", "SEQUENCE:0"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let synced = bench.since(&cursor, window()).await;
    assert_eq!(synced.changes.len(), 1);
    assert_eq!(synced.changes[0].provider_event_id, event.provider_event_id);
    let instance = &synced.changes[0].instances[0];
    assert_eq!((instance.booking_id, instance.range), (Some(booking.booking_id), time(FIRST)));

    (booking.range, booking.sequence, booking.known) = (time(SECOND), 1, Some(event.clone()));
    let moved = write(bench, &booking).await;
    assert_eq!(moved.provider_event_id, event.provider_event_id);
    let text = bench.get(&event.provider_event_id).await.unwrap();
    assert!(text.contains("DTSTART:20261026T090000Z") && text.contains("SEQUENCE:1"), "{text}");
    assert!(!text.contains("20261012"), "{text}");

    booking.known = Some(moved);
    for _ in 0..2 {
        bench.provider.delete_event(&bench.calendar(), &take_out(&booking)).await.unwrap();
        assert_eq!(bench.get(&event.provider_event_id).await, None);
    }
    let gone = bench.since(&synced.cursor, window()).await;
    assert_eq!(gone.changes.iter().map(|change| change.instances.len()).collect::<Vec<_>>(), [0]);
}

async fn a_crash_between_write_and_record_writes_once(bench: &Bench) {
    let booking = booking_write(2, time(FIRST));
    let first = write(bench, &booking).await;
    let again = write(bench, &booking).await;
    assert_eq!(first.provider_event_id, again.provider_event_id);
    let version = |text: Option<String>| text.unwrap().matches(&booking_uid(booking.booking_id)).count();
    assert_eq!(version(bench.get(&first.provider_event_id).await), 1);
    assert_eq!(bench.full(window()).await.changes.len(), 1);
    // The booking was rescheduled before the first write was ever recorded.
    let moved = EventWrite { range: time(SECOND), sequence: 1, ..booking.clone() };
    write(bench, &moved).await;
    let synced = bench.full(window()).await;
    assert_eq!(synced.changes.len(), 1);
    assert_eq!(synced.changes[0].instances[0].range, time(SECOND));
    // A cancellation whose write was never recorded still finds it.
    bench.provider.delete_event(&bench.calendar(), &take_out(&booking)).await.unwrap();
    assert_eq!(bench.full(window()).await.changes.len(), 0);
}

async fn one_of_six_racers_claims_an_href(bench: &Bench) {
    for round in 0..10_u128 {
        let booking = booking_write(100 + round, time(FIRST));
        let url = bench.event_url(&booking.booking_id.to_string());
        let text = crate::support::resource(
            &booking_uid(booking.booking_id),
            &[&["DTSTART:20261012T080000Z", "DURATION:PT1H"]],
        );
        let headers = [("content-type", "text/calendar"), ("if-none-match", "*")];
        let racers = (0..6).map(|_| bench.raw(USERNAME, "PUT", url.clone(), &headers, &text));
        let answers = futures_all(racers.collect()).await;
        let won = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
        let lost = answers.iter().filter(|answer| answer.status == StatusCode::PRECONDITION_FAILED).count();
        assert_eq!((won, lost), (1, 5), "round {round}");

        let booking = booking_write(200 + round, time(FIRST));
        let provider = Arc::new(&bench.provider);
        let calendar = bench.calendar();
        let racers = (0..6).map(|_| provider.write_event(&calendar, &booking));
        let outcomes = futures_all(racers.collect()).await;
        for outcome in outcomes {
            assert!(matches!(outcome, Ok(WriteOutcome::Written(_))), "{outcome:?}");
        }
    }
    assert_eq!(bench.full(window()).await.changes.len(), 20);
}

/// Polls all at once, which is what makes them racers.
async fn futures_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

async fn what_people_did_to_an_event_is_seen_and_kept(bench: &Bench) {
    let mut booking = booking_write(3, time(FIRST));
    let event = write(bench, &booking).await;
    let cursor = bench.full(window()).await.cursor;
    let name = booking.booking_id.to_string();

    // A person moves it and adds an alarm and a note.
    let text = bench.get(&event.provider_event_id).await.unwrap();
    let text = text.replace("20261012T080000Z", "20261013T100000Z").replace("20261012T083000Z", "20261013T103000Z");
    let added = "COMMENT:bring the slides\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:soon\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\n";
    bench.put(&name, &text.replace("END:VEVENT", &format!("{added}END:VEVENT"))).await;
    let seen = bench.since(&cursor, window()).await;
    let instance = &seen.changes[0].instances[0];
    let moved_to = range("20261013T100000Z", "20261013T103000Z");
    assert_eq!((instance.booking_id, instance.range, instance.blocks), (Some(booking.booking_id), moved_to, true));

    // The booking is rescheduled: it goes where the booking is, and what was added stays.
    (booking.range, booking.sequence, booking.known) = (time(SECOND), 1, Some(event));
    let rewritten = write(bench, &booking).await;
    let text = bench.get(&rewritten.provider_event_id).await.unwrap();
    for kept in ["COMMENT:bring the slides", "TRIGGER:-PT15M", "DTSTART:20261026T090000Z", "SEQUENCE:1"] {
        assert!(text.contains(kept), "{kept} in {text}");
    }

    // A person deletes it, and the booking changes again: it comes back.
    bench.delete(&name).await;
    let seen = bench.since(&seen.cursor, window()).await;
    assert_eq!(seen.of(&name), Some(vec![]));
    (booking.range, booking.sequence, booking.known) = (time(FIRST), 2, Some(rewritten));
    write(bench, &booking).await;
    assert_eq!(bench.full(window()).await.changes[0].instances[0].range, time(FIRST));
}

#[tokio::test]
async fn writing_without_leave_says_so() {
    let Some(bench) = Bench::new(ServerKind::Radicale).await else { return };
    let booking = booking_write(4, time(FIRST));
    let wrong = calendar(bench.collection.as_str(), basic(&bench.server.url(), USERNAME, "wrong"));
    let answer = bench.provider.write_event(&wrong, &booking).await;
    assert!(matches!(answer, Err(ProviderError::Unauthorized(_))), "{answer:?}");
    let elsewhere = bench.collection.join("../../admin/team/").unwrap();
    let answer = bench
        .provider
        .write_event(&calendar(elsewhere.as_str(), basic(&bench.server.url(), USERNAME, PASSWORD)), &booking)
        .await;
    assert!(matches!(answer, Err(ProviderError::Refused(_))), "{answer:?}");
    let missing = bench.collection.join("../missing/").unwrap();
    let answer = bench.provider.write_event(&calendar(missing.as_str(), bench.credentials()), &booking).await;
    assert_eq!(answer, Err(ProviderError::CalendarGone));
}
