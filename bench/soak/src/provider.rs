//! The providers as a node has them: as they are, holding virtual time still while they are asked, and out of reach of a
//! node that is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::limits::ProviderLimits;
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Clock, ConferenceSeen, ConsentRequest, Consented, Credentials, Discovery, Doorbell, EventDelete,
    EventWrite, OauthClient, OauthGrant, Provider, ProviderError, SyncPage, SyncRequest, TokenError, TokenIssuer,
    WatchHandle, Watched, WriteOutcome, WrittenEvent,
};
use agentcal_engine::time::{TimeRange, Timestamp};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::brake::Brake;
use crate::clock::VirtualClock;
use crate::plan::Planted;

/// Of so many bookings, one is said to be written and is not, where that is planted.
const SAID_ONLY_EVERY: u128 = 5;

/// When we last wrote to each calendar. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Writes(Arc<Mutex<BTreeMap<CalendarId, Timestamp>>>);

impl Writes {
    /// When we last wrote to a calendar.
    pub(crate) fn last(&self, calendar_id: CalendarId) -> Timestamp {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.get(&calendar_id).copied().unwrap_or(Timestamp::EARLIEST)
    }

    fn note(&self, calendar_id: CalendarId, at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(calendar_id, at);
    }
}

/// What one life of a node reaches the outside by.
#[derive(Clone)]
pub(crate) struct Leash {
    pub(crate) brake: Brake,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) writes: Writes,
    /// Cancelled when the node dies.
    pub(crate) death: CancellationToken,
    pub(crate) planted: Option<Planted>,
}

impl Leash {
    async fn held<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        dead: impl FnOnce(String) -> E,
    ) -> Result<T, E> {
        let _held = self.brake.hold();
        tokio::select! {
            biased;
            () = self.death.cancelled() => Err(dead("this node is dead".to_owned())),
            answer = call => answer,
        }
    }

    async fn asked<T>(&self, call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
        self.held(call, ProviderError::Unavailable).await
    }

    fn only_says(&self, write: &EventWrite) -> bool {
        self.planted == Some(Planted::SaysWritten)
            && write.booking_id.as_uuid().as_u128().is_multiple_of(SAID_ONLY_EVERY)
    }
}

/// A provider, or an identity server, on a leash.
pub(crate) struct Leashed<T> {
    pub(crate) inner: T,
    pub(crate) leash: Leash,
}

#[async_trait]
impl<P: Provider> Provider for Leashed<P> {
    fn kind(&self) -> ProviderKind {
        self.inner.kind()
    }

    async fn discover(&self, credentials: &Credentials) -> Result<Discovery, ProviderError> {
        self.leash.asked(self.inner.discover(credentials)).await
    }

    async fn watch(
        &self,
        calendar: &CalendarRef,
        doorbell: Option<&Doorbell>,
        previous: Option<&WatchHandle>,
    ) -> Result<Watched, ProviderError> {
        self.leash.asked(self.inner.watch(calendar, doorbell, previous)).await
    }

    async fn unwatch(&self, calendar: &CalendarRef, handle: &WatchHandle) -> Result<(), ProviderError> {
        self.leash.asked(self.inner.unwatch(calendar, handle)).await
    }

    async fn sync(&self, calendar: &CalendarRef, request: &SyncRequest) -> Result<SyncPage, ProviderError> {
        self.leash.asked(self.inner.sync(calendar, request)).await
    }

    fn can_spot_check(&self) -> bool {
        self.inner.can_spot_check()
    }

    async fn spot_check(
        &self,
        calendar: &CalendarRef,
        range: TimeRange,
    ) -> Result<Option<Vec<ExternalInstance>>, ProviderError> {
        self.leash.asked(self.inner.spot_check(calendar, range)).await
    }

    async fn write_event(&self, calendar: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        if self.leash.only_says(write) {
            let provider_event_id = format!("{}", write.booking_id);
            return Ok(WriteOutcome::Written(WrittenEvent { provider_event_id, etag: None }));
        }
        let outcome = self.leash.asked(self.inner.write_event(calendar, write)).await;
        self.leash.writes.note(calendar.calendar_id, self.leash.clock.now());
        outcome
    }

    async fn conference(&self, calendar: &CalendarRef, event: &WrittenEvent) -> Result<ConferenceSeen, ProviderError> {
        self.leash.asked(self.inner.conference(calendar, event)).await
    }

    async fn delete_event(&self, calendar: &CalendarRef, delete: &EventDelete) -> Result<(), ProviderError> {
        let outcome = self.leash.asked(self.inner.delete_event(calendar, delete)).await;
        self.leash.writes.note(calendar.calendar_id, self.leash.clock.now());
        outcome
    }

    fn limits(&self, credentials: &Credentials) -> ProviderLimits {
        self.inner.limits(credentials)
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        self.inner.poll_intervals()
    }
}

#[async_trait]
impl<I: TokenIssuer> TokenIssuer for Leashed<I> {
    fn client(&self, provider: ProviderKind) -> Option<OauthClient> {
        self.inner.client(provider)
    }

    fn consent_url(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
    ) -> Result<String, TokenError> {
        self.inner.consent_url(provider, client, request)
    }

    async fn exchange(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        request: &ConsentRequest,
        code: &str,
    ) -> Result<Consented, TokenError> {
        self.leash.held(self.inner.exchange(provider, client, request, code), TokenError::Unavailable).await
    }

    async fn refresh(
        &self,
        provider: ProviderKind,
        client: &OauthClient,
        grant: &OauthGrant,
    ) -> Result<OauthGrant, TokenError> {
        self.leash.held(self.inner.refresh(provider, client, grant), TokenError::Unavailable).await
    }

    async fn revoke(&self, provider: ProviderKind, grant: &OauthGrant) -> Result<(), TokenError> {
        self.leash.held(self.inner.revoke(provider, grant), TokenError::Unavailable).await
    }
}
