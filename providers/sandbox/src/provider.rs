//! The provider's own value, and its door: faults, credentials, then the work.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Clock, ConferenceSeen, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Provider,
    ProviderError, SandboxEvent, SandboxState, StoreError, SyncMode, SyncPage, SyncRequest, WatchHandle, Watched,
    WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::TimeRange;
use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::calendar::{self, Flavour};
use crate::faults::{Call, SandboxFaults, Verdict};
use crate::{sync, write};

/// Most writes at work at once.
const WRITES_MAX: usize = 4;

/// How sandbox calendars behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxSettings {
    /// Time between two polls of a calendar that changes now, and of one that has long been quiet.
    pub poll_intervals: (Duration, Duration),
    /// With so much time a calendar changes by itself; `None`: only on request.
    pub changes_every: Option<Duration>,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self { poll_intervals: (Duration::from_secs(10), Duration::from_secs(60)), changes_every: None }
    }
}

/// Calendars inside this process.
pub struct SandboxProvider {
    pub(crate) state: Arc<dyn SandboxState>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: SandboxSettings,
    /// Writes at work at once: the store they are kept in has bookings to make.
    pub(crate) writes: Semaphore,
    faults: Arc<SandboxFaults>,
}

impl SandboxProvider {
    /// A provider whose changes are kept in `state`. The clock moves only calendars that change by themselves.
    pub fn new(state: Arc<dyn SandboxState>, clock: Arc<dyn Clock>, settings: SandboxSettings) -> Self {
        let writes = Semaphore::new(WRITES_MAX);
        Self { state, clock, settings, writes, faults: Arc::new(SandboxFaults::default()) }
    }

    /// The switchboard; stays valid after the provider was handed over.
    pub fn faults(&self) -> Arc<SandboxFaults> {
        Arc::clone(&self.faults)
    }

    /// Does to a calendar what its owner would do by hand: adds an event, moves it, or with `range` `None` deletes it.
    /// Naming a seeded event or one of ours changes that event. Returns the change's number.
    pub async fn edit(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        event_id: &str,
        range: Option<TimeRange>,
    ) -> Result<u64, StoreError> {
        let event = SandboxEvent { event_id: event_id.to_owned(), range, blocks: true, change: 0 };
        let change = self.state.put_sandbox_event(account_id, calendar_id, &event, None).await?;
        Ok(change.expect("a write without a condition is always done"))
    }

    /// Runs a call as the switchboard wants it.
    async fn through_faults<T>(
        &self,
        calendar_id: Option<CalendarId>,
        call: Call,
        work: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        match self.faults.judge(calendar_id, call) {
            Verdict::Proceed => work.await,
            Verdict::ProceedAfter(delay) => {
                tokio::time::sleep(delay).await;
                work.await
            }
            Verdict::LoseAnswer => {
                work.await?;
                Err(ProviderError::Unavailable("the sandbox was told to lose its answer".to_owned()))
            }
            Verdict::Fail(error) => Err(error),
        }
    }
}

/// The seed that credentials carry.
pub(crate) fn seed_of(credentials: &Credentials) -> Result<u64, ProviderError> {
    match credentials {
        Credentials::Sandbox { seed } => Ok(*seed),
        _ => Err(ProviderError::Unauthorized("these are not credentials of a sandbox".to_owned())),
    }
}

/// The flavour of a calendar that must exist.
pub(crate) fn flavour_of(calendar: &CalendarRef) -> Result<Flavour, ProviderError> {
    Flavour::of(&calendar.provider_calendar_id).ok_or(ProviderError::CalendarGone)
}

/// A store that does not serve is a provider that is down.
pub(crate) fn unavailable(error: StoreError) -> ProviderError {
    ProviderError::Unavailable(error.to_string())
}

#[async_trait]
impl Provider for SandboxProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Sandbox
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        let work = async {
            let seed = seed_of(credentials)?;
            Ok(Discovery {
                display_name: format!("sandbox {seed}"),
                owner_addresses: Vec::new(),
                calendars: calendar::listed(),
            })
        };
        self.through_faults(None, Call::Discover, work).await
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        _: Option<&Doorbell>,
        _: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        flavour_of(calendar)?;
        Ok(Watched::POLLING)
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let call = match request.mode {
            SyncMode::Full => Call::FullSync { first_page: request.page.is_none() },
            SyncMode::Incremental { .. } => Call::IncrementalSync,
        };
        self.through_faults(Some(calendar.calendar_id), call, sync::page(self, calendar, request)).await
    }

    fn can_spot_check(&self) -> bool {
        true
    }

    async fn spot_check(
        &self,
        calendar: &CalendarRef,
        range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        let work = async { sync::within(self, calendar, range).await.map(Some) };
        self.through_faults(Some(calendar.calendar_id), Call::SpotCheck, work).await
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        self.through_faults(Some(calendar.calendar_id), Call::Write, write::write(self, calendar, write)).await
    }

    /// A room where nobody is.
    async fn conference(&self, calendar: &CalendarRef, event: &WrittenEvent) -> Result<ConferenceSeen, ProviderError> {
        let join_url = format!("https://meet.example.com/{}", event.provider_event_id);
        let work = async { Ok(ConferenceSeen::Ready { join_url }) };
        self.through_faults(Some(calendar.calendar_id), Call::Write, work).await
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        self.through_faults(Some(calendar.calendar_id), Call::Delete, write::delete(self, calendar, delete)).await
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        self.settings.poll_intervals
    }
}
