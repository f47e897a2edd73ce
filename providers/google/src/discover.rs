//! Whose token it is, and which calendars there are.

use agentcal_engine::ports::{Discovery, ProviderError, RemoteCalendar};
use agentcal_provider_egress::AtMost;
use google_calendar3::api::CalendarListEntry;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Refusal, json};
use crate::session::{Call, Session};

/// Most pages that are read; a page has 250 calendars.
const PAGES_MAX: usize = 8;
/// Most entries of a page, whatever was asked for.
const ENTRIES_MAX: usize = 250;
/// No more is asked for.
const FIELDS: &str = "items(id,summary,summaryOverride,timeZone,accessRole,primary,deleted),nextPageToken";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: AtMost<Value, ENTRIES_MAX>,
    next_page_token: Option<String>,
}

pub(crate) async fn discover(session: &Session<'_>) -> Result<Discovery, ProviderError> {
    let mut entries = Vec::new();
    let mut page_token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = list(session, page_token.as_deref()).await?;
        entries.extend(page.items.0.into_iter().filter_map(read));
        page_token = page.next_page_token.filter(|token| !token.is_empty());
        if page_token.is_none() {
            break;
        }
    }
    let primary = entries.iter().find(|entry| entry.primary == Some(true)).and_then(|entry| entry.id.clone());
    let calendars = entries.into_iter().filter(|entry| entry.deleted != Some(true)).filter_map(remote).collect();
    Ok(Discovery {
        display_name: primary.clone().unwrap_or_else(|| "Google Calendar".to_owned()),
        // A primary calendar is called like its owner.
        owner_addresses: primary.map(|address| address.to_lowercase()).into_iter().collect(),
        calendars,
    })
}

async fn list(session: &Session<'_>, page_token: Option<&str>) -> Result<Page, ProviderError> {
    let mut query = vec![("maxResults", "250"), ("fields", FIELDS)];
    query.extend(page_token.map(|token| ("pageToken", token)));
    let call = Call::new(Method::GET, &["users", "me", "calendarList"], &query);
    let response = session.send(call).await?;
    if response.status.is_success() { json(&response) } else { Err(Refusal::of(&response).into_error()) }
}

/// One entry that makes no sense does not hide the others.
fn read(item: Value) -> Option<CalendarListEntry> {
    let entry = serde_json::from_value(item);
    entry.inspect_err(|_| tracing::warn!("an entry in a list of calendars cannot be read")).ok()
}

fn remote(entry: CalendarListEntry) -> Option<RemoteCalendar> {
    let id = entry.id.filter(|id| !id.is_empty())?;
    Some(RemoteCalendar {
        name: entry.summary_override.or(entry.summary).unwrap_or_else(|| id.clone()),
        timezone: entry.time_zone.and_then(|name| name.parse().ok()),
        writable: entry.access_role.is_some_and(|role| role == "owner" || role == "writer"),
        provider_calendar_id: id,
    })
}
