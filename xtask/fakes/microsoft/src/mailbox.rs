//! Who somebody is, the mailbox's settings, its calendars and its schedule.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::call::Call;
use crate::reply::{Outcome, Reply, bad_request, not_found};
use crate::series::instances;
use crate::store::{Calendar, Mailbox, Store};
use crate::times::{Span, is_all_day, wall_and_zone};

pub(crate) fn me(store: &Store, call: &Call) -> Outcome {
    let mailbox = store.mailbox(&call.address)?;
    let me = json!({
        "@odata.context": format!("{}/$metadata#users/$entity", call.base),
        "id": user_id(&mailbox.address),
        "displayName": mailbox.display_name,
        "givenName": null, "surname": null, "jobTitle": null, "mobilePhone": null, "officeLocation": null,
        "businessPhones": [], "preferredLanguage": "en-US",
        "mail": mailbox.address,
        "userPrincipalName": mailbox.address,
    });
    Ok(Reply::ok(call.selected(me)))
}

/// A user's id: the address, so that it reads like one.
pub(crate) fn user_id(address: &str) -> String {
    let number = address.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("00000000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff)
}

pub(crate) fn settings(store: &Store, call: &Call) -> Outcome {
    let timezone = &store.mailbox(&call.address)?.timezone;
    let hours = json!({
        "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        "startTime": "08:00:00.0000000", "endTime": "17:00:00.0000000", "timeZone": { "name": timezone },
    });
    let settings = json!({
        "timeZone": timezone, "dateFormat": "M/d/yyyy", "timeFormat": "h:mm tt",
        "language": { "locale": "en-US", "displayName": "English (United States)" }, "workingHours": hours,
    });
    Ok(Reply::ok(call.selected(settings)))
}

pub(crate) fn calendars(store: &Store, call: &Call) -> Outcome {
    let mailbox = store.mailbox(&call.address)?;
    let shown = mailbox.calendars.iter().enumerate().map(|(place, found)| calendar(call, mailbox, found, place == 0));
    Ok(Reply::ok(call.page(shown.collect(), store.behaviour.page_len.0)))
}

pub(crate) fn get_calendar(store: &Store, call: &Call, id: &str) -> Outcome {
    let mailbox = store.mailbox(&call.address)?;
    let place = mailbox.calendars.iter().position(|calendar| calendar.id == id).ok_or_else(not_found)?;
    Ok(Reply::ok(call.selected(calendar(call, mailbox, &mailbox.calendars[place], place == 0))))
}

pub(crate) fn create_calendar(store: &mut Store, call: &Call) -> Outcome {
    let name = call.body["name"].as_str().ok_or_else(|| bad_request("ErrorInvalidRequest", "name is missing"))?;
    let id = format!("C{:08}", store.next());
    let made = Calendar { id, name: name.to_owned(), can_edit: true, events: Default::default() };
    let mailbox = store.mailbox_mut(&call.address)?;
    mailbox.calendars.push(made.clone());
    Ok(Reply::created(calendar(call, mailbox, &made, false)))
}

pub(crate) fn delete_calendar(store: &mut Store, call: &Call, id: &str) -> Outcome {
    let calendars = &mut store.mailbox_mut(&call.address)?.calendars;
    let place = calendars.iter().position(|calendar| calendar.id == id).ok_or_else(not_found)?;
    if place == 0 {
        return Err(bad_request("ErrorCalendarDelete", "The default calendar cannot be deleted."));
    }
    calendars.remove(place);
    Ok(Reply::empty(204))
}

fn calendar(call: &Call, mailbox: &Mailbox, calendar: &Calendar, is_default: bool) -> Value {
    json!({
        "id": call.shown(&calendar.id),
        "name": calendar.name,
        "color": "auto", "hexColor": "", "changeKey": "fake", "isDefaultCalendar": is_default,
        "canShare": is_default, "canViewPrivateItems": true, "canEdit": calendar.can_edit,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"], "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": is_default, "isRemovable": !is_default,
        "owner": { "name": mailbox.display_name, "address": mailbox.address },
    })
}

/// When people are busy, as `getSchedule` says it.
pub(crate) fn schedule(store: &Store, call: &Call) -> Outcome {
    let read = |name: &str| -> Result<DateTime<Utc>, Reply> {
        let (wall, zone) = wall_and_zone(&call.body[name])?;
        Ok(agentcal_fake_kit::recurrence::instant_of(wall, zone))
    };
    let within = (read("startTime")?, read("endTime")?);
    let minutes = call.body["availabilityViewInterval"].as_i64().unwrap_or(30).clamp(5, 1_440);
    let missing = || bad_request("ErrorInvalidParameter", "schedules is missing");
    let asked = call.body["schedules"].as_array().ok_or_else(missing)?;
    let schedules = asked.iter().filter_map(Value::as_str).map(|address| {
        let Some(mailbox) = store.mailboxes.get(&address.to_lowercase()) else {
            let error = json!({ "message": "The mailbox is not found.", "responseCode": "ErrorMailRecipientNotFound" });
            return json!({ "scheduleId": address, "error": error });
        };
        let items = items_of(mailbox, within);
        let text = |at: DateTime<Utc>| json!({ "dateTime": at.format("%Y-%m-%dT%H:%M:%S.0000000").to_string(), "timeZone": "UTC" });
        let shown: Vec<Value> = items
            .iter()
            .map(|(status, span)| json!({ "status": status, "start": text(span.0), "end": text(span.1), "isPrivate": false }))
            .collect();
        json!({ "scheduleId": address, "availabilityView": view_of(&items, within, minutes), "scheduleItems": shown })
    });
    Ok(Reply::ok(json!({ "value": schedules.collect::<Vec<Value>>() })))
}

fn items_of(mailbox: &Mailbox, within: Span) -> Vec<(String, Span)> {
    let events = mailbox.calendars.first().into_iter().flat_map(|calendar| calendar.events.values());
    let found = events.flat_map(|event| instances(event, within, mailbox.zone()));
    let mut items: Vec<(String, Span)> = found
        .filter(|instance| !is_cancelled(&instance.fields))
        .map(|instance| {
            (instance.fields.get("showAs").and_then(Value::as_str).unwrap_or("busy").to_owned(), instance.span)
        })
        .collect();
    items.sort_by_key(|(_, span)| *span);
    items
}

fn view_of(items: &[(String, Span)], within: Span, minutes: i64) -> String {
    let (mut view, mut at) = (String::new(), within.0);
    while at < within.1 && view.len() < 10_000 {
        let end = at + TimeDelta::minutes(minutes);
        let here = items.iter().filter(|(_, span)| span.0 < end && at < span.1);
        let worst = here.map(|(status, _)| digit(status)).max_by_key(|digit| "04123".find(*digit));
        view.push(worst.unwrap_or('0'));
        at = end;
    }
    view
}

fn digit(status: &str) -> char {
    match status {
        "free" => '0',
        "tentative" => '1',
        "oof" => '3',
        "workingElsewhere" => '4',
        _ => '2',
    }
}

fn is_cancelled(fields: &crate::times::Fields) -> bool {
    fields.get("isCancelled") == Some(&Value::Bool(true))
}

/// What takes time in a calendar, by what AgentCal's contract calls busy: merged and ascending. It is worked out from what
/// the fake remembers, not from what it answers.
pub(crate) fn busy(mailbox: &Mailbox, calendar: &Calendar, within: Span) -> Vec<Span> {
    let found = calendar.events.values().flat_map(|event| instances(event, within, mailbox.zone()));
    let blocks = |fields: &crate::times::Fields| {
        let free = matches!(fields.get("showAs").and_then(Value::as_str), Some("free" | "workingElsewhere"));
        let declined = fields.get("responseStatus").is_some_and(|status| status["response"] == "declined");
        !free && !declined && !is_cancelled(fields) && (!is_all_day(fields) || fields["start"] != fields["end"])
    };
    let mut spans: Vec<Span> = found
        .filter(|instance| blocks(&instance.fields) && instance.span.0 < instance.span.1)
        .map(|instance| instance.span)
        .collect();
    spans.sort();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}
