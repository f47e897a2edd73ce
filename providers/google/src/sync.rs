//! Reading a calendar: all of it, or what changed.
//!
//! Google expands series (`singleEvents`), and each instance is a resource of its own: an answer tells the whole present
//! state of an instance, never of a series, whose instances are spread over the pages of a full sync. A change of a series
//! is told instance by instance as well.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::ports::{
    CalendarRef, Oddities, ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest,
};
use agentcal_engine::time::Timestamp;
use agentcal_provider_egress::{AtMost, EgressError};
use chrono::SecondsFormat;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Refusal, from_egress, json};
use crate::reading::{Read, Reader};
use crate::session::{ANSWER_LEN_MAX, Call, Session};

/// Events of a page, and of how many it is tried with when so many are longer than is read.
const PAGE_LENS: [&str; 3] = ["250", "25", "1"];
/// Most events of a page, whatever was asked for; Google sends no more to anybody.
const PAGE_LEN_MAX: usize = 2_500;
/// All that is asked of an event: what it is called, when it is, and what says whether it blocks. Who is invited is not:
/// with `maxAttendees=1` Google names the calendar's owner alone.
pub(crate) const FIELDS: &str = "items(id,status,start,end,transparency,eventType,recurringEventId,recurrence,\
                      attendees(self,responseStatus)),nextPageToken,nextSyncToken";
/// Instances of one series that are gone at once from which on the series is taken for changed as a whole. Google tells of
/// some six months of what vanishes with it, and no more: the rest would stay busy until the next full sync.
const GONE_OF_SERIES_MAX: usize = 3;
/// What a cursor begins with: says how it was asked for. One that was asked for otherwise cannot be continued.
const CURSOR_PREFIX: &str = "single1:";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) items: AtMost<Value, PAGE_LEN_MAX>,
    pub(crate) next_page_token: Option<String>,
    pub(crate) next_sync_token: Option<String>,
}

pub(crate) async fn sync(
    session: &Session<'_>,
    calendar: &CalendarRef,
    request: &SyncRequest,
) -> Result<SyncPage, ProviderError> {
    let (page, oversized) = fetch(session, calendar, request).await?;
    let reader = Reader { timezone: calendar.timezone, window: request.window };
    let read: Vec<Read> = page.items.0.iter().map(|item| reader.read(item)).collect();
    let unreadable = read.iter().map(|read| u32::from(read.is_unreadable)).sum();
    if unreadable > 0 {
        tracing::warn!(calendar_id = %calendar.calendar_id, unreadable, "events cannot be read and block");
    }
    let changes = match request.mode {
        SyncMode::Full => read.into_iter().map(|read| read.change).collect(),
        SyncMode::Incremental { .. } if is_beyond_telling(&read) => {
            tracing::info!(calendar_id = %calendar.calendar_id, "a series changed as a whole; everything is read anew");
            return Err(ProviderError::CursorGone);
        }
        SyncMode::Incremental { .. } => changes(read),
    };
    let next = match (
        page.next_page_token.filter(|token| is_token(token)),
        page.next_sync_token.filter(|token| is_token(token)),
    ) {
        (Some(token), _) => SyncNext::Page(token),
        (None, Some(token)) => SyncNext::Done { cursor: SyncCursor(format!("{CURSOR_PREFIX}{token}")) },
        (None, None) => return Err(ProviderError::Refused("the last page of a list has no sync token".to_owned())),
    };
    Ok(SyncPage { changes, next, oddities: Oddities { unreadable, oversized } })
}

/// Whether more of a series is gone than the answer can tell, or a series came where instances were asked for.
fn is_beyond_telling(read: &[Read]) -> bool {
    let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
    for series in read.iter().filter(|read| read.is_cancelled).filter_map(|read| read.series.as_deref()) {
        *gone.entry(series).or_default() += 1;
    }
    gone.values().any(|&count| count >= GONE_OF_SERIES_MAX) || read.iter().any(|read| read.is_series)
}

/// The present state of what was told of. A series is nothing beside its instances: where a single event became one, what
/// it was before goes.
fn changes(read: Vec<Read>) -> Vec<ResourceChange> {
    let series: BTreeSet<String> = read.iter().filter_map(|read| read.series.clone()).collect();
    let told: BTreeSet<String> = read.iter().map(|read| read.change.provider_event_id.clone()).collect();
    let gone = series.into_iter().filter(|series| !told.contains(series));
    let gone = gone.map(|series| ResourceChange { provider_event_id: series, instances: Vec::new() });
    gone.collect::<Vec<_>>().into_iter().chain(read.into_iter().map(|read| read.change)).collect()
}

/// A page, of fewer events where many are longer than is read, and how often they were.
async fn fetch(
    session: &Session<'_>,
    calendar: &CalendarRef,
    request: &SyncRequest,
) -> Result<(Page, u32), ProviderError> {
    let token = match &request.mode {
        SyncMode::Full => None,
        SyncMode::Incremental { cursor } => Some(token_of(cursor)?),
    };
    let (from, to) = (at(request.window.start), at(request.window.end));
    let path = ["calendars", &calendar.provider_calendar_id, "events"];
    for (oversized, len) in (0..).zip(PAGE_LENS) {
        let mut query = vec![("singleEvents", "true"), ("maxAttendees", "1"), ("maxResults", len), ("fields", FIELDS)];
        match token {
            Some(token) => query.push(("syncToken", token)),
            None => query.extend([("timeMin", from.as_str()), ("timeMax", to.as_str())]),
        }
        query.extend(request.page.as_deref().map(|page| ("pageToken", page)));
        let answer = session.send_raw(Call::new(Method::GET, &path, &query)).await?;
        match answer {
            Ok(response) if response.status.is_success() => return json(&response).map(|page| (page, oversized)),
            Ok(response) => return Err(Refusal::of(&response).into_error()),
            Err(EgressError::BodyTooLarge { .. }) => {
                tracing::warn!(calendar_id = %calendar.calendar_id, len, "a page is longer than {ANSWER_LEN_MAX} bytes");
            }
            Err(error) => return Err(from_egress(error)),
        }
    }
    Err(ProviderError::Refused(format!("a single event is longer than {ANSWER_LEN_MAX} bytes")))
}

/// A token that can be kept and sent.
fn is_token(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

fn token_of(cursor: &SyncCursor) -> Result<&str, ProviderError> {
    cursor.0.strip_prefix(CURSOR_PREFIX).filter(|token| !token.is_empty()).ok_or(ProviderError::CursorGone)
}

pub(crate) fn at(instant: Timestamp) -> String {
    instant.clamped().to_utc().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str, series: Option<&str>, is_cancelled: bool) -> Read {
        let change = ResourceChange { provider_event_id: id.to_owned(), instances: Vec::new() };
        let series = series.map(str::to_owned);
        Read { change, series, is_cancelled, is_series: false, is_unreadable: false }
    }

    #[test]
    fn a_series_that_lost_many_instances_is_read_anew() {
        let gone = |count: usize| (0..count).map(|nth| read(&format!("s_{nth}"), Some("s"), true)).collect::<Vec<_>>();
        assert!(!is_beyond_telling(&gone(2)));
        assert!(is_beyond_telling(&gone(3)));
        let others: Vec<Read> = (0..9).map(|nth| read(&format!("e{nth}"), None, true)).collect();
        assert!(!is_beyond_telling(&others), "single events are told of one by one");
        let alive: Vec<Read> = (0..9).map(|nth| read(&format!("s_{nth}"), Some("s"), false)).collect();
        assert!(!is_beyond_telling(&alive));
        assert!(is_beyond_telling(&[Read { is_series: true, ..read("s", None, false) }]));
    }

    #[test]
    fn what_a_single_event_was_before_it_became_a_series_goes() {
        let names = |read| changes(read).into_iter().map(|change| change.provider_event_id).collect::<Vec<_>>();
        let instances = vec![read("s_1", Some("s"), false), read("s_2", Some("s"), false), read("e", None, false)];
        assert_eq!(names(instances), ["s", "s_1", "s_2", "e"]);
        assert_eq!(names(vec![read("s_1", Some("s"), true), read("s", None, false)]), ["s_1", "s"]);
    }

    #[test]
    fn a_cursor_of_another_making_is_of_no_use() {
        assert_eq!(token_of(&SyncCursor("single1:abc".to_owned())), Ok("abc"));
        for text in ["", "abc", "single1:", "single0:abc", "{}"] {
            assert_eq!(token_of(&SyncCursor(text.to_owned())), Err(ProviderError::CursorGone), "{text}");
        }
    }
}
