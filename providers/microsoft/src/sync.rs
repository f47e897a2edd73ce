//! Reading a calendar: rounds of `calendarView/delta` over the window.
//!
//! The window belongs to the round: another window is another first round. Each single event, occurrence and exception is a
//! resource of its own, because a removed one is named by its id alone.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{
    CalendarRef, ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest,
};
use agentcal_engine::time::TimeRange;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::error::of_round;
use crate::event::{GraphEvent, Traits};
use crate::page::Place;
use crate::series;
use crate::session::{PageLen, Session};

/// Stands for events that come without an id.
const UNNAMED: &str = "unnamed";

/// A page of a round.
#[derive(Deserialize)]
struct RoundPage {
    value: Vec<GraphEvent>,
    #[serde(default, rename = "@odata.nextLink")]
    next_link: Option<String>,
    #[serde(default, rename = "@odata.deltaLink")]
    delta_link: Option<String>,
}

pub(crate) async fn sync(
    session: &Session,
    calendar: &CalendarRef,
    request: &SyncRequest,
) -> Result<SyncPage, ProviderError> {
    let Beginning { url, known, len } = begin(session, calendar, request)?;
    let (page, len) = read_page(session, request, &url, len).await?;
    let reader = Reader { session, calendar, window: request.window };
    let series = reader.series_of(&page.value, known).await?;
    let mut changes: Vec<ResourceChange> = page.value.iter().map(|event| reader.change(event, &series)).collect();
    if matches!(request.mode, SyncMode::Incremental { .. }) {
        changes.extend(reader.changed_series(&page.value).await?);
    }
    let next = match (page.next_link, page.delta_link) {
        (Some(link), _) => SyncNext::Page(Place::at(link, series, len).token()),
        (None, Some(link)) => SyncNext::Done { cursor: SyncCursor(link) },
        (None, None) => return Err(ProviderError::Refused("a round goes on nowhere and does not end".to_owned())),
    };
    Ok(SyncPage { changes, next })
}

/// Where a page is, and what is known before it is read.
struct Beginning {
    url: Url,
    known: BTreeMap<String, Traits>,
    len: PageLen,
}

fn begin(session: &Session, calendar: &CalendarRef, request: &SyncRequest) -> Result<Beginning, ProviderError> {
    let first = |url| Beginning { url, known: BTreeMap::new(), len: PageLen::Usual };
    match (&request.page, &request.mode) {
        (Some(page), _) => {
            let Place { link, series, len } = Place::of(page)?;
            Ok(Beginning { url: session.urls.followed(&link)?, known: series, len })
        }
        (None, SyncMode::Full) => session.urls.delta(&calendar.provider_calendar_id, &request.window).map(first),
        (None, SyncMode::Incremental { cursor }) => match session.urls.followed(&cursor.0) {
            Ok(url) => Ok(first(url)),
            // Graph was elsewhere when the cursor was kept.
            Err(_) => Err(ProviderError::CursorGone),
        },
    }
}

async fn read_page(
    session: &Session,
    request: &SyncRequest,
    url: &Url,
    len: PageLen,
) -> Result<(RoundPage, PageLen), ProviderError> {
    let (answer, len) = session.get_page(url, len).await?;
    let continues = request.page.is_none() && matches!(request.mode, SyncMode::Incremental { .. });
    match answer.status {
        status if status.is_success() => Ok((answer.read()?, len)),
        // Where the refusal meant something else than the link, the full sync that follows will say so.
        StatusCode::BAD_REQUEST if continues => Err(ProviderError::CursorGone),
        _ => Err(of_round(&answer)),
    }
}

struct Reader<'a> {
    session: &'a Session,
    calendar: &'a CalendarRef,
    window: TimeRange,
}

impl Reader<'_> {
    /// What is known of the series whose occurrences leave it to them: from this page and those before, else asked for.
    async fn series_of(
        &self,
        events: &[GraphEvent],
        mut known: BTreeMap<String, Traits>,
    ) -> Result<BTreeMap<String, Traits>, ProviderError> {
        for event in events.iter().filter(|event| event.is_series() && !event.is_removed()) {
            if let (Some(id), Some(traits)) = (event.id(), event.traits()) {
                known.insert(id.to_owned(), traits);
            }
        }
        let bare = events.iter().filter(|event| !event.is_removed() && event.traits().is_none());
        let wanted: BTreeSet<&str> = bare.filter_map(GraphEvent::series_id).collect();
        let missing: Vec<&str> = wanted.into_iter().filter(|id| !known.contains_key(*id)).collect();
        known.extend(series::traits(self.session, self.calendar, &missing).await?);
        Ok(known)
    }

    fn change(&self, event: &GraphEvent, series: &BTreeMap<String, Traits>) -> ResourceChange {
        let provider_event_id = event.id().unwrap_or(UNNAMED).to_owned();
        let gone = event.is_removed() || event.is_series();
        if gone && event.id().is_some() {
            return ResourceChange { provider_event_id, instances: Vec::new() };
        }
        let of_series = || event.series_id().and_then(|id| series.get(id)).copied().unwrap_or(Traits::UNKNOWN);
        let traits = event.traits().unwrap_or_else(of_series);
        ResourceChange { provider_event_id, instances: self.instances(event, traits) }
    }

    fn instances(&self, event: &GraphEvent, traits: Traits) -> Vec<ExternalInstance> {
        let instance = event.instance(traits, self.calendar.timezone, self.window);
        if instance.as_ref().is_some_and(|instance| instance.range == self.window) {
            tracing::warn!(calendar_id = %self.calendar.calendar_id, "an event blocks the whole window");
        }
        let concerns = |instance: &ExternalInstance| instance.blocks || instance.booking_id.is_some();
        instance.into_iter().filter(concerns).collect()
    }

    /// Occurrences of series that changed. Graph need not repeat one whose own time stayed, though what it takes from its
    /// series is another.
    async fn changed_series(&self, events: &[GraphEvent]) -> Result<Vec<ResourceChange>, ProviderError> {
        let changed = events.iter().filter(|event| event.is_series() && !event.is_removed());
        let changed: Vec<(&str, Traits)> =
            changed.filter_map(|event| Some((event.id()?, event.traits().unwrap_or(Traits::UNKNOWN)))).collect();
        let mut changes = Vec::new();
        for (traits, instance) in series::instances(self.session, self.calendar, &changed, &self.window).await? {
            let traits = instance.traits().unwrap_or(traits);
            let instances = if instance.is_removed() { Vec::new() } else { self.instances(&instance, traits) };
            if let Some(id) = instance.id() {
                changes.push(ResourceChange { provider_event_id: id.to_owned(), instances });
            }
        }
        Ok(changes)
    }
}
