//! Everything the server answers is in Google's discovery document, with the type it has there.
//!
//! `calendar.v3.json` is the document, as Google serves it at
//! `https://www.googleapis.com/discovery/v1/apis/calendar/v3/rest`.

use serde_json::{Value, json};

use crate::client::{Client, DOCUMENT, SARAH};

/// What in a value is not as its schema says.
fn check(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return check(document, &document["schemas"][name], value, place, found);
    }
    let fits = match schema["type"].as_str().unwrap_or("any") {
        "string" => value.is_string() && is_of_format(schema["format"].as_str(), value.as_str().unwrap()),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "array" => {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.for_each(|(nth, item)| check(document, &schema["items"], item, &format!("{place}[{nth}]"), found));
            value.is_array()
        }
        "object" => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
                match known {
                    Some(known) => check(document, known, inner, &format!("{place}.{name}"), found),
                    None => found.push(format!("{place}.{name} is not in the document")),
                }
            }
            value.is_object()
        }
        _ => true,
    };
    if !fits {
        found.push(format!("{place} is {value}, not {}", schema["type"]));
    }
}

fn is_of_format(format: Option<&str>, text: &str) -> bool {
    match format {
        Some("date-time") => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        Some("date") => chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
        Some("int64") => text.parse::<i64>().is_ok(),
        _ => true,
    }
}

fn assert_shape(document: &Value, name: &str, value: &Value) {
    let mut found = Vec::new();
    check(document, &json!({"$ref": name}), value, name, &mut found);
    assert!(found.is_empty(), "{found:#?}");
    assert!(value.as_object().is_some_and(|object| object.len() > 2), "{value} says too little to be {name}");
}

#[tokio::test]
async fn answers_have_the_shapes_of_the_discovery_document() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let client = Client::new().await;
    let shaped = |name: &str, (status, value): (u16, Value)| {
        assert_eq!(status, 200, "{name}: {value}");
        assert_shape(&document, name, &value);
        value
    };
    let base = "calendars/primary/events";
    let time = |at: &str| json!({"dateTime": at, "timeZone": "Europe/Berlin"});
    let full = json!({
        "summary": "Plan", "description": "d", "location": "l", "colorId": "3", "visibility": "private",
        "start": time("2026-11-23T09:00:00+01:00"), "end": time("2026-11-23T10:00:00+01:00"),
        "attendees": [{"email": SARAH}, {"email": "tom@example.com", "responseStatus": "accepted"}],
        "extendedProperties": {"private": {"a": "b"}, "shared": {"c": "d"}},
        "conferenceData": {"createRequest": {"requestId": "abc", "conferenceSolutionKey": {"type": "hangoutsMeet"}}},
        "reminders": {"useDefault": false, "overrides": [{"method": "popup", "minutes": 5}]},
        "recurrence": ["RRULE:FREQ=DAILY;COUNT=4"],
    });
    let series = shaped("Event", client.post(&format!("{base}?conferenceDataVersion=1"), &full).await);
    assert_eq!(series["hangoutLink"].as_str().map(|link| link.starts_with("https://meet.google.com/")), Some(true));
    let day = json!({"start": {"date": "2026-11-24"}, "end": {"date": "2026-11-25"}, "eventType": "outOfOffice"});
    let day = shaped("Event", client.post(base, &day).await);
    let id = series["id"].as_str().unwrap();
    let instance = format!("{base}/{id}_20261124T080000Z");
    shaped("Event", client.get(&instance).await);
    shaped("Event", client.patch(&instance, &json!({"summary": "Other"})).await);
    shaped("Event", client.get(&format!("{base}/{}", day["id"].as_str().unwrap())).await);
    shaped("Events", client.get(&format!("{base}/{id}/instances?maxResults=2")).await);
    let listed = shaped("Events", client.get(base).await);
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "a series, its exception and a day");
    client.delete(&instance).await;
    for query in
        ["singleEvents=true&maxResults=1", "showDeleted=true&singleEvents=true", "timeMin=2026-11-24T00:00:00Z"]
    {
        shaped("Events", client.get(&format!("{base}?{query}")).await);
    }
    shaped("CalendarList", client.get("users/me/calendarList").await);
    shaped("CalendarListEntry", client.get("users/me/calendarList/primary").await);
    shaped("Calendar", client.get("calendars/primary").await);
    let question = json!({
        "timeMin": "2026-11-23T00:00:00Z", "timeMax": "2026-11-26T00:00:00Z",
        "items": [{"id": SARAH}, {"id": "nobody@example.com"}],
    });
    let answer = shaped("FreeBusyResponse", client.post("freeBusy", &question).await);
    assert!(!answer["calendars"][SARAH]["busy"].as_array().unwrap().is_empty());
    let channel = json!({"id": "channel-1", "type": "web_hook", "address": "https://example.com/bell", "token": "t"});
    shaped("Channel", client.post(&format!("{base}/watch"), &channel).await);
}
