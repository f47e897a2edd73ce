//! Bookings in a calendar: once, where they are, whatever people did meanwhile.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{EventDelete, EventWrite, Provider, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_engine::time::{TimeRange, Timestamp};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::{Value, json};

use crate::support::{SARAH, Stage, calendar_ref, event, id_of, range, write};

impl Stage {
    async fn write(&self, write: &EventWrite) -> WriteOutcome {
        self.provider.write_event(&self.calendar, write).await.unwrap()
    }

    async fn written(&self, write: &EventWrite) -> WrittenEvent {
        match self.write(write).await {
            WriteOutcome::Written(event) => event,
            WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
        }
    }

    async fn take_out(&self, booking_id: BookingId, known: Option<WrittenEvent>) -> Result<(), ProviderError> {
        self.provider.delete_event(&self.calendar, &EventDelete { booking_id, known }).await
    }

    /// The one event there is.
    fn only(&self) -> Value {
        let events = self.google.events(SARAH);
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    }
}

fn time_of(event: &Value) -> TimeRange {
    let at = |name: &str| {
        let text = event[name]["dateTime"].as_str().unwrap();
        Timestamp::from(chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc())
    };
    TimeRange::new(at("start"), at("end")).unwrap()
}

#[tokio::test]
async fn a_booking_is_written_once_with_its_mark() {
    let stage = Stage::new().await;
    let booking = write(7, range(60, 30));
    let first = stage.written(&booking).await;
    let event = stage.only();
    assert_eq!(time_of(&event), booking.range);
    assert_eq!(event["summary"], "Intro call: Ada");
    assert_eq!(event["description"], "ada@example.com");
    assert_eq!(event["extendedProperties"]["private"]["agentcalBooking"], booking.booking_id.to_string());
    assert_eq!(event["start"]["timeZone"], "Europe/Berlin");
    assert_eq!(first.provider_event_id, id_of(&event));
    assert_eq!(first.etag.as_deref(), event["etag"].as_str());
    // The same again, as after an answer nobody saw.
    assert_eq!(stage.written(&booking).await, first);
    assert_eq!(stage.only(), event);
    assert_eq!(stage.google.calls().of_operation("events.patch"), 0, "what is there as it should be is left alone");
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_event() {
    for fault in [Fault::LoseAnswer, Fault::Drop, Fault::Cut { bytes: 10 }] {
        let stage = Stage::new().await;
        let booking = write(7, range(60, 30));
        stage.google.faults().add(Rule::new("POST", "/events", When::Nth(1), fault.clone()));
        let lost = stage.provider.write_event(&stage.calendar, &booking).await.unwrap_err();
        assert!(matches!(lost, ProviderError::Unavailable(_)), "{fault:?}: {lost}");
        let moved = EventWrite { range: range(120, 30), ..booking };
        stage.written(&moved).await;
        assert_eq!(time_of(&stage.only()), moved.range, "{fault:?}");
    }
}

#[tokio::test]
async fn a_move_is_one_call_and_keeps_what_people_added() {
    let stage = Stage::new().await;
    let booking = write(7, range(60, 30));
    let known = Some(stage.written(&booking).await);
    stage.google.calls().reset();
    let moved = EventWrite { range: range(120, 45), known, ..booking };
    let written = stage.written(&moved).await;
    assert_eq!(stage.google.calls().total(), 1);
    assert_eq!(time_of(&stage.only()), moved.range);

    let people =
        json!({"summary": "With Ada, at last", "location": "Room 5", "attendees": [{"email": "tom@example.com"}]});
    stage.google.patch(SARAH, &written.provider_event_id, people);
    let again = EventWrite { range: range(180, 45), known: Some(written), ..moved };
    let written = stage.written(&again).await;
    let event = stage.only();
    assert_eq!(time_of(&event), again.range);
    assert_eq!((&event["summary"], &event["location"]), (&json!("With Ada, at last"), &json!("Room 5")));
    assert_eq!(event["attendees"][0]["email"], "tom@example.com");
    assert_eq!(written.etag.as_deref(), event["etag"].as_str());
}

#[tokio::test]
async fn what_people_did_to_an_event_is_undone_where_the_booking_says_otherwise() {
    let day = json!({"start": {"date": "2026-11-25"}, "end": {"date": "2026-11-26"}});
    let daily = json!({"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]});
    let other = event(600, 30);
    let other = json!({"start": other["start"], "end": other["end"]});
    for change in [day, daily, other] {
        for knows_etag in [true, false] {
            let stage = Stage::new().await;
            let booking = write(7, range(60, 30));
            let mut known = stage.written(&booking).await;
            stage.google.patch(SARAH, &known.provider_event_id, change.clone());
            known.etag = known.etag.filter(|_| knows_etag);
            let again = EventWrite { known: Some(known), ..booking };
            stage.written(&again).await;
            let event = stage.only();
            assert_eq!(time_of(&event), again.range, "{change}");
            assert_eq!(event.get("recurrence"), None, "{change}");
        }
    }
}

#[tokio::test]
async fn what_a_human_deleted_is_told_or_made_again() {
    let stage = Stage::new().await;
    let booking = write(7, range(60, 30));
    let known = stage.written(&booking).await;
    stage.google.delete(SARAH, &known.provider_event_id);
    // Never confirmed, as far as we know, and gone: nobody wants it, and nothing changed since.
    assert_eq!(stage.write(&booking).await, WriteOutcome::DeletedByHuman);
    assert!(stage.google.events(SARAH).is_empty());
    // Known, and the booking was moved after it was deleted.
    for etag in [known.etag.clone(), None] {
        let known = WrittenEvent { etag, ..known.clone() };
        let moved = EventWrite { range: range(120, 30), known: Some(known.clone()), ..booking.clone() };
        stage.written(&moved).await;
        assert_eq!(time_of(&stage.only()), moved.range);
        stage.google.delete(SARAH, &known.provider_event_id);
    }
}

#[tokio::test]
async fn a_booking_is_taken_out_however_often() {
    let stage = Stage::new().await;
    let booking = write(7, range(60, 30));
    let known = stage.written(&booking).await;
    stage.google.patch(SARAH, &known.provider_event_id, json!({"summary": "changed since"}));
    for known in [Some(known.clone()), Some(known), None] {
        stage.take_out(booking.booking_id, known).await.unwrap();
        assert!(stage.google.events(SARAH).is_empty());
    }
    stage.take_out(write(8, range(60, 30)).booking_id, None).await.unwrap();
}

#[tokio::test]
async fn a_writer_in_between_is_waited_out_and_then_told() {
    let stage = Stage::new().await;
    let booking = write(7, range(60, 30));
    let known = Some(stage.written(&booking).await);
    let moved = EventWrite { range: range(120, 30), known, ..booking };
    let changed = Fault::json(412, &json!({"error": {"errors": [{"reason": "conditionNotMet"}], "code": 412}}));
    stage.google.faults().add(Rule::new("PATCH", "/events", When::First(2), changed.clone()));
    stage.written(&moved).await;
    assert_eq!(time_of(&stage.only()), moved.range);
    stage.google.faults().clear();
    stage.google.faults().add(Rule::new("PATCH", "/events", When::Always, changed));
    let again = EventWrite { range: range(240, 30), ..moved };
    let error = stage.provider.write_event(&stage.calendar, &again).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn nobody_is_told_by_google() {
    let stage = Stage::new().await;
    let quiet = Fault::json(400, &json!({"error": {"code": 400}}));
    // A call that does not say so would be struck by the second rule alone.
    stage.google.faults().add(Rule {
        method: None,
        path_contains: "sendUpdates=none".into(),
        when: When::Always,
        fault: Fault::Delay(std::time::Duration::ZERO),
    });
    for method in ["POST", "PATCH", "DELETE"] {
        stage.google.faults().add(Rule::new(method, "/events", When::Always, quiet.clone()));
    }
    let booking = write(7, range(60, 30));
    let known = stage.written(&booking).await;
    let moved = EventWrite { range: range(120, 30), known: Some(known.clone()), ..booking };
    stage.written(&moved).await;
    stage.take_out(moved.booking_id, Some(known)).await.unwrap();
}

#[tokio::test]
async fn calendars_that_cannot_be_written_say_so() {
    let stage = Stage::new().await;
    stage.google.add_calendar(SARAH, "boss@example.com", crate::support::TZ, "reader");
    let booking = write(7, range(60, 30));
    let boss = calendar_ref(&stage.google, SARAH, "boss@example.com");
    let error = stage.provider.write_event(&boss, &booking).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    let nowhere = calendar_ref(&stage.google, SARAH, "nowhere@example.com");
    let known = WrittenEvent { provider_event_id: "agentcal".to_owned(), etag: None };
    for known in [None, Some(known)] {
        let write = EventWrite { known, ..booking.clone() };
        assert_eq!(stage.provider.write_event(&nowhere, &write).await, Err(ProviderError::CalendarGone));
    }
}
