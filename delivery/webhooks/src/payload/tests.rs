use std::sync::Arc;

use agentcal_engine::ids::{BookingId, CalendarId, ConnectionId, EventId, UserId};
use agentcal_engine::model::{Attendee, Event, EventKind, ProviderKind, Writeback};
use serde_json::json;
use uuid::Uuid;

use super::*;

const NINE: Timestamp = Timestamp::from_seconds(1_795_420_800);

fn booking() -> Booking {
    let host = |n| BookingHost {
        user_id: UserId::from_uuid(Uuid::from_u128(n)),
        calendar_id: Some(CalendarId::from_uuid(Uuid::from_u128(n))),
        provider_event_id: None,
        writeback: Some(Writeback { state: WritebackState::Pending, attempts: 0, last_error: None }),
        external_state: Some(ExternalState::InSync),
    };
    Booking {
        id: BookingId::from_uuid(Uuid::from_u128(1)),
        account_id: AccountId::from_uuid(Uuid::from_u128(2)),
        event_type_id: None,
        title: "Checkup".into(),
        location: None,
        range: TimeRange::new(NINE, NINE.plus_micros(1_800_000_000)).expect("half an hour"),
        status: BookingStatus::Confirmed,
        timezone: Tz::Europe__Berlin,
        attendee: Attendee { name: "Max".into(), email: Some("max@example.com".into()), phone: None, timezone: None },
        metadata: Map::from_iter([("call_id".to_owned(), json!("c-1"))]),
        hosts: vec![host(5)],
        sequence: 3,
        attendee_reschedules: 0,
        cancel_reason: None,
        conference: None,
        created_at: NINE.plus_micros(-1_000_000),
    }
}

fn told(event: Option<Event>) -> Told {
    Told::new(AccountId::from_uuid(Uuid::from_u128(2)), NINE, event.map(Arc::new))
}

fn said(kind: EventKind, subject: EventSubject) -> Value {
    let body = render(&told(Some(Event { id: EventId::from_uuid(Uuid::nil()), kind, subject })));
    assert!(body.len() <= PAYLOAD_LEN_MAX, "{}", body.len());
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn a_booking_is_told_as_it_was() {
    let previous_range = TimeRange::new(NINE.plus_micros(-3_600_000_000), NINE);
    let subject = EventSubject::Booking { booking: Box::new(booking()), previous_range, minutes_before: None };
    let expected = json!({
        "type": "booking.rescheduled",
        "timestamp": "2026-11-23T08:00:00+00:00",
        "account_id": "acct_00000000000000000000000002",
        "data": {
            "booking": {
                "id": "book_00000000000000000000000001",
                "status": "confirmed",
                "event_type_id": null,
                "title": "Checkup",
                "location": null,
                "conference": null,
                "start_time": "2026-11-23T09:00:00+01:00",
                "end_time": "2026-11-23T09:30:00+01:00",
                "timezone": "Europe/Berlin",
                "attendee": {"name": "Max", "email": "max@example.com", "phone": null, "timezone": null},
                "metadata": {"call_id": "c-1"},
                "user_ids": ["user_00000000000000000000000005"],
                "hosts": [{
                    "user_id": "user_00000000000000000000000005",
                    "writeback": {"state": "pending", "attempts": 0, "last_error": null},
                    "external_state": "in_sync",
                }],
                "cancel_reason": null,
                "created_at": "2026-11-23T08:59:59+01:00",
            },
            "sequence": 3,
            "previous": {"start_time": "2026-11-23T08:00:00+01:00", "end_time": "2026-11-23T09:00:00+01:00"},
        },
    });
    assert_eq!(said(EventKind::BookingRescheduled, subject), expected);
}

#[test]
fn a_reminder_says_which_it_is() {
    let subject =
        EventSubject::Booking { booking: Box::new(booking()), previous_range: None, minutes_before: Some(60) };
    let said = said(EventKind::BookingReminder, subject);
    assert_eq!((&said["type"], &said["data"]["minutes_before"]), (&json!("booking.reminder"), &json!(60)));
    assert_eq!(said["data"].get("previous"), None);
}

#[test]
fn a_message_is_never_too_long() {
    let check = |metadata_len: usize, hosts: usize, error_len: usize, omitted: Value| {
        let mut booking = booking();
        booking.metadata.insert("long".into(), Value::String("x".repeat(metadata_len)));
        let mut host = booking.hosts[0].clone();
        host.writeback = Some(Writeback { last_error: Some("e".repeat(error_len)), ..host.writeback.expect("there") });
        booking.hosts = vec![host; hosts];
        booking.title = "\u{1F4C5}".repeat(200);
        booking.attendee.name = "\u{1F4C5}".repeat(200);
        booking.location = Some("\u{1F4C5}".repeat(1_000));
        booking.cancel_reason = Some("\u{1F4C5}".repeat(500));
        let subject = EventSubject::booking(booking);
        let said = said(EventKind::BookingCancelled, subject);
        assert_eq!(said["data"]["booking"]["omitted"], omitted);
        assert_eq!(said["data"]["booking"]["user_ids"].as_array().expect("a list").len(), hosts);
    };
    check(100, 1, 10, Value::Null);
    check(16_000, 1, 10, json!(["metadata"]));
    check(16_000, 100, 300, json!(["metadata", "hosts"]));
}

#[test]
fn a_connection_is_told_without_what_it_holds() {
    let connection = Connection {
        id: ConnectionId::from_uuid(Uuid::from_u128(1)),
        account_id: AccountId::from_uuid(Uuid::from_u128(2)),
        provider: ProviderKind::Caldav,
        display_name: "sarah".into(),
        owner_addresses: vec!["sarah@example.com".into()],
        status: ConnectionStatus::ReauthorizationRequired,
        status_reason: Some("the password was refused".into()),
        created_at: NINE,
    };
    let subject = EventSubject::Connection { connection: Box::new(connection) };
    let said = said(EventKind::ConnectionReauthorizationRequired, subject);
    let expected = json!({
        "id": "conn_00000000000000000000000001",
        "display_name": "sarah",
        "status": "reauthorization_required",
        "status_reason": "the password was refused",
        "created_at": "2026-11-23T08:00:00+00:00",
    });
    assert_eq!(said["data"]["connection"], expected);
}

#[test]
fn a_test_message_tells_of_nobody() {
    let body: Value = serde_json::from_slice(&render(&told(None))).expect("JSON");
    let expected = json!({"type": "webhook.test", "timestamp": "2026-11-23T08:00:00+00:00", "data": {}});
    assert_eq!(body, expected);
}
