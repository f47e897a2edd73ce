//! Google Calendar (API version 3) as a calendar provider.
//!
//! Requests leave through the guarded client of `agentcal-provider-egress`, in the types of `google-calendar3`; why the
//! crate's own client is not used is in `docs/adr/0020-google-types-over-the-guarded-client.md`. Of an event no more is
//! asked for than its id, its time and what says whether it blocks.

mod answer;
mod conference;
mod discover;
mod event_id;
mod limits;
mod reading;
mod session;
mod spot_check;
mod sync;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::limits::ProviderLimits;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, ConferenceSeen, Credentials, Discovery, Doorbell, Entropy, EventDelete, EventWrite, Provider,
    ProviderError, SyncPage, SyncRequest, WatchHandle, Watched, WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::TimeRange;
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy};
use async_trait::async_trait;
use url::Url;

use crate::session::Session;

/// Where Google serves the API.
pub const API_URL: &str = "https://www.googleapis.com/";

/// How long finding calendars may take; a person waits for it.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// How long one page of a sync may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a spot check may take; a caller waits for it.
const SPOT_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long writing or taking out one event, or a change of a watch, may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How to speak to Google Calendar from here.
#[derive(Clone)]
pub struct GoogleOptions {
    /// Where the API is; `calendar/v3/` follows.
    pub api_url: Url,
    /// Time between two polls of a calendar that changes now.
    pub poll_min: Duration,
    /// Time between two polls of a calendar that has long been quiet.
    pub poll_max: Duration,
    /// Makes the names of push watches.
    pub entropy: Arc<dyn Entropy>,
}

impl GoogleOptions {
    /// Google itself, polled every five minutes to each quarter of an hour: polls repair what pushes lose.
    ///
    /// # Panics
    /// Never: the address is a literal.
    pub fn production(entropy: Arc<dyn Entropy>) -> Self {
        let api_url = Url::parse(API_URL).expect("a literal address");
        Self { api_url, poll_min: Duration::from_secs(5 * 60), poll_max: Duration::from_secs(15 * 60), entropy }
    }

    /// For trying things out: polled every ten seconds to each minute.
    pub fn development(api_url: Url, entropy: Arc<dyn Entropy>) -> Self {
        Self { api_url, poll_min: Duration::from_secs(10), poll_max: Duration::from_secs(60), entropy }
    }

    /// The address is the operator's, not a customer's: one of this machine is meant where it is said.
    fn policy(&self) -> EgressPolicy {
        match self.api_url.scheme() {
            "http" => EgressPolicy::development(),
            _ => EgressPolicy { ports: Vec::new(), ..EgressPolicy::production() },
        }
    }
}

/// Google Calendar, as a provider.
pub struct GoogleProvider {
    client: EgressClient,
    options: GoogleOptions,
}

impl GoogleProvider {
    /// A provider.
    pub fn new(options: GoogleOptions) -> Result<Self, EgressError> {
        let client = EgressClient::new(EgressOptions::new(options.policy()))?;
        Ok(Self { client, options })
    }

    fn session(&self, credentials: &Credentials) -> Result<Session<'_>, ProviderError> {
        Session::new(&self.client, &self.options.api_url, credentials)
    }
}

#[async_trait]
impl Provider for GoogleProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Google
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        let session = self.session(credentials)?;
        within(DISCOVERY_TIMEOUT, discover::discover(&session)).await
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        _previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        // A channel cannot be prolonged: the new one stands beside the previous one until that is ended.
        let Some(doorbell) = doorbell else { return Ok(Watched::POLLING) };
        let session = self.session(&calendar.credentials)?;
        let channel_id = watch::fresh_channel_id(&*self.options.entropy);
        within(WRITE_TIMEOUT, watch::watch(&session, calendar, doorbell, channel_id)).await
    }

    async fn unwatch(&self, calendar: &CalendarRef, handle: &WatchHandle) -> Result<(), ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(WRITE_TIMEOUT, watch::unwatch(&session, calendar, handle)).await
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(PAGE_TIMEOUT, sync::sync(&session, calendar, request)).await
    }

    fn can_spot_check(&self) -> bool {
        true
    }

    async fn spot_check(
        &self,
        calendar: &CalendarRef,
        range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(SPOT_CHECK_TIMEOUT, spot_check::spot_check(&session, calendar, range)).await
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(WRITE_TIMEOUT, write::write_event(&session, calendar, write)).await
    }

    async fn conference(&self, calendar: &CalendarRef, event: &WrittenEvent) -> Result<ConferenceSeen, ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(WRITE_TIMEOUT, conference::conference(&session, calendar, event)).await
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(WRITE_TIMEOUT, write::delete_event(&session, calendar, delete)).await
    }

    fn limits(&self, credentials: &Credentials) -> ProviderLimits {
        limits::limits(credentials)
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (self.options.poll_min, self.options.poll_max)
    }
}

/// Each request is bounded, and so is what they add up to.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.unwrap_or_else(|_| Err(ProviderError::Unavailable("Google takes too long".to_owned())))
}
