//! Events: made, read, changed, answered and deleted.

use serde_json::{Value, json};

use crate::call::{Call, plain_id};
use crate::render;
use crate::reply::{Outcome, Reply, bad_request, not_found};
use crate::series::{Instance, occurrence_on, parts_of, rule_of};
use crate::store::{Event, Exception, Mailbox, OnlineMeetings, Store};
use crate::times::{Fields, is_all_day, span_of, wall_and_zone};

/// What a caller may set.
const WRITABLE: [&str; 24] = [
    "subject",
    "body",
    "start",
    "end",
    "location",
    "locations",
    "attendees",
    "recurrence",
    "isAllDay",
    "showAs",
    "sensitivity",
    "importance",
    "categories",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "allowNewTimeProposals",
    "hideAttendees",
    "isOnlineMeeting",
    "onlineMeetingProvider",
    "transactionId",
    "singleValueExtendedProperties",
    "originalStartTimeZone",
    "originalEndTimeZone",
];
const SHOW_AS: [&str; 6] = ["free", "tentative", "busy", "oof", "workingElsewhere", "unknown"];

/// An event a path names: whole, or one occurrence of a series.
enum Named {
    Whole(Event),
    Occurrence(Event, Box<Instance>),
}

pub(crate) fn create(store: &mut Store, call: &Call, calendar: &str) -> Outcome {
    let target = store.calendar(&call.address, calendar)?;
    if !target.can_edit {
        return Err(Reply::refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."));
    }
    let mut fields = checked(&call.body, &Fields::new(), store.mailbox(&call.address)?)?;
    let transaction = fields.get("transactionId").and_then(Value::as_str).map(str::to_owned);
    if let Some(transaction) = &transaction {
        let mailbox = store.mailbox(&call.address)?;
        let made = mailbox.transactions.get(transaction);
        let stands = made.is_some_and(|event| mailbox.calendar_of(event).is_some());
        if stands || (made.is_some() && store.behaviour.remembers_transactions) {
            let message = "Your request can't be completed. The TransactionId specified in the request has already \
                           been used to create a different event.";
            return Err(Reply::refusal(409, "ErrorDuplicateTransactionId", message));
        }
    }
    meet_online(store, None, &mut fields);
    let (change, now) = (store.next(), store.now());
    let id = format!("E{change:08}");
    let event = Event { id: id.clone(), change, created: now, modified: now, fields, exceptions: Default::default() };
    let mailbox = store.mailbox_mut(&call.address)?;
    if let Some(transaction) = transaction {
        mailbox.transactions.insert(transaction, id.clone());
    }
    let shown = render::event(call, mailbox, &event);
    store.calendar_mut(&call.address, calendar)?.events.insert(id.clone(), event);
    store.changed(&call.address, calendar, &id, "created");
    Ok(Reply::created(shown))
}

pub(crate) fn get(store: &Store, call: &Call, calendar: &str, id: &str) -> Outcome {
    let mailbox = store.mailbox(&call.address)?;
    let shown = match named(store, call, calendar, id)? {
        Named::Whole(event) => render::event(call, mailbox, &event),
        Named::Occurrence(event, instance) => render::instance(call, mailbox, &event, &instance),
    };
    Ok(Reply::ok(call.selected(shown)))
}

pub(crate) fn list(store: &Store, call: &Call, calendar: &str) -> Outcome {
    let mailbox = store.mailbox(&call.address)?;
    let filter = call.parameter("$filter").map(Filter::of).transpose()?;
    let events = store.calendar(&call.address, calendar)?.events.values();
    let kept = events.filter(|event| filter.as_ref().is_none_or(|filter| filter.keeps(&event.fields)));
    let mut shown: Vec<Value> = kept.map(|event| render::event(call, mailbox, event)).collect();
    shown.sort_by_key(|event| event["start"]["dateTime"].as_str().map(str::to_owned));
    Ok(Reply::ok(call.page(shown, store.behaviour.page_len.0)))
}

pub(crate) fn patch(store: &mut Store, call: &Call, calendar: &str, id: &str) -> Outcome {
    let named = named(store, call, calendar, id)?;
    let mailbox = store.mailbox(&call.address)?.clone();
    let (mut event, fields, date) = match named {
        Named::Whole(event) => {
            let fields = event.fields.clone();
            (event, fields, None)
        }
        Named::Occurrence(event, instance) => {
            let date = parts_of(&instance.id).map(|(_, date)| date);
            (event, instance.fields, date)
        }
    };
    let version = date.and_then(|date| event.exceptions.get(&date)).map_or(event.change, |exception| match exception {
        Exception::Changed { change, .. } => *change,
        Exception::Deleted => event.change,
    });
    require_version(call, version)?;
    if call.body.get("transactionId").is_some() {
        return Err(bad_request("ErrorPropertyUpdate", "transactionId can be set only when the event is created."));
    }
    let before = fields.get("isOnlineMeeting").cloned();
    let mut fields = checked(&call.body, &fields, &mailbox)?;
    meet_online(store, before.as_ref(), &mut fields);
    let (change, now) = (store.next(), store.now());
    event.modified = now;
    match date {
        Some(date) => drop(event.exceptions.insert(date, Exception::Changed { fields, change })),
        None => {
            if call.body.get("recurrence").is_some() || call.body.get("start").is_some() {
                event.exceptions.clear();
            }
            (event.fields, event.change) = (fields, change);
        }
    }
    let calendar = calendar_with(store, call, calendar, &event.id)?;
    store.calendar_mut(&call.address, &calendar)?.events.insert(event.id.clone(), event.clone());
    store.changed(&call.address, &calendar, &event.id, "updated");
    get(store, call, &calendar, id)
}

pub(crate) fn delete(store: &mut Store, call: &Call, calendar: &str, id: &str) -> Outcome {
    let named = named(store, call, calendar, id)?;
    let change = store.next();
    let (mut event, date) = match named {
        Named::Whole(event) => {
            require_version(call, event.change)?;
            (event, None)
        }
        Named::Occurrence(event, instance) => {
            let date = parts_of(&instance.id).map(|(_, date)| date);
            (event, date)
        }
    };
    let calendar = calendar_with(store, call, calendar, &event.id)?;
    let events = &mut store.calendar_mut(&call.address, &calendar)?.events;
    match date {
        None => drop(events.remove(&event.id)),
        Some(date) => {
            event.exceptions.insert(date, Exception::Deleted);
            event.change = change;
            events.insert(event.id.clone(), event.clone());
        }
    }
    store.changed(&call.address, &calendar, &event.id, "deleted");
    Ok(Reply::empty(204))
}

/// Accepting, declining and cancelling.
pub(crate) fn answer(store: &mut Store, call: &Call, calendar: &str, id: &str, how: &str) -> Outcome {
    let calendar = calendar_with(store, call, calendar, plain_id(id))?;
    let change = store.next();
    let event = store.calendar_mut(&call.address, &calendar)?.events.get_mut(plain_id(id)).ok_or_else(not_found)?;
    let response = match how {
        "accept" => "accepted",
        "decline" => "declined",
        "tentativelyAccept" => "tentativelyAccepted",
        _ => "organizer",
    };
    if how == "cancel" {
        event.fields.insert("isCancelled".into(), json!(true));
    } else {
        event.fields.insert("responseStatus".into(), json!({ "response": response, "time": "2026-01-01T00:00:00Z" }));
    }
    event.change = change;
    let id = event.id.clone();
    store.changed(&call.address, &calendar, &id, "updated");
    Ok(Reply::empty(202))
}

fn named(store: &Store, call: &Call, calendar: &str, id: &str) -> Result<Named, Reply> {
    let id = plain_id(id);
    let mailbox = store.mailbox(&call.address)?;
    let series = parts_of(id);
    let calendar = calendar_with(store, call, calendar, series.map_or(id, |(series, _)| series))?;
    let events = &store.calendar(&call.address, &calendar)?.events;
    let Some((series, date)) = series else {
        return events.get(id).cloned().map(Named::Whole).ok_or_else(not_found);
    };
    let event = events.get(series).cloned().ok_or_else(not_found)?;
    let instance = occurrence_on(&event, date, mailbox.zone()).ok_or_else(not_found)?;
    Ok(Named::Occurrence(event, Box::new(instance)))
}

/// The calendar to look in: the one that was named, or, by `/me/events`, whichever holds the event.
fn calendar_with(store: &Store, call: &Call, calendar: &str, event: &str) -> Result<String, Reply> {
    if !calendar.is_empty() {
        let holds = store.calendar(&call.address, calendar)?.events.contains_key(event);
        return if holds { Ok(calendar.to_owned()) } else { Err(not_found()) };
    }
    let found = store.mailbox(&call.address)?.calendar_of(event);
    found.map(|calendar| calendar.id.clone()).ok_or_else(not_found)
}

fn require_version(call: &Call, change: u64) -> Result<(), Reply> {
    match call.if_match.as_deref() {
        None | Some("*") => Ok(()),
        Some(etag) if etag == render::etag(change) => Ok(()),
        Some(_) => {
            let message = "The send or update operation could not be performed because the change key passed in the \
                           request does not match the current change key for the item.";
            Err(Reply::refusal(412, "ErrorIrresolvableConflict", message))
        }
    }
}

/// The fields of an event after a change, if it may be made.
fn checked(body: &Value, before: &Fields, mailbox: &Mailbox) -> Result<Fields, Reply> {
    let changes = body.as_object().ok_or_else(|| bad_request("RequestBodyRead", "The body is not an object."))?;
    let mut fields = before.clone();
    for (name, value) in changes {
        let known = WRITABLE.contains(&name.as_str()) || name.starts_with('@');
        if !known {
            let message =
                format!("The property '{name}' does not exist on type 'microsoft.graph.event' or is read-only.");
            return Err(bad_request("RequestBodyRead", &message));
        }
        if !name.starts_with('@') {
            fields.insert(name.clone(), value.clone());
        }
    }
    let needed = |name: &str| fields.get(name).is_some_and(Value::is_object);
    if !needed("start") || !needed("end") {
        return Err(bad_request(
            "ErrorPropertyValidationFailure",
            "At least one property failed validation: Start, End.",
        ));
    }
    if fields.get("showAs").is_some_and(|show_as| !SHOW_AS.iter().any(|known| show_as == *known)) {
        return Err(bad_request("RequestBodyRead", "Requested value was not found: showAs."));
    }
    let (start, end) = span_of(&fields, mailbox.zone())?;
    let midnight =
        |name: &str| wall_and_zone(&fields[name]).is_ok_and(|(wall, _)| wall.time() == chrono::NaiveTime::MIN);
    let whole = !is_all_day(&fields) || (midnight("start") && midnight("end") && start < end);
    if end < start || !whole {
        return Err(bad_request("ErrorPropertyValidationFailure", "The event's start and end do not go together."));
    }
    match fields.get("recurrence") {
        Some(Value::Null) => drop(fields.remove("recurrence")),
        Some(recurrence) => drop(rule_of(recurrence)?),
        None => {}
    }
    Ok(fields)
}

/// Settles whether an event is an online meeting. One that is stays one, whatever is said later.
fn meet_online(store: &mut Store, before: Option<&Value>, fields: &mut Fields) {
    let wants = fields.get("isOnlineMeeting") == Some(&Value::Bool(true));
    match store.behaviour.online_meetings {
        _ if before == Some(&Value::Bool(true)) => {
            fields.insert("isOnlineMeeting".into(), json!(true));
        }
        _ if !wants => {}
        OnlineMeetings::Never => {
            fields.insert("isOnlineMeeting".into(), json!(false));
            fields.insert("onlineMeetingProvider".into(), json!("unknown"));
        }
        how => {
            fields.insert("onlineMeetingProvider".into(), json!("teamsForBusiness"));
            store.online_meetings += 1;
            let link = if how == OnlineMeetings::Later { Value::Null } else { online_meeting(store.online_meetings) };
            fields.insert("onlineMeeting".into(), link);
        }
    }
}

/// Every event that waits for its online meeting has it now.
pub(crate) fn make_online_meetings(store: &mut Store) {
    let waits = |event: &&mut Event| {
        event.fields.get("isOnlineMeeting") == Some(&Value::Bool(true))
            && event.fields.get("onlineMeeting").is_none_or(Value::is_null)
    };
    let (first, mut made) = (store.next(), 0);
    for calendar in store.mailboxes.values_mut().flat_map(|mailbox| &mut mailbox.calendars) {
        for event in calendar.events.values_mut().filter(waits) {
            made += 1;
            event.change = first;
            event.fields.insert("onlineMeeting".into(), online_meeting(store.online_meetings + made));
        }
    }
}

/// How to join the n-th meeting.
pub(crate) fn online_meeting(number: u64) -> Value {
    json!({ "joinUrl": format!("https://teams.microsoft.com/l/meetup-join/19%3ameeting_{number}%40thread.v2/0") })
}

/// The filters that are understood.
enum Filter {
    Property { id: String, value: String },
    Subject(String),
}

impl Filter {
    fn of(text: &str) -> Result<Self, Reply> {
        let quoted: Vec<String> = text.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
        match quoted.as_slice() {
            [id, value] if text.starts_with("singleValueExtendedProperties/any(") => {
                Ok(Self::Property { id: id.clone(), value: value.clone() })
            }
            [subject] if text.starts_with("subject eq ") => Ok(Self::Subject(subject.clone())),
            _ => Err(bad_request("ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.")),
        }
    }

    fn keeps(&self, fields: &Fields) -> bool {
        match self {
            Self::Subject(subject) => fields.get("subject").is_some_and(|found| found == subject),
            Self::Property { id, value } => {
                let properties = fields.get("singleValueExtendedProperties").and_then(Value::as_array);
                let has = |property: &Value| property["id"] == *id && property["value"] == *value;
                properties.is_some_and(|properties| properties.iter().any(has))
            }
        }
    }
}
