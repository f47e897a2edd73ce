//! Reading a collection: all of it, or what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::icalendar::{ReadContext, read_resource};
use agentcal_engine::ports::{
    CalendarRef, Oddities, ProviderError, ResourceChange, SyncMode, SyncNext, SyncPage, SyncRequest,
};
use agentcal_engine::time::TimeRange;
use agentcal_provider_egress::EgressResponse;
use http::StatusCode;
use url::Url;

use crate::CaldavProvider;
use crate::bodies;
use crate::error::from_status;
use crate::href::{canonical_path, resolve};
use crate::page::{Place, Position, RESOURCES_MAX, Rest, UNREAD_MAX};
use crate::session::{Depth, Session};
use crate::xml::{CALDAV, CALENDAR_SERVER, DAV, Multistatus, Response, multistatus};

/// Answers to one sync-collection that may be cut short (507) before it counts as endless.
const ROUNDS_MAX: usize = 200;
/// What a server answers for a resource it cut off (RFC 6578, 3.6).
const INSUFFICIENT_STORAGE: u16 = 507;

pub(crate) async fn sync(
    provider: &CaldavProvider,
    session: &Session,
    calendar: &CalendarRef,
    request: &SyncRequest,
) -> Result<SyncPage, ProviderError> {
    let mut changes = Vec::new();
    let mut rest = match (&request.page, &request.mode) {
        (Some(page), _) => Rest::of(page)?,
        (None, SyncMode::Full) => begin_full(session, &request.window).await?,
        (None, SyncMode::Incremental { cursor }) => {
            let (rest, removed) = begin_incremental(session, Place::of(cursor)?).await?;
            changes.extend(removed.into_iter().map(|href| gone(session, &href)));
            rest
        }
    };
    let hrefs = rest.take();
    let reader = Reader { provider, session, calendar, window: request.window };
    let read = reader.read(hrefs).await?;
    changes.extend(read.changes);
    rest.place.unread.extend(read.unread);
    if rest.place.unread.len() > UNREAD_MAX {
        return Err(ProviderError::Unavailable("the server fails to deliver too many events".to_owned()));
    }
    let next = match rest.hrefs.is_empty() {
        true => SyncNext::Done { cursor: rest.place.cursor() },
        false => SyncNext::Page(rest.token()),
    };
    Ok(SyncPage { changes, next, oddities: read.oddities })
}

/// The position is taken before anything is listed, so that what changes meanwhile is delivered again, not lost.
async fn begin_full(session: &Session, window: &TimeRange) -> Result<Rest, ProviderError> {
    let position = position(session).await?;
    let answer = session.report(Depth::Members, bodies::query_window(window)).await?;
    let hrefs = answer.responses.into_iter().map(|response| response.href);
    Ok(Rest { place: Place { position, unread: Vec::new() }, hrefs: members(session, hrefs)? })
}

async fn position(session: &Session) -> Result<Position, ProviderError> {
    let (_, answer) = session.propfind(&session.base, Depth::Resource, bodies::propfind_state()).await?;
    let state = answer.responses.into_iter().next().unwrap_or_default();
    if let Some(token) = state.text(DAV, "sync-token") {
        return Ok(Position::Token(token.to_owned()));
    }
    if names_report(&state, "sync-collection")
        && let Some(token) = session.report(Depth::Resource, bodies::sync_collection("")).await?.sync_token
    {
        return Ok(Position::Token(token));
    }
    match state.text(CALENDAR_SERVER, "getctag") {
        Some(tag) => Ok(Position::Tag(tag.to_owned())),
        None => Ok(Position::Etags(etag_digest(session).await?)),
    }
}

fn names_report(state: &Response, name: &str) -> bool {
    let reports = state.property(DAV, "supported-report-set").map(|set| set.children.as_slice()).unwrap_or_default();
    let named =
        |report: &crate::xml::Element| report.child(DAV, "report").is_some_and(|r| r.child(DAV, name).is_some());
    reports.iter().any(named)
}

async fn etag_digest(session: &Session) -> Result<String, ProviderError> {
    let (_, answer) = session.propfind(&session.base, Depth::Members, bodies::propfind_etags()).await?;
    let etags: BTreeSet<(String, String)> = answer
        .responses
        .iter()
        .map(|response| (canonical_path(&response.href), response.text(DAV, "getetag").unwrap_or_default().to_owned()))
        .collect();
    let mut hasher = DefaultHasher::new();
    etags.hash(&mut hasher);
    Ok(format!("{}-{:016x}", etags.len(), hasher.finish()))
}

/// Changed resources to be read, and removed ones. Servers without history say only whether anything changed at all;
/// if so, the cursor is of no more use. What could not be delivered the last time is asked for again.
async fn begin_incremental(session: &Session, since: Place) -> Result<(Rest, Vec<String>), ProviderError> {
    let (position, changed, removed) = match since.position {
        Position::Token(token) => changes_since(session, token).await?,
        since if position(session).await? == since => (since, Vec::new(), Vec::new()),
        _ => return Err(ProviderError::CursorGone),
    };
    let hrefs = members(session, changed.into_iter().chain(since.unread))?;
    Ok((Rest { place: Place { position, unread: Vec::new() }, hrefs }, members(session, removed.into_iter())?))
}

/// Where the history stands now, what changed and what was removed.
type Changes = (Position, Vec<String>, Vec<String>);

async fn changes_since(session: &Session, token: String) -> Result<Changes, ProviderError> {
    let mut token = token;
    let mut changed: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let response = session.report_raw(Depth::Resource, bodies::sync_collection(&token)).await?;
        let answer = expect_history(&response)?;
        let cut_short = answer.responses.iter().any(|response| response.status == Some(INSUFFICIENT_STORAGE));
        for response in answer.responses {
            let removed = matches!(response.status, Some(404 | 410));
            changed.insert(canonical_path(&response.href), (response.href, removed));
        }
        if changed.len() > RESOURCES_MAX {
            return Err(ProviderError::CursorGone);
        }
        let next = answer
            .sync_token
            .ok_or_else(|| ProviderError::Refused("the server's list of changes carries no sync-token".to_owned()))?;
        let stuck = next == token;
        token = next;
        if !cut_short || stuck {
            let (removed, kept): (Vec<_>, Vec<_>) = changed.into_values().partition(|(_, removed)| *removed);
            let hrefs = |changes: Vec<(String, bool)>| changes.into_iter().map(|(href, _)| href).collect();
            return Ok((Position::Token(token), hrefs(kept), hrefs(removed)));
        }
    }
    Err(ProviderError::CursorGone)
}

/// Servers refuse a token with 403, 409, 410 or 412. Where the refusal meant something else, the full sync that follows
/// will say so.
fn expect_history(response: &EgressResponse) -> Result<Multistatus, ProviderError> {
    match response.status {
        StatusCode::MULTI_STATUS => multistatus(&response.body),
        StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::GONE | StatusCode::PRECONDITION_FAILED => {
            Err(ProviderError::CursorGone)
        }
        _ => Err(from_status(response)),
    }
}

/// Hrefs that are members of the collection: not itself, not other collections, each once.
fn members(session: &Session, hrefs: impl Iterator<Item = String>) -> Result<Vec<String>, ProviderError> {
    let own = canonical_path(session.base.path());
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for href in hrefs {
        let path = path_of(session, &href);
        if path != own && !path.ends_with('/') && path.starts_with(&own) && seen.insert(path) {
            kept.push(href);
        }
    }
    if kept.len() > RESOURCES_MAX {
        return Err(ProviderError::Refused(format!("the calendar holds more than {RESOURCES_MAX} events at once")));
    }
    Ok(kept)
}

fn path_of(session: &Session, href: &str) -> String {
    resolve(&session.base, href).map_or_else(|_| String::new(), |url| canonical_path(url.path()))
}

fn gone(session: &Session, href: &str) -> ResourceChange {
    ResourceChange { provider_event_id: path_of(session, href), instances: Vec::new() }
}

/// Reads the text of resources and what it says.
struct Reader<'a> {
    provider: &'a CaldavProvider,
    session: &'a Session,
    calendar: &'a CalendarRef,
    window: TimeRange,
}

/// What is known of a resource's text.
enum Text {
    Here(String),
    Gone,
    /// Longer than is read, or no text.
    Unreadable,
    /// The server fails at this resource.
    NotDelivered,
}

/// What a page came to.
#[derive(Default)]
struct Read {
    changes: Vec<ResourceChange>,
    unread: Vec<String>,
    oddities: Oddities,
}

impl Reader<'_> {
    async fn read(&self, hrefs: Vec<String>) -> Result<Read, ProviderError> {
        let mut read = Read::default();
        if hrefs.is_empty() {
            return Ok(read);
        }
        let mut texts = self.fetch(&hrefs, &mut read.oddities).await?;
        let healthy = !texts.is_empty();
        for href in hrefs {
            let path = path_of(self.session, &href);
            let text = match texts.remove(&path) {
                Some(text @ (Text::Here(_) | Text::Gone)) => text,
                Some(Text::Unreadable | Text::NotDelivered) | None => self.fetch_alone(&href).await?,
            };
            if matches!(text, Text::NotDelivered) {
                // A server that delivers nothing has a bad day; one that delivers the others has a bad event.
                if !healthy {
                    return Err(ProviderError::Unavailable("the server fails to deliver events".to_owned()));
                }
                read.unread.push(href);
            }
            let (instances, is_guess) = self.instances(text);
            read.oddities.unreadable += u32::from(is_guess);
            read.changes.push(ResourceChange { instances, provider_event_id: path });
        }
        Ok(read)
    }

    /// Asks for all at once, expanded where the server can. One that fails at expanding, or leaves out what it has
    /// nothing to expand in, is asked for what it stores, and not bothered again.
    async fn fetch(&self, hrefs: &[String], oddities: &mut Oddities) -> Result<BTreeMap<String, Text>, ProviderError> {
        let collection = self.session.base.as_str();
        if !self.provider.is_plain(collection) {
            if let Some(texts) = self.fetch_expanded(hrefs, oddities).await? {
                return Ok(texts);
            }
            self.provider.remember_plain(collection);
        }
        // Asked for one by one instead: a single resource must not stop the others.
        let one_by_one = BTreeMap::new();
        match self.session.report_bounded(Depth::Members, bodies::multiget(hrefs, None)).await {
            Ok(Some(response)) if response.status == StatusCode::MULTI_STATUS => match self.texts(&response) {
                Err(ProviderError::Refused(reason)) => {
                    tracing::info!(reason, "events cannot be read together");
                    Ok(one_by_one)
                }
                texts => texts,
            },
            Ok(Some(response)) if response.status.is_server_error() && hrefs.len() > 1 => Ok(one_by_one),
            Ok(Some(response)) => Err(from_status(&response)),
            Ok(None) => {
                oddities.oversized += 1;
                Ok(one_by_one)
            }
            Err(ProviderError::Refused(_)) => Ok(one_by_one),
            Err(error) => Err(error),
        }
    }

    /// Every resource, expanded; `None` where the server does not manage that.
    async fn fetch_expanded(
        &self,
        hrefs: &[String],
        oddities: &mut Oddities,
    ) -> Result<Option<BTreeMap<String, Text>>, ProviderError> {
        let response = self.session.report_bounded(Depth::Members, bodies::multiget(hrefs, Some(&self.window))).await;
        let reason = match response {
            Ok(Some(response)) if response.status == StatusCode::MULTI_STATUS => match self.texts(&response) {
                Ok(texts) if hrefs.iter().all(|href| texts.contains_key(&path_of(self.session, href))) => {
                    return Ok(Some(texts));
                }
                Ok(_) => "it leaves out events".to_owned(),
                Err(ProviderError::Refused(reason)) => reason,
                Err(error) => return Err(error),
            },
            Ok(Some(response)) if is_failure_to_expand(response.status) => response.status.to_string(),
            Ok(Some(response)) => return Err(from_status(&response)),
            Ok(None) => {
                oddities.oversized += 1;
                "what it answers is longer than is read".to_owned()
            }
            Err(ProviderError::Refused(reason)) => reason,
            Err(error) => return Err(error),
        };
        tracing::info!(reason, "the server fails at expanding recurrences; they are expanded here");
        Ok(None)
    }

    fn texts(&self, response: &EgressResponse) -> Result<BTreeMap<String, Text>, ProviderError> {
        let answer = multistatus(&response.body)?;
        let text = |response: &Response| match response.property(CALDAV, "calendar-data") {
            Some(data) => Text::Here(data.text.clone()),
            None if matches!(response.status.or(response.property_status), Some(404 | 410)) => Text::Gone,
            None => Text::NotDelivered,
        };
        let texts = answer.responses.iter().map(|response| (path_of(self.session, &response.href), text(response)));
        Ok(texts.collect())
    }

    async fn fetch_alone(&self, href: &str) -> Result<Text, ProviderError> {
        let url: Url = resolve(&self.session.base, href)?;
        let response = match self.session.get_raw(&url).await {
            Ok(response) => response,
            Err(ProviderError::Refused(_)) => return Ok(Text::Unreadable),
            Err(error) => return Err(error),
        };
        match response.status.as_u16() {
            404 | 410 => Ok(Text::Gone),
            200..300 => Ok(String::from_utf8(response.body).map_or(Text::Unreadable, Text::Here)),
            401 | 429 | 503 => Err(from_status(&response)),
            _ => Ok(Text::NotDelivered),
        }
    }

    /// A resource's instances, and whether they are a guess. One that says nothing that can be understood blocks the window:
    /// unknown is never free.
    fn instances(&self, text: Text) -> (Vec<ExternalInstance>, bool) {
        let context = ReadContext {
            timezone: self.calendar.timezone,
            owner_addresses: &self.calendar.owner_addresses,
            window: self.window,
        };
        let blocked = || vec![ExternalInstance { range: self.window, booking_id: None, blocks: true }];
        let calendar_id = self.calendar.calendar_id;
        match text {
            Text::Gone => (Vec::new(), false),
            Text::Unreadable | Text::NotDelivered => {
                tracing::warn!(%calendar_id, "an event cannot be had and blocks the window");
                (blocked(), true)
            }
            Text::Here(text) => match read_resource(&text, &context) {
                Ok(resource) => {
                    if resource.blocked_whole > 0 {
                        tracing::warn!(%calendar_id, "an event cannot all be understood and blocks wherever it may be");
                    }
                    (resource.instances, resource.blocked_whole > 0)
                }
                Err(error) => {
                    tracing::warn!(%calendar_id, %error, "an event cannot be read and blocks the window");
                    (blocked(), true)
                }
            },
        }
    }
}

/// Not being let in, being sent away for a while or being gone has nothing to do with expanding.
fn is_failure_to_expand(status: StatusCode) -> bool {
    let other = [401, 404, 410, 429, 503];
    (status.is_server_error() || status.is_client_error()) && !other.contains(&status.as_u16())
}
