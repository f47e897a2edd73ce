//! Which request goes where.

use crate::call::{Call, plain_id};
use crate::mailbox::{self, user_id};
use crate::reply::{Outcome, Reply, not_found};
use crate::store::Store;
use crate::{events, subscriptions, views};

/// Does what a request asks for, and counts it.
pub(crate) fn dispatch(store: &mut Store, call: &Call) -> Reply {
    route(store, call).unwrap_or_else(|refusal| refusal)
}

fn route(store: &mut Store, call: &Call) -> Outcome {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["subscriptions"]) => subscriptions::list(store, call),
        ("POST", ["subscriptions"]) => subscriptions::create(store, call),
        ("GET", ["subscriptions", id]) => subscriptions::get(store, call, id),
        ("PATCH", ["subscriptions", id]) => subscriptions::patch(store, call, id),
        ("DELETE", ["subscriptions", id]) => subscriptions::delete(store, call, id),
        (_, ["me", rest @ ..]) => in_mailbox(store, call, rest),
        (_, ["users", who, rest @ ..]) => {
            let own = who.eq_ignore_ascii_case(&call.address) || *who == user_id(&call.address);
            let denied =
                || Reply::refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.");
            if own { in_mailbox(store, call, rest) } else { Err(denied()) }
        }
        _ => Err(unknown()),
    }
}

fn in_mailbox(store: &mut Store, call: &Call, path: &[&str]) -> Outcome {
    match (call.method.as_str(), path) {
        ("GET", []) => mailbox::me(store, call),
        ("GET", ["mailboxSettings"]) => mailbox::settings(store, call),
        ("GET", ["calendars"]) => mailbox::calendars(store, call),
        ("POST", ["calendars"]) => mailbox::create_calendar(store, call),
        ("GET", ["calendar"]) => mailbox::get_calendar(store, call, &default_calendar(store, call)?),
        ("GET", ["calendars", id]) => mailbox::get_calendar(store, call, plain_id(id)),
        ("DELETE", ["calendars", id]) => mailbox::delete_calendar(store, call, plain_id(id)),
        ("POST", ["calendar", "getSchedule" | "microsoft.graph.getSchedule"]) => mailbox::schedule(store, call),
        (_, ["calendars", id, rest @ ..]) => {
            store.calendar(&call.address, plain_id(id))?;
            in_calendar(store, call, plain_id(id), rest)
        }
        (_, ["events", _, ..]) => in_calendar(store, call, "", path),
        (_, ["calendar", rest @ ..]) => {
            let calendar = default_calendar(store, call)?;
            in_calendar(store, call, &calendar, rest)
        }
        (_, ["events" | "calendarView", ..]) => {
            let calendar = default_calendar(store, call)?;
            in_calendar(store, call, &calendar, path)
        }
        _ => Err(unknown()),
    }
}

fn default_calendar(store: &Store, call: &Call) -> Result<String, Reply> {
    let calendars = &store.mailbox(&call.address)?.calendars;
    calendars.first().map(|calendar| calendar.id.clone()).ok_or_else(not_found)
}

fn in_calendar(store: &mut Store, call: &Call, calendar: &str, path: &[&str]) -> Outcome {
    match (call.method.as_str(), path) {
        ("GET", ["events"]) => events::list(store, call, calendar),
        ("POST", ["events"]) => events::create(store, call, calendar),
        ("GET", ["events", id]) => events::get(store, call, calendar, id),
        ("PATCH", ["events", id]) => events::patch(store, call, calendar, id),
        ("DELETE", ["events", id]) => events::delete(store, call, calendar, id),
        ("GET", ["events", id, "instances"]) => views::instances_of(store, call, calendar, id),
        ("POST", ["events", id, how @ ("accept" | "decline" | "tentativelyAccept" | "cancel")]) => {
            events::answer(store, call, calendar, id, how)
        }
        ("GET", ["calendarView"]) => views::calendar_view(store, call, calendar),
        ("GET", ["calendarView", "delta" | "delta()" | "microsoft.graph.delta()"]) => {
            views::delta(store, call, calendar)
        }
        _ => Err(unknown()),
    }
}

fn unknown() -> Reply {
    Reply::refusal(400, "BadRequest", "Resource not found for the segment.")
}

/// What a request is called when it is counted: its method and the kinds of things in its path.
pub(crate) fn operation(call: &Call) -> String {
    let is_id = |before: Option<&str>| matches!(before, Some("calendars" | "events" | "subscriptions" | "users"));
    let mut kinds: Vec<&str> = Vec::new();
    for part in &call.path {
        let kind = if is_id(kinds.last().copied()) {
            "{id}"
        } else {
            part.trim_start_matches("microsoft.graph.").trim_end_matches("()")
        };
        kinds.push(kind);
    }
    format!("{} /{}", call.method, kinds.join("/"))
}
