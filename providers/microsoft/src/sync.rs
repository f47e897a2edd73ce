//! Reading a calendar: rounds of `calendarView/delta` over the window.
//!
//! The window belongs to the round: another window is another first round. Each single event, occurrence and exception is a
//! resource of its own, because a removed one is named by its id alone.

use std::collections::{BTreeMap, BTreeSet};

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{
    CalendarRef, Oddities, ProviderError, ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest,
};
use agentcal_engine::time::TimeRange;
use agentcal_provider_egress::AtMost;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::error::of_round;
use crate::event::{GraphEvent, Listed, Traits};
use crate::page::Place;
use crate::series;
use crate::session::{PageLen, Session};
use crate::urls::is_usable;

/// Stands for events that come without an id.
const UNNAMED: &str = "unnamed";

/// Most events of a page, whatever was asked for; Graph sends no more to anybody.
const PAGE_LEN_MAX: usize = 1_000;

/// A page of a round.
#[derive(Deserialize)]
struct RoundPage {
    value: AtMost<Listed, PAGE_LEN_MAX>,
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
    let (page, read_len) = read_page(session, request, &url, len).await?;
    let events: Vec<GraphEvent> = page.value.0.into_iter().map(|Listed(event)| event).collect();
    let reader = Reader { session, calendar, window: request.window };
    let series = reader.series_of(&events, known).await?;
    let mut told: Vec<Told> = events.iter().map(|event| reader.told(event, &series)).collect();
    if matches!(request.mode, SyncMode::Incremental { .. }) {
        told.extend(reader.changed_series(&events).await?);
    }
    let unreadable = told.iter().map(|told| u32::from(told.is_guess)).sum();
    if unreadable > 0 {
        tracing::warn!(calendar_id = %calendar.calendar_id, unreadable, "events cannot be read and block");
    }
    let next = match (page.next_link, page.delta_link) {
        (Some(link), _) => SyncNext::Page(Place::at(link, series, read_len).token()),
        // One that leads elsewhere would be refused the next time, and everything read anew, again and again.
        (None, Some(link)) => SyncNext::Done { cursor: SyncCursor(session.urls.followed(&link)?.into()) },
        (None, None) => return Err(ProviderError::Refused("a round goes on nowhere and does not end".to_owned())),
    };
    let changes = told.into_iter().map(|told| told.change).collect();
    Ok(SyncPage { changes, next, oddities: Oddities { unreadable, oversized: u32::from(read_len != len) } })
}

/// What is told of an event.
struct Told {
    change: ResourceChange,
    /// Not all of it could be understood.
    is_guess: bool,
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
        // Of a series that cannot be asked about nothing is known, and its occurrences block.
        let wanted: BTreeSet<&str> = bare.filter_map(GraphEvent::series_id).filter(|id| is_usable(id)).collect();
        let missing: Vec<&str> = wanted.into_iter().filter(|id| !known.contains_key(*id)).collect();
        known.extend(series::traits(self.session, self.calendar, &missing).await?);
        Ok(known)
    }

    fn told(&self, event: &GraphEvent, series: &BTreeMap<String, Traits>) -> Told {
        let provider_event_id = event.id().unwrap_or(UNNAMED).to_owned();
        let gone = event.is_removed() || event.is_series();
        if gone && event.id().is_some() {
            let is_guess = !event.is_removed() && !is_usable(&provider_event_id);
            return Told { change: ResourceChange { provider_event_id, instances: Vec::new() }, is_guess };
        }
        let of_series = || event.series_id().and_then(|id| series.get(id)).copied().unwrap_or(Traits::UNKNOWN);
        let traits = event.traits().unwrap_or_else(of_series);
        let (instances, is_guess) = self.instances(event, traits);
        Told { change: ResourceChange { provider_event_id, instances }, is_guess }
    }

    /// What of an event concerns us, and whether that is a guess. Of events without a name any may be meant the next time:
    /// they block the window.
    fn instances(&self, event: &GraphEvent, traits: Traits) -> (Vec<ExternalInstance>, bool) {
        if event.id().is_none() {
            return (vec![ExternalInstance { range: self.window, booking_id: None, blocks: true }], true);
        }
        let placed = event.placed(traits, self.calendar.timezone, self.window);
        let concerns = |instance: &ExternalInstance| instance.blocks || instance.booking_id.is_some();
        (placed.instance.into_iter().filter(concerns).collect(), placed.is_guess)
    }

    /// Occurrences of series that changed. Graph need not repeat one whose own time stayed, though what it takes from its
    /// series is another.
    async fn changed_series(&self, events: &[GraphEvent]) -> Result<Vec<Told>, ProviderError> {
        let changed = events.iter().filter(|event| event.is_series() && !event.is_removed());
        let changed = changed.filter_map(|event| Some((event.id()?, event.traits().unwrap_or(Traits::UNKNOWN))));
        let changed: Vec<(&str, Traits)> = changed.filter(|(id, _)| is_usable(id)).collect();
        let mut told = Vec::new();
        for (traits, instance) in series::instances(self.session, self.calendar, &changed, &self.window).await? {
            let traits = instance.traits().unwrap_or(traits);
            let (instances, is_guess) =
                if instance.is_removed() { (Vec::new(), false) } else { self.instances(&instance, traits) };
            let provider_event_id = instance.id().unwrap_or(UNNAMED).to_owned();
            told.push(Told { change: ResourceChange { provider_event_id, instances }, is_guess });
        }
        Ok(told)
    }
}
