//! What somebody knows who syncs a calendar.

use std::collections::BTreeMap;

use agentcal_engine::busy::BusySet;
use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{ProviderError, SyncCursor, SyncMode, SyncNext, SyncRequest};
use agentcal_engine::time::{DAY_US, TimeRange};

use crate::{Ground, NOON};

/// Most pages of a sync; more, and it does not end.
const PAGES_MAX: usize = 500;

/// The instants that are synced.
pub(crate) fn window() -> TimeRange {
    TimeRange { start: NOON.plus_micros(-3 * DAY_US), end: NOON.plus_micros(60 * DAY_US) }
}

/// What is known, as a calendar's actor would keep it.
pub(crate) struct Mirror {
    resources: BTreeMap<String, Vec<ExternalInstance>>,
    /// Where the last sync ended.
    pub(crate) cursor: SyncCursor,
    /// Pages of the last sync.
    pub(crate) pages: usize,
}

impl Mirror {
    /// All of a calendar.
    pub(crate) async fn of(ground: &dyn Ground) -> Self {
        let (resources, cursor, pages) = sync(ground, SyncMode::Full).await.expect("a full sync");
        Self { resources, cursor, pages }
    }

    /// What changed since, merged; the names of what did.
    pub(crate) async fn follow(&mut self, ground: &dyn Ground) -> Result<Vec<String>, ProviderError> {
        let mode = SyncMode::Incremental { cursor: self.cursor.clone() };
        let (changes, cursor, pages) = sync(ground, mode).await?;
        let names = changes.keys().cloned().collect();
        self.resources.extend(changes);
        (self.cursor, self.pages) = (cursor, pages);
        Ok(names)
    }

    /// Busy time inside a range: merged, ascending.
    pub(crate) fn busy(&self, range: TimeRange) -> Vec<TimeRange> {
        let blocking = self.resources.values().flatten().filter(|instance| instance.blocks);
        BusySet::from_ranges(blocking.filter_map(|instance| instance.range.intersection(&range))).into_ranges()
    }

    /// Where events of a booking stand.
    pub(crate) fn of_booking(&self, booking_id: BookingId) -> Vec<TimeRange> {
        let own = self.resources.values().flatten().filter(|instance| instance.booking_id == Some(booking_id));
        own.map(|instance| instance.range).collect()
    }
}

type Synced = (BTreeMap<String, Vec<ExternalInstance>>, SyncCursor, usize);

async fn sync(ground: &dyn Ground, mode: SyncMode) -> Result<Synced, ProviderError> {
    let calendar = ground.calendar();
    let (mut changes, mut page) = (BTreeMap::new(), None);
    for pages in 1..=PAGES_MAX {
        let request = SyncRequest { mode: mode.clone(), window: window(), page };
        let answer = ground.provider().sync(&calendar, &request).await?;
        changes.extend(answer.changes.into_iter().map(|change| (change.provider_event_id, change.instances)));
        match answer.next {
            SyncNext::Page(next) => page = Some(next),
            SyncNext::Done { cursor } => return Ok((changes, cursor, pages)),
        }
    }
    panic!("a sync of more than {PAGES_MAX} pages");
}
