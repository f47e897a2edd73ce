//! Holds and decision records, for reading and tidying. Both are written by commits.

use async_trait::async_trait;

use crate::ids::{AccountId, BookingId, DecisionId, HoldId};
use crate::model::{DecisionRecord, Hold, HoldState, Tenant};

use super::{ListPage, PageRequest, StoreError};

/// A hold with what is needed to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldStoreItem {
    /// The hold.
    pub hold: Hold,
    /// Claims of it that are live by the store's clock: one per host while it is active and has not expired, else none.
    pub claim_count: u32,
}

impl HoldStoreItem {
    /// The state when it was read, by the store's clock: an active hold without its claims is expired.
    pub fn state(&self) -> HoldState {
        match self.hold.state {
            HoldState::Active if self.claim_count as usize != self.hold.user_ids.len() => HoldState::Expired,
            state => state,
        }
    }
}

/// Holds, for reading.
///
/// A hold ends when it expires by the store's clock, whether or not anything was tidied; when it is released or confirmed;
/// and when one of its hosts is deleted, which releases it whole. Its row stays for a day. It outlives its event type, and
/// moves with its hosts to other home calendars.
#[async_trait]
pub trait HoldStore: Send + Sync {
    /// A hold, whether active or not.
    async fn hold(&self, account_id: AccountId, hold_id: HoldId) -> Result<Option<HoldStoreItem>, StoreError>;
    /// The holds of a session that are active and have not expired by the store's clock, oldest first.
    async fn live_holds_of_session(
        &self,
        account_id: AccountId,
        session_id: &str,
    ) -> Result<Vec<HoldStoreItem>, StoreError>;
    /// Deletes the claims of holds that expired, and rows of holds that ended more than a day ago; at most `limit` of
    /// each. Pure housekeeping: nothing may depend on its being called. Returns how many rows went.
    async fn tidy_holds(&self, limit: u32) -> Result<u64, StoreError>;
}

/// Which decision records to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DecisionFilter {
    /// Of this booking.
    pub booking_id: Option<BookingId>,
    /// Of this hold.
    pub hold_id: Option<HoldId>,
}

/// Decision records. Those of successes are written by the commit they belong to.
#[async_trait]
pub trait DecisionStore: Send + Sync {
    /// Writes records of refusals. Of accounts that are gone: nothing is written, and that is no error. A record that is
    /// there already stays as it is, so that a batch in doubt can be written again.
    async fn record_decisions(&self, records: &[DecisionRecord]) -> Result<(), StoreError>;
    /// A record.
    async fn decision(
        &self,
        account_id: AccountId,
        decision_id: DecisionId,
    ) -> Result<Option<DecisionRecord>, StoreError>;
    /// Records, newest first.
    async fn list_decisions(
        &self,
        tenant: &Tenant,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<ListPage<DecisionRecord>, StoreError>;
    /// Deletes records older than 30 days, at most `limit`; returns how many.
    async fn forget_old_decisions(&self, limit: u32) -> Result<u64, StoreError>;
}
