//! What is in a calendar inside one range, now.
//!
//! Events are listed, as a full sync lists them: `freeBusy.query` would want a scope that nobody has consented to, and its
//! answer does not say which of the busy times are our own (docs/adr/0026-a-spot-check-is-the-last-resort.md).

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{CalendarRef, ProviderError};
use agentcal_engine::time::{DAY_US, TimeRange};
use agentcal_provider_egress::EgressError;
use http::Method;

use crate::answer::{Refusal, from_egress, json};
use crate::reading::{Read, Reader};
use crate::session::{Call, Session};
use crate::sync::{FIELDS, Page, at};

/// Most events that are looked at.
const EVENTS_MAX: &str = "250";
/// Whole days begin when they begin in the calendar's zone, and Google may know another one for it than we do: what is asked
/// for reaches so much further on both sides.
const MARGIN_US: i64 = DAY_US;

pub(crate) async fn spot_check(
    session: &Session<'_>,
    calendar: &CalendarRef,
    range: TimeRange,
) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
    let (from, to) = (at(range.start.plus_micros(-MARGIN_US)), at(range.end.plus_micros(MARGIN_US)));
    let path = ["calendars", &calendar.provider_calendar_id, "events"];
    let query = [
        ("singleEvents", "true"),
        ("maxAttendees", "1"),
        ("maxResults", EVENTS_MAX),
        ("fields", FIELDS),
        ("timeMin", from.as_str()),
        ("timeMax", to.as_str()),
    ];
    let response = match session.send_raw(Call::new(Method::GET, &path, &query)).await? {
        Ok(response) if response.status.is_success() => response,
        Ok(response) => return Err(Refusal::of(&response).into_error()),
        Err(EgressError::BodyTooLarge { .. }) => return Ok(None),
        Err(error) => return Err(from_egress(error)),
    };
    Ok(whole(json(&response)?).and_then(|items| read(&items, Reader { timezone: calendar.timezone, window: range })))
}

/// The events of an answer that is all there is. Only the last page has a sync token.
fn whole(page: Page) -> Option<Vec<serde_json::Value>> {
    (page.next_page_token.is_none() && page.next_sync_token.is_some()).then_some(page.items.0)
}

/// `None` where one of them cannot be understood.
fn read(items: &[serde_json::Value], reader: Reader) -> Option<Vec<ExternalInstance>> {
    let read: Vec<Read> = items.iter().map(|item| reader.read(item)).collect();
    let is_understood = read.iter().all(|read| !read.is_unreadable && !read.is_series);
    is_understood.then(|| read.into_iter().flat_map(|read| read.change.instances).collect())
}
