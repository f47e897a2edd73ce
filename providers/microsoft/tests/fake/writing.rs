//! Writes: one event per booking, whatever gets lost, and whatever people do to it.

use agentcal_engine::ports::{Provider, ProviderError, WriteOutcome, WrittenEvent};
use agentcal_fake_kit::{Fault, Rule, When};
use serde_json::{Value, json};

use crate::support::{ADDRESS, Mirror, World, booking, delete_of, hour, range, time, write_of};

fn first() -> agentcal_engine::time::TimeRange {
    range("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z")
}

fn later() -> agentcal_engine::time::TimeRange {
    range("2026-11-25T14:00:00Z", "2026-11-25T14:30:00Z")
}

async fn written(world: &World, known: Option<WrittenEvent>, range: agentcal_engine::time::TimeRange) -> WrittenEvent {
    match world.provider.write_event(&world.calendar, &write_of(booking(7), range, known)).await.unwrap() {
        WriteOutcome::Written(event) => event,
        WriteOutcome::DeletedByHuman => panic!("nobody deleted it"),
    }
}

fn starts(event: &Value) -> &str {
    event["start"]["dateTime"].as_str().unwrap()
}

#[tokio::test]
async fn a_booking_is_written_moved_and_taken_out() {
    let world = World::new().await;
    let event = written(&world, None, first()).await;
    let shown = world.only_event();
    assert_eq!((shown["subject"].as_str(), shown["showAs"].as_str()), (Some("Call: Jan"), Some("busy")));
    assert_eq!(
        (starts(&shown), shown["location"]["displayName"].as_str()),
        ("2026-11-24T09:00:00.0000000", Some("By phone"))
    );
    assert_eq!(Some(event.provider_event_id.as_str()), shown["id"].as_str());
    assert_eq!(written(&world, Some(event.clone()), first()).await, event, "as asked already");
    assert_eq!(world.fake.calls().of_operation("PATCH /me/calendars/{id}/events/{id}"), 0);
    let moved = written(&world, Some(event.clone()), later()).await;
    assert_eq!(moved.provider_event_id, event.provider_event_id);
    assert_ne!(moved.etag, event.etag);
    assert_eq!(starts(&world.only_event()), "2026-11-25T14:00:00.0000000");
    let mut mirror = Mirror::default();
    mirror.sync(&world).await.unwrap();
    assert_eq!(mirror.of_booking(booking(7)), [(later(), true)], "a sync knows it as ours");
    let delete = delete_of(booking(7), Some(moved));
    world.provider.delete_event(&world.calendar, &delete).await.unwrap();
    world.provider.delete_event(&world.calendar, &delete).await.unwrap();
    mirror.sync(&world).await.unwrap();
    assert_eq!(mirror.of_booking(booking(7)), []);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_one_event() {
    for (method, path) in [("POST", "/events"), ("GET", "/events?"), ("PATCH", "/events/")] {
        let world = World::new().await;
        world.fake.faults().add(Rule::new(method, path, When::First(1), Fault::LoseAnswer));
        let mut event = None;
        for range in [first(), later()] {
            for _ in 0..3 {
                let write = write_of(booking(7), range, event.clone());
                match world.provider.write_event(&world.calendar, &write).await {
                    Ok(WriteOutcome::Written(found)) => {
                        event = Some(found);
                        break;
                    }
                    Err(ProviderError::Unavailable(_)) => {}
                    other => panic!("{method} {path}: {other:?}"),
                }
            }
        }
        assert_eq!(starts(&world.only_event()), "2026-11-25T14:00:00.0000000", "{method} {path}");
    }
}

#[tokio::test]
async fn an_event_made_without_our_hearing_of_it_is_taken_out() {
    let world = World::new().await;
    written(&world, None, first()).await;
    world.provider.delete_event(&world.calendar, &delete_of(booking(8), None)).await.unwrap();
    world.only_event();
    world.provider.delete_event(&world.calendar, &delete_of(booking(7), None)).await.unwrap();
    assert_eq!(world.act("GET", "/events", Value::Null)["value"], json!([]));
}

#[tokio::test]
async fn what_people_add_stays_and_what_they_move_comes_back() {
    let world = World::new().await;
    let event = written(&world, None, first()).await;
    let below = format!("/events/{}", event.provider_event_id);
    let daily = json!({
        "pattern": { "type": "daily", "interval": 1 },
        "range": { "type": "noEnd", "startDate": "2026-11-24" },
    });
    let edits = [
        json!({ "subject": "Renamed", "start": time("2026-11-24T20:00:00"), "end": time("2026-11-24T21:00:00") }),
        json!({ "showAs": "free" }),
        json!({ "recurrence": daily }),
        json!({ "isAllDay": true, "start": time("2026-11-24T00:00:00"), "end": time("2026-11-25T00:00:00") }),
    ];
    for edit in edits {
        world.act("PATCH", &below, edit.clone());
        let back = written(&world, Some(event.clone()), later()).await;
        assert_eq!(back.provider_event_id, event.provider_event_id, "{edit}");
        let shown = world.only_event();
        let state = (starts(&shown), shown["subject"].as_str(), shown["type"].as_str(), shown["showAs"].as_str());
        assert_eq!(
            state,
            ("2026-11-25T14:00:00.0000000", Some("Renamed"), Some("singleInstance"), Some("busy")),
            "{edit}"
        );
    }
}

#[tokio::test]
async fn somebody_who_writes_in_between_is_not_overwritten_blindly() {
    let world = World::new().await;
    let event = written(&world, None, first()).await;
    let conflict = Fault::json(412, &json!({ "error": { "code": "ErrorIrresolvableConflict" } }));
    world.fake.faults().add(Rule::new("PATCH", "/events/", When::First(2), conflict.clone()));
    written(&world, Some(event.clone()), later()).await;
    assert_eq!(starts(&world.only_event()), "2026-11-25T14:00:00.0000000");
    world.fake.faults().clear();
    world.fake.faults().add(Rule::new("PATCH", "/events/", When::Always, conflict));
    let write = write_of(booking(7), first(), Some(event));
    let gave_up = world.provider.write_event(&world.calendar, &write).await.unwrap_err();
    assert!(matches!(gave_up, ProviderError::Unavailable(_)), "{gave_up:?}");
}

#[tokio::test]
async fn a_deleted_event_is_written_again_only_for_a_change() {
    for remembers in [true, false] {
        let world = World::new().await;
        world.fake.behave(|behaviour| behaviour.remembers_transactions = remembers);
        let event = written(&world, None, first()).await;
        world.act("DELETE", &format!("/events/{}", event.provider_event_id), Value::Null);
        let again = written(&world, Some(event.clone()), later()).await;
        assert_ne!(again.provider_event_id, event.provider_event_id);
        assert_eq!(starts(&world.only_event()), "2026-11-25T14:00:00.0000000");
        let mut mirror = Mirror::default();
        mirror.sync(&world).await.unwrap();
        assert_eq!(mirror.of_booking(booking(7)), [(later(), true)], "made again, and ours");
    }
}

#[tokio::test]
async fn an_event_deleted_before_we_heard_that_it_was_made_stays_deleted() {
    let world = World::new().await;
    let event = written(&world, None, first()).await;
    world.act("DELETE", &format!("/events/{}", event.provider_event_id), Value::Null);
    let outcome = world.provider.write_event(&world.calendar, &write_of(booking(7), first(), None)).await;
    assert_eq!(outcome, Ok(WriteOutcome::DeletedByHuman));
    assert_eq!(world.act("GET", "/events", Value::Null)["value"], json!([]));
}

#[tokio::test]
async fn a_copy_somebody_made_is_not_ours() {
    let world = World::new().await;
    let event = written(&world, None, first()).await;
    let expand = format!("/events/{}?$expand=singleValueExtendedProperties", event.provider_event_id);
    let properties = world.act("GET", &expand, Value::Null)["singleValueExtendedProperties"].clone();
    assert_ne!(properties, Value::Null);
    world.put(hour(
        "2026-11-26T09:00:00",
        "2026-11-26T10:00:00",
        json!({ "singleValueExtendedProperties": properties }),
    ));
    world.provider.delete_event(&world.calendar, &delete_of(booking(7), None)).await.unwrap();
    assert_eq!(starts(&world.only_event()), "2026-11-26T09:00:00.0000000");
}

#[tokio::test]
async fn a_write_is_refused_for_what_it_is() {
    let world = World::new().await;
    let refused = |status: u16, code: &str| Fault::json(status, &json!({ "error": { "code": code } }));
    type Expected = fn(&ProviderError) -> bool;
    let cases: [(Fault, Expected); 5] = [
        (refused(401, "InvalidAuthenticationToken"), |error| matches!(error, ProviderError::Unauthorized(_))),
        (refused(403, "ErrorAccessDenied"), |error| matches!(error, ProviderError::Refused(_))),
        (refused(404, "ErrorItemNotFound"), |error| *error == ProviderError::CalendarGone),
        (refused(429, "ApplicationThrottled"), |error| matches!(error, ProviderError::RateLimited { .. })),
        (refused(400, "ErrorPropertyValidationFailure"), |error| matches!(error, ProviderError::Refused(_))),
    ];
    for (fault, expected) in cases {
        world.fake.faults().clear();
        world.fake.faults().add(Rule::new("POST", "/events", When::Always, fault.clone()));
        let error =
            world.provider.write_event(&world.calendar, &write_of(booking(7), first(), None)).await.unwrap_err();
        assert!(expected(&error), "{fault:?}: {error:?}");
    }
    world.fake.faults().clear();
    world.fake.set_writable(ADDRESS, &world.calendar.provider_calendar_id, false);
    let error = world.provider.write_event(&world.calendar, &write_of(booking(7), first(), None)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Refused(_)), "{error:?}");
}
