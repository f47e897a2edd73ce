//! The outbox of writebacks.

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{DueCalendar, StoreError, WritebackJob, WritebackResult, WritebackStore};
use agentcal_engine::shard::{Epoch, NodeId};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::writebacks;
use crate::store::SimStore;

#[async_trait]
impl WritebackStore for SimStore {
    async fn pending_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        limit: u32,
    ) -> Result<Vec<WritebackJob>, StoreError> {
        self.read(|state, _| {
            state.account(account_id).map(|rows| writebacks::pending(rows, calendar_id, limit)).unwrap_or_default()
        })
        .await
    }

    async fn written_writebacks(
        &self,
        account_id: AccountId,
        calendar_id: CalendarId,
        ended_before: Timestamp,
    ) -> Result<Vec<WritebackJob>, StoreError> {
        self.read(|state, _| {
            let rows = state.account(account_id);
            rows.map(|rows| writebacks::written(rows, calendar_id, ended_before)).unwrap_or_default()
        })
        .await
    }

    async fn calendars_with_due_writebacks(
        &self,
        owner: Option<NodeId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCalendar>, StoreError> {
        self.read(|state, _| writebacks::due_calendars(state, owner, now, limit)).await
    }

    async fn record_writeback(&self, result: &WritebackResult, epoch: Epoch) -> Result<Option<u64>, StoreError> {
        self.write(|work| Ok(writebacks::record(work, result, epoch))).await
    }
}
