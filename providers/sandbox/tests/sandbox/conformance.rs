//! What every provider is put through.

use agentcal_engine::ids::BookingId;
use agentcal_engine::ports::{CalendarRef, Provider, SyncCursor, WrittenEvent};
use agentcal_provider_conformance::{Event, Ground, Kind, NotHere, check};
use agentcal_provider_sandbox::{Fault, FaultScope, WORK};
use async_trait::async_trait;
use chrono_tz::Tz;

use crate::{Bed, bed};

const SIMPLE: NotHere = NotHere("its events are plain busy times");

#[async_trait]
impl Ground for Bed {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn calendar(&self) -> CalendarRef {
        self.calendar.clone()
    }

    fn stranger(&self) -> Result<CalendarRef, NotHere> {
        self.provider.faults().fail(FaultScope::All, Fault::Unauthorized);
        Ok(self.calendar.clone())
    }

    async fn put(&self, name: &str, event: &Event) -> Result<(), NotHere> {
        let Event::Single { range, kind: Kind::Busy } = event else { return Err(SIMPLE) };
        self.edit(name, Some(*range)).await;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), NotHere> {
        self.edit(name, None).await;
        Ok(())
    }

    async fn delete_ours(&self, _: BookingId, written: &WrittenEvent) -> Result<(), NotHere> {
        self.edit(&written.provider_event_id, None).await;
        Ok(())
    }

    async fn forget(&self, cursor: &SyncCursor) -> Result<SyncCursor, NotHere> {
        self.provider.faults().fail(FaultScope::All, Fault::CursorGone);
        Ok(cursor.clone())
    }

    async fn throttle(&self) -> Result<(), NotHere> {
        self.provider.faults().fail(FaultScope::All, Fault::RateLimited { retry_after: None });
        Ok(())
    }

    async fn page_len(&self) -> Result<usize, NotHere> {
        Err(NotHere("everything is one page"))
    }
}

#[tokio::test]
async fn the_port_is_kept_as_the_page_says() {
    let page = include_str!("../../../../docs/providers.md");
    check("Sandbox", page, async || bed(WORK, Tz::Europe__Berlin, None)).await;
}
