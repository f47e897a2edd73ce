//! Lists of events: all of them, or what changed; the instances of a series.

use agentcal_fake_kit::tokens;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{Right, answer};
use crate::calendar::{Calendar, Shown, is_cancelled, is_series, text};
use crate::params::Params;
use crate::refusal::Refusal;
use crate::times::Body;
use crate::{FakeGoogle, Membership};

const PAGE_LEN: usize = 250;
const PAGE_LEN_MAX: usize = 2_500;
/// How far ahead series are followed where nobody says.
const AHEAD_DAYS: i64 = 800;

/// Of instances that vanished with a change of their series, a client hears only so far ahead.
const VANISHED_AHEAD_DAYS: i64 = 183;

/// What a sync token stands for: this calendar as of a change, and what was asked for then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SyncToken {
    calendar: String,
    change: u64,
    expanded: bool,
    time_min: Option<DateTime<Utc>>,
    time_max: Option<DateTime<Utc>>,
}

/// Where a page ended, and as of which change the first one began.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PageToken {
    after: String,
    change: u64,
}

/// What is asked for.
struct Asked {
    since: Option<SyncToken>,
    page: Option<PageToken>,
    expanded: bool,
    show_deleted: bool,
    time_min: Option<DateTime<Utc>>,
    time_max: Option<DateTime<Utc>>,
    updated_min: Option<DateTime<Utc>>,
    order: Order,
    now: DateTime<Utc>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Id,
    StartTime,
    Updated,
}

/// Parameters that cannot stand beside a sync token.
const NOT_WITH_SYNC_TOKEN: [&str; 8] = [
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
];

impl Asked {
    fn of(params: &Params, calendar: &Calendar, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let expanded = params.flag("singleEvents")?.unwrap_or(false);
        let show_deleted = params.flag("showDeleted")?;
        let (time_min, time_max) = (params.time("timeMin")?, params.time("timeMax")?);
        if time_min.zip(time_max).is_some_and(|(min, max)| min >= max) {
            return Err(Refusal::new(400, "calendar", "timeRangeEmpty", "The specified time range is empty."));
        }
        let order = match params.get("orderBy") {
            None => Order::Id,
            Some("startTime") if expanded => Order::StartTime,
            Some("startTime") => {
                return Err(Refusal::invalid("The requested ordering is not available for the particular query."));
            }
            Some("updated") => Order::Updated,
            Some(other) => return Err(Refusal::invalid(format!("Invalid value '{other}' for orderBy."))),
        };
        let since =
            params.get("syncToken").map(|token| Self::sync_token(params, token, calendar, expanded)).transpose()?;
        let page = match params.get("pageToken") {
            None => None,
            Some(token) => Some(
                tokens::decode::<PageToken>("events", token)
                    .ok_or_else(|| Refusal::invalid("Invalid page token value."))?,
            ),
        };
        Ok(Self {
            expanded,
            show_deleted: show_deleted.unwrap_or(false) || since.is_some(),
            time_min: since.as_ref().map_or(time_min, |since| since.time_min),
            time_max: since.as_ref().map_or(time_max, |since| since.time_max),
            updated_min: params.time("updatedMin")?,
            order,
            since,
            page,
            now,
        })
    }

    fn sync_token(params: &Params, token: &str, calendar: &Calendar, expanded: bool) -> Result<SyncToken, Refusal> {
        if let Some(name) = NOT_WITH_SYNC_TOKEN.iter().find(|name| params.has(name)) {
            return Err(Refusal::new(400, "global", "badRequest", format!("Sync token cannot be used with {name}.")));
        }
        if params.flag("showDeleted")? == Some(false) {
            return Err(Refusal::new(400, "global", "badRequest", "Sync token cannot be used without deleted events."));
        }
        let since: SyncToken = tokens::decode("sync", token).ok_or_else(Refusal::full_sync_required)?;
        if since.calendar != calendar.id || since.change < calendar.remembers_since {
            return Err(Refusal::full_sync_required());
        }
        if since.expanded != expanded {
            return Err(Refusal::new(
                400,
                "global",
                "badRequest",
                "The sync token was made with another singleEvents.",
            ));
        }
        Ok(since)
    }

    /// Whether something belongs into the list, by its version, its state and its time.
    fn wants(&self, shown: &Shown<'_>, calendar: &Calendar) -> bool {
        if let Some(since) = &self.since {
            // What was moved out of the time asked about is told of as well, for it was inside before.
            return shown.change > since.change && (shown.is_stored() || self.is_in_time(shown)) && self.is_told(shown);
        }
        let body_of_series = || calendar.events.get(&shown.id).filter(|stored| is_series(&stored.body));
        let exception_of_living = || {
            let exception = calendar.events.get(&shown.id)?;
            let master = calendar.events.get(text(&exception.body, "recurringEventId")?)?;
            (!is_cancelled(&master.body)).then_some(())
        };
        let state = !shown.cancelled || self.show_deleted || (!self.expanded && exception_of_living().is_some());
        let in_time = match body_of_series() {
            Some(series) if !self.expanded => self.has_instance_in_time(&series.body, calendar),
            _ => self.is_in_time(shown),
        };
        state && in_time
    }

    /// Deleted series are told of instance by instance, and not to their end.
    fn is_told(&self, shown: &Shown<'_>) -> bool {
        shown.vanished_from().is_none_or(|start| start < self.now + TimeDelta::days(VANISHED_AHEAD_DAYS))
    }

    fn is_in_time(&self, shown: &Shown<'_>) -> bool {
        shown.span.is_none_or(|(start, end)| self.overlaps(start, end))
    }

    fn overlaps(&self, start: DateTime<Utc>, end: DateTime<Utc>) -> bool {
        // An event of no length is where it is.
        self.time_min.is_none_or(|min| end > min || (start == end && start >= min))
            && self.time_max.is_none_or(|max| start < max)
    }

    fn has_instance_in_time(&self, series: &Body, calendar: &Calendar) -> bool {
        let before = self.time_max.unwrap_or(DateTime::<Utc>::MAX_UTC - TimeDelta::days(2));
        if self.time_min.is_none() && self.time_max.is_none() {
            return true;
        }
        calendar.occurrences(series, before).values().any(|times| {
            let (start, end) = times.span();
            self.overlaps(start, end)
        })
    }
}

/// Whether an event passes the filters that look inside.
fn is_searched(params: &Params, body: &Body) -> Result<bool, Refusal> {
    let contains = |name: &str, wanted: &str| {
        text(body, name).is_some_and(|value| value.to_lowercase().contains(&wanted.to_lowercase()))
    };
    let q = params.get("q").is_none_or(|q| ["summary", "description", "location"].iter().any(|name| contains(name, q)));
    let uid = params.get("iCalUID").is_none_or(|uid| text(body, "iCalUID") == Some(uid));
    let kinds: Vec<&str> = params.all("eventTypes").collect();
    let kind = kinds.is_empty() || kinds.contains(&text(body, "eventType").unwrap_or("default"));
    let mut marked = true;
    for wanted in params.all("privateExtendedProperty") {
        let (name, value) =
            wanted.split_once('=').ok_or_else(|| Refusal::invalid("Invalid privateExtendedProperty."))?;
        let found = body.get("extendedProperties").and_then(|all| all.get("private")?.get(name)?.as_str());
        marked &= found == Some(value);
    }
    Ok(q && uid && kind && marked)
}

/// `events.list`
pub(crate) async fn list(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path(calendar): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.list", Right::ReadEvents)?;
    let membership = caller.reads(&google, &calendar)?;
    let now = google.clock().now();
    let world = google.world();
    let calendar = world.calendars.get(&membership.calendar_id).ok_or_else(Refusal::not_found)?;
    let asked = Asked::of(&params, calendar, now)?;
    let len = params.page_len(PAGE_LEN, PAGE_LEN_MAX)?.min(world.page_len_max.unwrap_or(PAGE_LEN_MAX));
    let guests_max = params.get("maxAttendees").and_then(|text| text.parse::<usize>().ok());
    let change = asked.page.as_ref().map_or(calendar.change, |page| page.change);
    let before = asked.time_max.unwrap_or(now + TimeDelta::days(AHEAD_DAYS));
    let mut found: Vec<(String, Shown<'_>)> = calendar
        .shown(asked.expanded, before)
        .into_iter()
        .filter(|shown| asked.wants(shown, calendar))
        .map(|shown| (sort_key(asked.order, &shown), shown))
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    let after = asked.page.as_ref().map(|page| page.after.clone());
    let mut items = Vec::new();
    let mut last = None;
    let mut more = false;
    for (key, shown) in found.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| key > after)) {
        let body = shown.body();
        let is_recent = asked.updated_min.is_none_or(|min| updated_of(&body).is_none_or(|updated| updated >= min));
        if !is_recent || !is_searched(&params, &body)? {
            continue;
        }
        if items.len() == len {
            more = true;
            break;
        }
        last = Some(key);
        items.push(if shown.cancelled { tombstone(&body) } else { Value::Object(with_guests(body, guests_max)) });
    }
    let mut page = page_json(calendar, &membership, items, now);
    if let Some(after) = last.filter(|_| more) {
        page["nextPageToken"] = tokens::encode("events", &PageToken { after, change }).into();
    } else if asked.since.is_some()
        || !NOT_WITH_SYNC_TOKEN.iter().any(|name| params.has(name) && !name.starts_with("time"))
    {
        let (expanded, time_min, time_max) = (asked.expanded, asked.time_min, asked.time_max);
        let token = SyncToken { calendar: calendar.id.clone(), change, expanded, time_min, time_max };
        page["nextSyncToken"] = tokens::encode("sync", &token).into();
    }
    drop(world);
    answer(&params, page)
}

/// `events.instances`
pub(crate) async fn instances(
    State(google): State<FakeGoogle>,
    headers: HeaderMap,
    Path((calendar, event)): Path<(String, String)>,
    Query(params): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let params = Params(params);
    let caller = google.admit(&headers, "events.instances", Right::ReadEvents)?;
    let membership = caller.reads(&google, &calendar)?;
    let now = google.clock().now();
    let world = google.world();
    let calendar = world.calendars.get(&membership.calendar_id).ok_or_else(Refusal::not_found)?;
    let master = calendar.events.get(&event).ok_or_else(Refusal::not_found)?;
    let asked = Asked::of(&params.without("syncToken"), calendar, now)?;
    let before = asked.time_max.unwrap_or(now + TimeDelta::days(AHEAD_DAYS));
    let len = params.page_len(PAGE_LEN, PAGE_LEN_MAX)?.min(world.page_len_max.unwrap_or(PAGE_LEN_MAX));
    let mut found = if is_cancelled(&master.body) { Vec::new() } else { calendar.instances(master, before) };
    found.extend(calendar.exceptions(&event));
    found.retain(|shown| (!shown.cancelled || asked.show_deleted) && asked.is_in_time(shown));
    found.sort_by(|a, b| a.id.cmp(&b.id));
    let after = asked.page.as_ref().map(|page| page.after.clone());
    let mut rest = found.into_iter().filter(|shown| after.as_ref().is_none_or(|after| shown.id > *after));
    let shown: Vec<Shown<'_>> = rest.by_ref().take(len).collect();
    let more = rest.next().is_some();
    let last = shown.last().map(|shown| shown.id.clone());
    let items = shown.iter().map(|shown| Value::Object(shown.body())).collect();
    let mut page = page_json(calendar, &membership, items, now);
    if let Some(after) = last.filter(|_| more) {
        page["nextPageToken"] = tokens::encode("events", &PageToken { after, change: calendar.change }).into();
    }
    drop(rest);
    drop(world);
    answer(&params, page)
}

fn page_json(calendar: &Calendar, membership: &Membership, items: Vec<Value>, now: DateTime<Utc>) -> Value {
    json!({
        "kind": "calendar#events",
        "etag": format!("\"p{}\"", calendar.change),
        "summary": calendar.summary,
        "updated": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "timeZone": calendar.zone.name(),
        "accessRole": membership.access_role,
        "defaultReminders": [],
        "items": items,
    })
}

/// All that is promised of what was deleted: what it was called, and of which series it was.
fn tombstone(body: &Body) -> Value {
    let kept = ["kind", "etag", "id", "status", "recurringEventId", "originalStartTime"];
    let fields = kept.iter().filter_map(|&name| Some((name.to_owned(), body.get(name)?.clone())));
    Value::Object(fields.collect())
}

/// Of more guests than are wanted, only the one whose copy this is.
fn with_guests(mut body: Body, guests_max: Option<usize>) -> Body {
    let guests = body.get_mut("attendees").and_then(Value::as_array_mut);
    if let Some(guests) = guests.filter(|guests| guests_max.is_some_and(|len_max| guests.len() > len_max)) {
        guests.retain(|guest| guest.get("self") == Some(&Value::Bool(true)));
        body.insert("attendeesOmitted".into(), true.into());
    }
    body
}

fn sort_key(order: Order, shown: &Shown<'_>) -> String {
    match order {
        Order::Id => shown.id.clone(),
        Order::StartTime => {
            format!("{} {}", shown.span.map_or(String::new(), |(start, _)| start.to_rfc3339()), shown.id)
        }
        Order::Updated => format!("{:020} {}", shown.change, shown.id),
    }
}

fn updated_of(body: &Body) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text(body, "updated")?).ok().map(|updated| updated.to_utc())
}
