//! Events by time: calendar views, instances, and rounds of changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_fake_kit::tokens;
use serde_json::{Value, json};

use crate::call::{Call, plain_id};
use crate::render;
use crate::reply::{Outcome, Reply, bad_request, not_found};
use crate::series::{Instance, instances, parts_of};
use crate::store::{Event, Round, Store};
use crate::times::{Span, point};

/// Parameters rounds do not put up with.
const NOT_IN_ROUNDS: [&str; 5] = ["$select", "$filter", "$orderby", "$expand", "$search"];
/// Rounds of one calendar that can still be continued.
const ROUNDS_KEPT: usize = 16;

fn window_of(call: &Call) -> Result<Span, Reply> {
    let read = |name: &str| {
        let invalid = || bad_request("ErrorInvalidParameter", &format!("The value of {name} cannot be read."));
        point(call.required(name)?).ok_or_else(invalid)
    };
    let within = (read("startDateTime")?, read("endDateTime")?);
    let message = "The end of the window lies before its beginning.";
    if within.0 <= within.1 { Ok(within) } else { Err(bad_request("ErrorInvalidParameter", message)) }
}

pub(crate) fn calendar_view(store: &Store, call: &Call, calendar: &str) -> Outcome {
    let (mailbox, within) = (store.mailbox(&call.address)?, window_of(call)?);
    let mut found: Vec<(&Event, Instance)> = Vec::new();
    for event in store.calendar(&call.address, calendar)?.events.values() {
        found.extend(instances(event, within, mailbox.zone()).into_iter().map(|instance| (event, instance)));
    }
    found.sort_by_key(|(_, instance)| instance.span);
    let shown = found.iter().map(|(event, instance)| render::instance(call, mailbox, event, instance)).collect();
    Ok(Reply::ok(call.page(shown, store.behaviour.page_len.0)))
}

pub(crate) fn instances_of(store: &Store, call: &Call, calendar: &str, series: &str) -> Outcome {
    let (mailbox, within) = (store.mailbox(&call.address)?, window_of(call)?);
    let series = plain_id(series);
    let calendar = match calendar {
        "" => mailbox.calendar_of(series).ok_or_else(not_found)?,
        id => store.calendar(&call.address, id)?,
    };
    let event = calendar.events.get(series).ok_or_else(not_found)?;
    let found = instances(event, within, mailbox.zone());
    let shown = found.iter().map(|instance| render::instance(call, mailbox, event, instance)).collect();
    Ok(Reply::ok(call.page(shown, store.behaviour.page_len.0)))
}

/// A page of a round.
pub(crate) fn delta(store: &mut Store, call: &Call, calendar: &str) -> Outcome {
    if let Some(name) = NOT_IN_ROUNDS.iter().find(|name| call.parameter(name).is_some()) {
        let message =
            format!("The parameter {name} is not supported with change tracking over the 'CalendarView' resource.");
        return Err(bad_request("ErrorInvalidUrlQuery", &message));
    }
    store.forget_rounds();
    let (number, offset) = match (call.parameter("$skiptoken"), call.parameter("$deltatoken")) {
        (Some(token), _) => tokens::decode::<(u64, usize)>("skip", token).ok_or_else(gone)?,
        (None, Some(token)) => {
            let before = tokens::decode::<u64>("delta", token).ok_or_else(gone)?;
            (next_round(store, call, calendar, before)?, 0)
        }
        (None, None) => (first_round(store, call, calendar)?, 0),
    };
    let round = round_of(store, call, calendar, number)?.clone();
    page_of(store, call, &round, number, offset)
}

fn gone() -> Reply {
    Reply::refusal(410, "SyncStateNotFound", "The sync state generation is not found.")
}

fn round_of<'a>(store: &'a Store, call: &Call, calendar: &str, number: u64) -> Result<&'a Round, Reply> {
    let round = store.rounds.get(&number).ok_or_else(gone)?;
    let same = round.address == call.address && round.calendar == calendar;
    if same { Ok(round) } else { Err(bad_request("SyncStateInvalid", "The sync state is of another calendar.")) }
}

fn first_round(store: &mut Store, call: &Call, calendar: &str) -> Result<u64, Reply> {
    let within = window_of(call)?;
    let rows = rows_of(store, call, calendar, within)?;
    let told = rows.keys().cloned().collect();
    keep_round(store, call, calendar, within, rows, told)
}

fn next_round(store: &mut Store, call: &Call, calendar: &str, number: u64) -> Result<u64, Reply> {
    let before = round_of(store, call, calendar, number)?.clone();
    let rows = rows_of(store, call, calendar, before.within)?;
    let changed = rows.iter().filter(|(id, version)| before.rows.get(*id) != Some(version)).map(|(id, _)| id.clone());
    let removed = before.rows.keys().filter(|id| !rows.contains_key(*id)).cloned();
    // Graph also tells, as removed, of what changed outside the window.
    let events = store.calendar(&call.address, calendar)?.events.values();
    let outside = events.filter(|event| event.change > before.change && !rows.contains_key(&event.id));
    let outside = outside.filter(|event| event.fields.get("recurrence").is_none()).map(|event| event.id.clone());
    let mut told: Vec<String> = changed.chain(removed).chain(outside).collect();
    told.sort();
    told.dedup();
    keep_round(store, call, calendar, before.within, rows, told)
}

fn keep_round(
    store: &mut Store,
    call: &Call,
    calendar: &str,
    within: Span,
    rows: BTreeMap<String, String>,
    told: Vec<String>,
) -> Result<u64, Reply> {
    let of_calendar = |round: &Round| round.address == call.address && round.calendar == calendar;
    let kept: Vec<u64> =
        store.rounds.iter().filter(|(_, round)| of_calendar(round)).map(|(number, _)| *number).collect();
    if kept.len() >= ROUNDS_KEPT {
        store.rounds.remove(&kept[0]);
    }
    let (began_at, change) = (store.now(), store.last_change());
    let number = store.next();
    let (rows, told) = (Arc::new(rows), Arc::new(told));
    let (address, calendar) = (call.address.clone(), calendar.to_owned());
    store.rounds.insert(number, Round { address, calendar, within, began_at, change, rows, told });
    Ok(number)
}

/// Every row of a window, and its version.
fn rows_of(store: &Store, call: &Call, calendar: &str, within: Span) -> Result<BTreeMap<String, String>, Reply> {
    let zone = store.mailbox(&call.address)?.zone();
    let mut rows = BTreeMap::new();
    for event in store.calendar(&call.address, calendar)?.events.values() {
        let found = instances(event, within, zone);
        if store.behaviour.sends_series && found.iter().any(|instance| instance.series.is_some()) {
            rows.insert(event.id.clone(), event.change.to_string());
        }
        for instance in found {
            // Rounds that send no series send an occurrence anew when anything about it changes.
            let of_series = if store.behaviour.sends_series { 0 } else { event.change };
            rows.insert(instance.id, format!("{} {of_series}", instance.version));
        }
    }
    Ok(rows)
}

fn page_of(store: &Store, call: &Call, round: &Round, number: u64, offset: usize) -> Outcome {
    let (default, most) = store.behaviour.page_len;
    let len = call.prefer.page_len.unwrap_or(default).clamp(1, most);
    let end = (offset + len).min(round.told.len());
    let mut value = Vec::new();
    for id in round.told.get(offset..end).unwrap_or_default() {
        value.push(row(store, call, round, id)?);
    }
    let mut page = json!({ "@odata.context": format!("{}/$metadata#Collection(event)", call.base), "value": value });
    let link = |name: &str, token: String| Value::String(format!("{}{}?{name}={token}", call.base, call.asked));
    if end < round.told.len() {
        page["@odata.nextLink"] = link("$skiptoken", tokens::encode("skip", &(number, end)));
    } else {
        page["@odata.deltaLink"] = link("$deltatoken", tokens::encode("delta", &number));
    }
    Ok(Reply::ok(page))
}

fn row(store: &Store, call: &Call, round: &Round, id: &str) -> Result<Value, Reply> {
    let removed = || json!({ "@removed": { "reason": "deleted" }, "id": call.shown(id) });
    if !round.rows.contains_key(id) {
        return Ok(removed());
    }
    let mailbox = store.mailbox(&call.address)?;
    let (series, _) = parts_of(id).unwrap_or((id, chrono::NaiveDate::MIN));
    // Deleted since the round began.
    let Some(event) = store.calendar(&call.address, &round.calendar)?.events.get(series) else { return Ok(removed()) };
    let mut found = instances(event, round.within, mailbox.zone());
    found.retain(|instance| instance.id == id);
    Ok(match found.first() {
        Some(instance) if instance.kind == "occurrence" && store.behaviour.bare_occurrences => {
            render::bare(call, event, instance)
        }
        Some(instance) => render::instance(call, mailbox, event, instance),
        None if series == id => render::event(call, mailbox, event),
        None => removed(),
    })
}
