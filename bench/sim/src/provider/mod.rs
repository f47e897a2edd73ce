//! Calendars at simulated providers: what people and we put into them, and how badly they are served.

mod faults;
mod shelf;
mod watches;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::BookingId;
use agentcal_engine::limits::{ProviderLimits, Rate};
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Clock, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Provider, ProviderError, SyncPage,
    SyncRequest, WatchHandle, Watched, WriteOutcome,
};
use agentcal_engine::time::TimeRange;
use agentcal_sim_store::{Dice, Line, Severed};
use async_trait::async_trait;
use tokio::time::sleep;

use faults::Fault;
pub(crate) use faults::Mood;
pub(crate) use shelf::{BusySpan, Edit, Shelf};

/// Time between two polls of a calendar that changes, and of a quiet one.
pub(crate) const POLL_INTERVALS: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(60));

/// Time between two looks at a calendar that is watched.
pub(crate) const WATCHED_SWEEP_INTERVAL: Duration = POLL_INTERVALS.1;

/// Longest time a node waits for a way that is broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every calendar at every provider. Clones are one.
#[derive(Clone)]
pub(crate) struct Cloud {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
}

struct Inner {
    shelves: BTreeMap<String, Shelf>,
    moods: BTreeMap<ProviderKind, Mood>,
}

impl Cloud {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner { shelves: BTreeMap::new(), moods: BTreeMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), clock }
    }

    /// A new calendar.
    pub(crate) fn open(&self, name: &str) {
        self.lock().shelves.insert(name.to_owned(), Shelf::default());
    }

    /// Somebody changes a calendar. The provider tells it after a while.
    pub(crate) fn edit(&self, name: &str, edit: Edit, told_after: Duration) {
        let now = self.clock.now();
        if let Some(shelf) = self.lock().shelves.get_mut(name) {
            shelf.edit(edit, now + told_after, now);
        }
    }

    /// Looks at a calendar as it now is.
    pub(crate) fn look<T>(&self, name: &str, look: impl FnOnce(&Shelf) -> T) -> Option<T> {
        let now = self.clock.now();
        self.lock().shelves.get_mut(name).map(|shelf| {
            shelf.settle(now);
            look(shelf)
        })
    }

    /// How many watches were granted so far, and how many ended, at every provider.
    pub(crate) fn watches(&self) -> (u64, u64) {
        let inner = self.lock();
        let counts = inner.shelves.values().map(|shelf| shelf.watches.counts());
        counts.fold((0, 0), |(granted, ended), (more, less)| (granted + more, ended + less))
    }

    pub(crate) fn set_mood(&self, kind: ProviderKind, mood: Mood) {
        self.lock().moods.insert(kind, mood);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One provider. Google will not have a deleted event back; a CalDAV server takes anything.
pub(crate) struct SimProvider {
    pub(crate) kind: ProviderKind,
    pub(crate) cloud: Cloud,
    pub(crate) dice: Dice,
    /// How the node that asks reaches it.
    pub(crate) line: Line,
}

impl SimProvider {
    /// Asks a calendar something: at one instant between question and answer it happens, or it does not.
    async fn ask<T>(
        &self,
        calendar: &CalendarRef,
        is_write: bool,
        question: impl FnOnce(&mut Shelf, &Mood) -> Result<T, ProviderError> + Send,
    ) -> Result<T, ProviderError> {
        let mood = self.cloud.lock().moods.get(&self.kind).cloned().unwrap_or_default();
        let fault = mood.fault(is_write, &self.dice);
        let (before, after) = mood.latency(&self.dice);
        self.line.go(PATIENCE).await.map_err(severed)?;
        sleep(before).await;
        let answer = match fault {
            Some(Fault::Refuses(error)) => Err(error),
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::DoesAndFails) => {
                // It was done; what is told is another thing.
                let _ = self.perform(calendar, &mood, question);
                Err(ProviderError::Unavailable("the simulated provider lost its answer".into()))
            }
            None => self.perform(calendar, &mood, question),
        };
        sleep(after).await;
        self.line.come_back(PATIENCE).await.map_err(severed)?;
        answer
    }

    fn perform<T>(
        &self,
        calendar: &CalendarRef,
        mood: &Mood,
        question: impl FnOnce(&mut Shelf, &Mood) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let now = self.cloud.clock.now();
        let mut inner = self.cloud.lock();
        let shelf = inner.shelves.get_mut(&calendar.provider_calendar_id).ok_or(ProviderError::CalendarGone)?;
        shelf.settle(now);
        question(shelf, mood)
    }
}

fn severed(_: Severed) -> ProviderError {
    ProviderError::Unavailable("no way to the simulated provider".into())
}

#[async_trait]
impl Provider for SimProvider {
    fn kind(&self) -> ProviderKind {
        self.kind
    }

    async fn discover(&self, _: &Credentials) -> Result<Discovery, ProviderError> {
        Err(ProviderError::Refused("simulated calendars are connected before the simulation begins".into()))
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        if doorbell.is_none() {
            return Ok(Watched::POLLING);
        }
        let clock = &self.cloud.clock;
        self.ask(calendar, false, |shelf, _| Ok(shelf.watches.grant(previous, clock.now()))).await
    }

    async fn unwatch(&self, calendar: &CalendarRef, handle: &WatchHandle) -> Result<(), ProviderError> {
        self.ask(calendar, false, |shelf, _| {
            shelf.watches.end(handle);
            Ok(())
        })
        .await
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let forgets = |mood: &Mood| self.dice.happens(mood.cursor_gone_per_mille);
        self.ask(calendar, false, |shelf, mood| {
            if forgets(mood) {
                shelf.forget_cursors();
            }
            shelf.page(request, mood.page_len)
        })
        .await
    }

    /// A CalDAV server has no such question.
    fn can_spot_check(&self) -> bool {
        self.kind != ProviderKind::Caldav
    }

    async fn spot_check(
        &self,
        calendar: &CalendarRef,
        range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        self.ask(calendar, false, |shelf, mood| Ok(shelf.within(range, mood.page_len))).await
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let has_them_back = self.kind != ProviderKind::Google;
        self.ask(calendar, true, |shelf, _| Ok(shelf.write(write, has_them_back))).await
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        self.ask(calendar, true, |shelf, _| {
            shelf.take_out(delete.booking_id);
            Ok(())
        })
        .await
    }

    /// As much as the simulated people need, and little enough that some wait for their turn.
    fn limits(&self, _: &Credentials) -> ProviderLimits {
        ProviderLimits {
            client: Some(("simulated".to_owned(), Rate::per_minute(3_000, 100))),
            mailbox: Some(Rate::per_minute(600, 10)),
            mailbox_at_once: NonZeroU32::new(2),
        }
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        POLL_INTERVALS
    }
}

/// An event of ours, as a calendar shows it.
pub(crate) type Shown = (BookingId, TimeRange);
