//! Full and incremental syncs, and spot checks: the lifelike part, the meetings that come by themselves, and over both the changes.

use std::collections::BTreeMap;
use std::ops::Bound;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{
    CalendarRef, Oddities, ProviderError, ResourceChange, SandboxEvent, SyncCursor, SyncMode, SyncNext, SyncPage,
    SyncRequest,
};
use agentcal_engine::time::TimeRange;

use crate::life::seeded_events;
use crate::popups;
use crate::provider::{SandboxProvider, flavour_of, seed_of, unavailable};
use crate::write::booking_of;

/// Resources on one page of a full sync.
const PAGE_LEN: usize = 250;

/// A place in a calendar's history: the last change, and for calendars that change by themselves the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    change: u64,
    period: Option<i64>,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (change, period) = match text.split_once('.') {
            Some((change, period)) => (change, Some(period.parse().ok()?)),
            None => (text, None),
        };
        Some(Self { change: change.parse().ok()?, period })
    }

    fn cursor(self) -> SyncCursor {
        SyncCursor(self.text())
    }

    fn text(self) -> String {
        match self.period {
            Some(period) => format!("{}.{period}", self.change),
            None => self.change.to_string(),
        }
    }
}

/// One page of a sync.
pub(crate) async fn page(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    request: &SyncRequest,
) -> Result<SyncPage, ProviderError> {
    let seed = seed_of(&calendar.credentials)?;
    flavour_of(calendar)?;
    match &request.mode {
        SyncMode::Full => full(provider, calendar, seed, request).await,
        SyncMode::Incremental { cursor } => incremental(provider, calendar, seed, cursor, request.window).await,
    }
}

/// Pages ascend by name. Every page is of the moment of the first: later changes are left to the next sync.
async fn full(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    request: &SyncRequest,
) -> Result<SyncPage, ProviderError> {
    let edits = edits(provider, calendar, 0).await?;
    let (place, after) = match &request.page {
        None => (present_place(provider, &edits, 0), None),
        Some(page) => parse_page(page)?,
    };
    Ok(cut_page(everything(provider, calendar, seed, request.window, (edits, place)), place, after))
}

/// What concerns anybody inside a range, at this moment.
pub(crate) async fn within(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    range: TimeRange,
) -> Result<Vec<ExternalInstance>, ProviderError> {
    let seed = seed_of(&calendar.credentials)?;
    flavour_of(calendar)?;
    let edits = edits(provider, calendar, 0).await?;
    let place = present_place(provider, &edits, 0);
    Ok(everything(provider, calendar, seed, range, (edits, place)).into_values().flatten().collect())
}

/// All of a calendar, as it was at a place in its history.
fn everything(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    window: TimeRange,
    (edits, place): (Vec<SandboxEvent>, Place),
) -> BTreeMap<String, Vec<ExternalInstance>> {
    let mut resources = untouched(provider, calendar, seed, window, place);
    for edit in edits {
        resources.remove(&edit.event_id);
        if edit.change <= place.change {
            let instances = instances_of(&edit, window);
            resources.insert(edit.event_id, instances);
        }
    }
    resources.retain(|_, instances| !instances.is_empty());
    resources
}

fn cut_page(resources: BTreeMap<String, Vec<ExternalInstance>>, place: Place, after: Option<String>) -> SyncPage {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = resources.range((from, Bound::Unbounded));
    let changes: Vec<ResourceChange> = rest.by_ref().take(PAGE_LEN).map(|(name, found)| change(name, found)).collect();
    let next = match (rest.next(), changes.last()) {
        (Some(_), Some(last)) => SyncNext::Page(format!("{}/{}", place.text(), last.provider_event_id)),
        _ => SyncNext::Done { cursor: place.cursor() },
    };
    SyncPage { changes, next, oddities: Oddities::default() }
}

fn change(name: &str, instances: &[ExternalInstance]) -> ResourceChange {
    ResourceChange { provider_event_id: name.to_owned(), instances: instances.to_vec() }
}

fn parse_page(page: &str) -> Result<(Place, Option<String>), ProviderError> {
    page.split_once('/')
        .and_then(|(place, after)| Some((Place::parse(place)?, Some(after.to_owned()))))
        .ok_or_else(|| ProviderError::Refused("there is no such page".to_owned()))
}

async fn incremental(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    cursor: &SyncCursor,
    window: TimeRange,
) -> Result<SyncPage, ProviderError> {
    let from = Place::parse(&cursor.0).ok_or(ProviderError::CursorGone)?;
    if from.period.is_some() != provider.settings.changes_every.is_some() {
        return Err(ProviderError::CursorGone);
    }
    let edits = edits(provider, calendar, from.change).await?;
    let to = present_place(provider, &edits, from.change);
    let mut changes = popup_changes(provider, calendar, seed, (from, to), window);
    // After the meetings that come by themselves, because an edit of one of them counts more.
    changes.extend(edits.iter().map(|edit| change(&edit.event_id, &instances_of(edit, window))));
    Ok(SyncPage { changes, next: SyncNext::Done { cursor: to.cursor() }, oddities: Oddities::default() })
}

fn popup_changes(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    (from, to): (Place, Place),
    window: TimeRange,
) -> Vec<ResourceChange> {
    let (Some(from_period), Some(to_period)) = (from.period, to.period) else { return Vec::new() };
    let present = popups_at(provider, calendar, seed, window, to);
    let changed = popups::changed(from_period, to_period);
    changed.iter().map(|name| change(name, present.get(name).map_or(&[], Vec::as_slice))).collect()
}

async fn edits(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    after: u64,
) -> Result<Vec<SandboxEvent>, ProviderError> {
    provider.state.sandbox_changes(calendar.account_id, calendar.calendar_id, after).await.map_err(unavailable)
}

fn present_place(provider: &SandboxProvider, edits: &[SandboxEvent], after: u64) -> Place {
    let change = edits.iter().map(|edit| edit.change).max().unwrap_or(after).max(after);
    let period = provider.settings.changes_every.map(|every| popups::period_of(provider.clock.now(), every));
    Place { change, period }
}

/// What the calendar holds where nobody changed anything.
fn untouched(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    window: TimeRange,
    place: Place,
) -> BTreeMap<String, Vec<ExternalInstance>> {
    let seeded = seeded_events(seed, &calendar.provider_calendar_id, calendar.timezone, window);
    let mut resources = popups_at(provider, calendar, seed, window, place);
    resources.extend(seeded.into_iter().map(|event| (event.event_id, vec![busy(event.range)])));
    resources
}

fn popups_at(
    provider: &SandboxProvider,
    calendar: &CalendarRef,
    seed: u64,
    window: TimeRange,
    place: Place,
) -> BTreeMap<String, Vec<ExternalInstance>> {
    let (Some(every), Some(period)) = (provider.settings.changes_every, place.period) else { return BTreeMap::new() };
    let present = popups::present(seed, &calendar.provider_calendar_id, period, every);
    let inside = present.into_iter().filter(|(_, range)| range.overlaps(&window));
    inside.map(|(name, range)| (name, vec![busy(range)])).collect()
}

fn busy(range: TimeRange) -> ExternalInstance {
    ExternalInstance { range, booking_id: None, blocks: true }
}

/// The instances of a changed event that concern anybody: inside the window, and blocking or ours.
fn instances_of(edit: &SandboxEvent, window: TimeRange) -> Vec<ExternalInstance> {
    let booking_id = booking_of(&edit.event_id);
    let concerns = edit.blocks || booking_id.is_some();
    let range = edit.range.filter(|range| concerns && range.overlaps(&window));
    range.map(|range| ExternalInstance { range, booking_id, blocks: edit.blocks }).into_iter().collect()
}
