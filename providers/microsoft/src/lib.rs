//! Microsoft 365 (Microsoft Graph v1.0) as a calendar provider.
//!
//! Of an event only its time, its state and its id are read from what Graph sends. Links to further pages and to the next
//! round are followed as given, once they are known to lead to Graph; tokens go nowhere else.

mod answer;
mod batch;
mod conference;
mod discover;
mod error;
mod event;
mod limits;
mod mark;
mod page;
mod series;
mod session;
mod spot_check;
mod sync;
mod urls;
mod watch;
mod write;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::limits::ProviderLimits;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Clock, ConferenceSeen, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Provider,
    ProviderError, SyncPage, SyncRequest, WatchHandle, Watched, WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::TimeRange;
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy};
use async_trait::async_trait;
use url::Url;

use crate::session::Session;
use crate::urls::Urls;

pub use limits::MAILBOX_AT_ONCE;

/// Where Microsoft Graph is for everybody but national clouds.
pub const GRAPH_URL: &str = "https://graph.microsoft.com/v1.0";

/// How long finding calendars may take; a person waits for it.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// How long one page of a sync may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a spot check may take; a caller waits for it.
const SPOT_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long writing or taking out one event may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a subscription may take; Graph asks the doorbell meanwhile whether it wants to hear.
const WATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How to speak to Microsoft Graph from here.
#[derive(Clone, Debug)]
pub struct MicrosoftOptions {
    /// Where Graph is, version included, such as [`GRAPH_URL`].
    pub graph_url: Url,
    /// Which addresses may be spoken to.
    pub egress: EgressPolicy,
    /// Most requests about one mailbox that are under way at once.
    pub mailbox_at_once: NonZeroU32,
    /// Time between two polls of a calendar that changes now.
    pub poll_min: Duration,
    /// Time between two polls of a calendar that has long been quiet.
    pub poll_max: Duration,
    /// The name server to ask; `None`: whomever the system asks.
    pub dns: Option<SocketAddr>,
}

impl MicrosoftOptions {
    /// For production: Graph itself, polled every five minutes to each hour.
    pub fn production() -> Self {
        Self {
            graph_url: Url::parse(GRAPH_URL).expect("Graph's address is a URL"),
            egress: EgressPolicy { ports: vec![443], ..EgressPolicy::production() },
            mailbox_at_once: MAILBOX_AT_ONCE,
            poll_min: Duration::from_secs(5 * 60),
            poll_max: Duration::from_secs(60 * 60),
            dns: None,
        }
    }

    /// For trying things out: something on this machine that behaves like Graph, polled every ten seconds to each minute.
    pub fn development(graph_url: Url) -> Self {
        let (poll_min, poll_max) = (Duration::from_secs(10), Duration::from_secs(60));
        Self { graph_url, egress: EgressPolicy::development(), poll_min, poll_max, ..Self::production() }
    }
}

/// Why a provider could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MicrosoftError {
    /// The way out could not be made.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The address is none requests can be made from.
    #[error("the address of Microsoft Graph must be a base URL such as {GRAPH_URL}")]
    BadAddress,
}

/// Microsoft 365, as a provider.
pub struct MicrosoftProvider {
    client: EgressClient,
    urls: Arc<Urls>,
    clock: Arc<dyn Clock>,
    mailbox_at_once: NonZeroU32,
    poll_min: Duration,
    poll_max: Duration,
}

impl MicrosoftProvider {
    /// A provider. The clock says until when a subscription is to last.
    pub fn new(options: MicrosoftOptions, clock: Arc<dyn Clock>) -> Result<Self, MicrosoftError> {
        let urls = Urls::at(&options.graph_url).ok_or(MicrosoftError::BadAddress)?;
        let egress = EgressOptions { dns: options.dns, ..EgressOptions::new(options.egress) };
        Ok(Self {
            client: EgressClient::new(egress)?,
            urls: Arc::new(urls),
            clock,
            mailbox_at_once: options.mailbox_at_once,
            poll_min: options.poll_min,
            poll_max: options.poll_max,
        })
    }

    fn session(&self, credentials: &Credentials) -> Result<Session, ProviderError> {
        Session::new(self.client.clone(), Arc::clone(&self.urls), credentials)
    }
}

#[async_trait]
impl Provider for MicrosoftProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Microsoft
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        let session = self.session(credentials)?;
        within(DISCOVERY_TIMEOUT, discover::discover(&session)).await
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        let Some(doorbell) = doorbell else { return Ok(Watched::POLLING) };
        let session = self.session(&calendar.credentials)?;
        within(WATCH_TIMEOUT, watch::watch(&session, calendar, doorbell, previous, self.clock.now())).await
    }

    async fn unwatch(&self, calendar: &CalendarRef, handle: &WatchHandle) -> Result<(), ProviderError> {
        let session = self.session(&calendar.credentials)?;
        within(WRITE_TIMEOUT, watch::unwatch(&session, handle)).await
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
        limits::limits(credentials, self.mailbox_at_once)
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (self.poll_min, self.poll_max)
    }
}

/// Each request is bounded, and so is what they add up to.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.unwrap_or_else(|_| Err(ProviderError::Unavailable("Microsoft Graph takes too long".to_owned())))
}
