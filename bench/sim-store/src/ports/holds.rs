//! Holds, for reading and tidying.

use agentcal_engine::ids::{AccountId, HoldId};
use agentcal_engine::ports::{HoldStore, HoldStoreItem, StoreError};
use async_trait::async_trait;

use crate::state::{Done, holds};
use crate::store::SimStore;

#[async_trait]
impl HoldStore for SimStore {
    async fn hold(&self, account_id: AccountId, hold_id: HoldId) -> Result<Option<HoldStoreItem>, StoreError> {
        self.read(|state, present| {
            let rows = state.account(account_id)?;
            Some(holds::item(rows, rows.holds.get(&hold_id)?, present.now))
        })
        .await
    }

    async fn live_holds_of_session(
        &self,
        account_id: AccountId,
        session_id: &str,
    ) -> Result<Vec<HoldStoreItem>, StoreError> {
        self.read(|state, present| {
            let rows = state.account(account_id);
            rows.map(|rows| holds::of_session(rows, session_id, present.now)).unwrap_or_default()
        })
        .await
    }

    async fn tidy_holds(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(|work| Ok(Done::Keep(holds::tidy(work, limit)))).await
    }
}
