//! Events as Graph shows them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::call::Call;
use crate::series::Instance;
use crate::store::{Event, Exception, Mailbox};
use crate::times::{Fields, is_all_day, rendered, stamp};

pub(crate) fn change_key(change: u64) -> String {
    BASE64_STANDARD.encode(format!("fake{change:012}"))
}

pub(crate) fn etag(change: u64) -> String {
    format!("W/\"{}\"", change_key(change))
}

/// A single event, or a series.
pub(crate) fn event(call: &Call, mailbox: &Mailbox, event: &Event) -> Value {
    let is_series = event.fields.get("recurrence").is_some_and(|rule| !rule.is_null());
    let kind = if is_series { "seriesMaster" } else { "singleInstance" };
    whole(
        call,
        mailbox,
        event,
        &Shown { id: &event.id, kind, series: None, change: event.change, fields: &event.fields },
    )
}

/// An instance of an event.
pub(crate) fn instance(call: &Call, mailbox: &Mailbox, event: &Event, instance: &Instance) -> Value {
    let date = crate::series::parts_of(&instance.id).map(|(_, date)| date);
    let change = match date.and_then(|date| event.exceptions.get(&date)) {
        Some(Exception::Changed { change, .. }) => *change,
        Some(Exception::Deleted) | None => event.change,
    };
    let series = instance.series.as_deref();
    whole(
        call,
        mailbox,
        event,
        &Shown { id: &instance.id, kind: instance.kind, series, change, fields: &instance.fields },
    )
}

/// An occurrence as rounds show it: only when it is.
pub(crate) fn bare(call: &Call, event: &Event, instance: &Instance) -> Value {
    let all_day = is_all_day(&instance.fields);
    let zone = &call.prefer.timezone;
    json!({
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": etag(event.change),
        "id": call.shown(&instance.id),
        "seriesMasterId": instance.series.as_deref().map(|series| call.shown(series)),
        "type": instance.kind,
        "start": rendered(&instance.fields["start"], all_day, zone),
        "end": rendered(&instance.fields["end"], all_day, zone),
    })
}

struct Shown<'a> {
    id: &'a str,
    kind: &'a str,
    series: Option<&'a str>,
    change: u64,
    fields: &'a Fields,
}

fn whole(call: &Call, mailbox: &Mailbox, event: &Event, shown: &Shown<'_>) -> Value {
    let mut out = defaults(mailbox);
    let all_day = is_all_day(shown.fields);
    for (name, value) in shown.fields {
        let is_point = name == "start" || name == "end";
        let value = if is_point { rendered(value, all_day, &call.prefer.timezone) } else { value.clone() };
        out.insert(name.clone(), value);
    }
    for name in ["start", "end"] {
        let original = shown.fields.get(name).and_then(|time| time.get("timeZone")).cloned().unwrap_or(json!("UTC"));
        let field = if name == "start" { "originalStartTimeZone" } else { "originalEndTimeZone" };
        out.insert(field.to_owned(), original);
    }
    if !call.parameter("$expand").is_some_and(|expand| expand.contains("singleValueExtendedProperties")) {
        out.remove("singleValueExtendedProperties");
    }
    out.insert("@odata.etag".into(), json!(etag(shown.change)));
    out.insert("id".into(), json!(call.shown(shown.id)));
    out.insert("changeKey".into(), json!(change_key(shown.change)));
    out.insert("createdDateTime".into(), json!(stamp(event.created)));
    out.insert("lastModifiedDateTime".into(), json!(stamp(event.modified)));
    out.insert("iCalUId".into(), json!(format!("040000008200E00074C5B7101A82E008{}", event.id)));
    out.insert("type".into(), json!(shown.kind));
    out.insert("seriesMasterId".into(), shown.series.map_or(Value::Null, |series| json!(call.shown(series))));
    if shown.kind != "seriesMaster" {
        out.insert("recurrence".into(), Value::Null);
    }
    Value::Object(out)
}

/// What an event says that nobody said anything about.
fn defaults(mailbox: &Mailbox) -> Fields {
    let defaults = json!({
        "categories": [], "transactionId": null, "reminderMinutesBeforeStart": 15, "isReminderOn": true,
        "hasAttachments": false, "subject": "", "bodyPreview": "", "importance": "normal", "sensitivity": "normal",
        "isAllDay": false, "isCancelled": false, "isOrganizer": true, "responseRequested": true, "showAs": "busy",
        "webLink": "https://outlook.office365.com/owa/", "onlineMeetingUrl": null, "isOnlineMeeting": false,
        "onlineMeetingProvider": "unknown", "allowNewTimeProposals": true, "isDraft": false, "hideAttendees": false,
        "onlineMeeting": null, "responseStatus": { "response": "organizer", "time": "0001-01-01T00:00:00Z" },
        "body": { "contentType": "html", "content": "" }, "location": { "displayName": "", "locationType": "default",
            "uniqueIdType": "unknown", "address": {}, "coordinates": {} },
        "locations": [], "attendees": [], "recurrence": null,
        "organizer": { "emailAddress": { "name": mailbox.display_name, "address": mailbox.address } },
    });
    match defaults {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}
