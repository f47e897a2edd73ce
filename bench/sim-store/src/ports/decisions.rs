//! Decision records.

use agentcal_engine::ids::{AccountId, DecisionId};
use agentcal_engine::model::{DecisionRecord, Tenant};
use agentcal_engine::ports::{DecisionFilter, DecisionStore, ListPage, PageRequest, StoreError};
use async_trait::async_trait;

use crate::state::frame::tenant_rows;
use crate::state::{Done, holds, lists};
use crate::store::SimStore;

#[async_trait]
impl DecisionStore for SimStore {
    async fn record_decisions(&self, records: &[DecisionRecord]) -> Result<(), StoreError> {
        self.write(|work| {
            records.iter().for_each(|record| holds::record_decision(work, record));
            Ok(Done::Keep(()))
        })
        .await
    }

    async fn decision(
        &self,
        account_id: AccountId,
        decision_id: DecisionId,
    ) -> Result<Option<DecisionRecord>, StoreError> {
        self.read(|state, _| state.account(account_id)?.decisions.get(&decision_id).cloned()).await
    }

    async fn list_decisions(
        &self,
        tenant: &Tenant,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<ListPage<DecisionRecord>, StoreError> {
        self.read(|state, _| {
            let Some(rows) = tenant_rows(state, tenant) else { return lists::nothing() };
            let is_wanted = |record: &&DecisionRecord| {
                (filter.booking_id.is_none() || filter.booking_id == record.booking_id)
                    && (filter.hold_id.is_none() || filter.hold_id == record.hold_id)
            };
            let wanted = rows.decisions.values().filter(is_wanted).cloned();
            lists::newest_first(wanted, page, |record| (record.decided_at.as_micros(), record.id.as_uuid()))
        })
        .await
    }

    async fn forget_old_decisions(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(|work| Ok(Done::Keep(holds::forget_old_decisions(work, limit)))).await
    }
}
