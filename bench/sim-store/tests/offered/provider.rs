//! A provider whose calendars stay as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{
    CalendarRef, Credentials, Discovery, Doorbell, EventDelete, EventWrite, Oddities, Provider, ProviderError,
    ResourceChange, SyncCursor, SyncMode, SyncNext, SyncPage, SyncRequest, WatchHandle, Watched, WriteOutcome,
    WrittenEvent,
};
use async_trait::async_trait;

/// Events by the calendar's name.
pub(crate) struct QuietProvider(pub(crate) BTreeMap<String, Vec<ResourceChange>>);

/// Where every sync ends.
pub(crate) fn cursor() -> SyncCursor {
    SyncCursor("as ever".into())
}

#[async_trait]
impl Provider for QuietProvider {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Caldav
    }

    async fn discover(&self, _: &Credentials) -> Result<Discovery, ProviderError> {
        Err(ProviderError::Refused("nobody asks".into()))
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
        let changes = match request.mode {
            SyncMode::Full => self.0.get(&calendar.provider_calendar_id).cloned().unwrap_or_default(),
            SyncMode::Incremental { .. } => Vec::new(),
        };
        Ok(SyncPage { changes, next: SyncNext::Done { cursor: cursor() }, oddities: Oddities::default() })
    }

    async fn write_event(&self, _: &CalendarRef, write: &EventWrite) -> Result<WriteOutcome, ProviderError> {
        let provider_event_id = write.booking_id.to_string();
        Ok(WriteOutcome::Written(WrittenEvent { provider_event_id, etag: None }))
    }

    async fn delete_event(&self, _: &CalendarRef, _: &EventDelete) -> Result<(), ProviderError> {
        Ok(())
    }

    fn poll_intervals(&self) -> (Duration, Duration) {
        (Duration::from_secs(60), Duration::from_secs(300))
    }
}
