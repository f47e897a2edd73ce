//! CalDAV (RFC 4791, RFC 6578, RFC 6764) as a calendar provider.
//!
//! Every request leaves through the guarded client of `agentcal-provider-egress`; every answer is bounded, and what a
//! server says about one resource never stops the others.

mod bodies;
mod discover;
mod error;
mod href;
mod limits;
mod page;
mod session;
mod sync;
mod write;
mod xml;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentcal_engine::limits::ProviderLimits;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Provider, ProviderError, SyncPage,
    SyncRequest, WatchHandle, Watched, WriteOutcome,
};
use agentcal_provider_egress::{EgressClient, EgressError, EgressOptions, EgressPolicy};
use async_trait::async_trait;

use crate::session::Session;

/// How long finding calendars may take; a person waits for it.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// How long one page of a sync may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long writing or taking out one event may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Most collections whose servers are remembered as unable to expand; beyond it all are forgotten and asked again.
const PLAIN_COLLECTIONS_MAX: usize = 10_000;

/// How to speak CalDAV from here.
#[derive(Clone, Debug)]
pub struct CaldavOptions {
    /// Which servers may be spoken to.
    pub egress: EgressPolicy,
    /// Time between two polls of a calendar that changes now.
    pub poll_min: Duration,
    /// Time between two polls of a calendar that has long been quiet.
    pub poll_max: Duration,
    /// The name server to ask; `None`: whomever the system asks.
    pub dns: Option<SocketAddr>,
}

impl CaldavOptions {
    /// For production: public servers over https, polled each minute to each quarter of an hour.
    pub fn production() -> Self {
        let (poll_min, poll_max) = (Duration::from_secs(60), Duration::from_secs(15 * 60));
        Self { egress: EgressPolicy::production(), poll_min, poll_max, dns: None }
    }

    /// For trying things out: this machine too, polled every ten seconds to each minute.
    pub fn development() -> Self {
        let (poll_min, poll_max) = (Duration::from_secs(10), Duration::from_secs(60));
        Self { egress: EgressPolicy::development(), poll_min, poll_max, dns: None }
    }
}

/// CalDAV servers, as a provider.
pub struct CaldavProvider {
    client: EgressClient,
    poll_min: Duration,
    poll_max: Duration,
    /// Collections whose server failed at `expand`: it is not asked for that again while this process lives.
    plain: Mutex<BTreeSet<String>>,
}

impl CaldavProvider {
    /// A provider.
    pub fn new(options: CaldavOptions) -> Result<Self, EgressError> {
        let egress = EgressOptions { dns: options.dns, ..EgressOptions::new(options.egress) };
        let client = EgressClient::new(egress)?;
        Ok(Self { client, poll_min: options.poll_min, poll_max: options.poll_max, plain: Mutex::default() })
    }

    fn session(&self, calendar: &CalendarRef) -> Result<Session, ProviderError> {
        Session::of_calendar(self.client.clone(), calendar)
    }

    pub(crate) fn is_plain(&self, collection: &str) -> bool {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).contains(collection)
    }

    pub(crate) fn remember_plain(&self, collection: &str) {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if plain.len() >= PLAIN_COLLECTIONS_MAX {
            plain.clear();
        }
        plain.insert(collection.to_owned());
    }
}

#[async_trait]
impl Provider for CaldavProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Caldav
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        within(DISCOVERY_TIMEOUT, discover::discover(&self.client, credentials)).await
    }

    async fn watch(
        &self,
        _: &CalendarRef,
        _: Option<&Doorbell>,
        _: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        Ok(Watched::POLLING)
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        let session = self.session(calendar)?;
        within(PAGE_TIMEOUT, sync::sync(self, &session, calendar, request)).await
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let session = self.session(calendar)?;
        within(WRITE_TIMEOUT, write::write_event(&session, write)).await
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        let session = self.session(calendar)?;
        within(WRITE_TIMEOUT, write::delete_event(&session, delete)).await
    }

    fn limits(&self, credentials: &Credentials) -> ProviderLimits {
        limits::limits(credentials)
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (self.poll_min, self.poll_max)
    }
}

/// Each request is bounded, and so is what they add up to.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.unwrap_or_else(|_| Err(ProviderError::Unavailable("the server takes too long".to_owned())))
}
