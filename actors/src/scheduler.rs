//! The one handle to everything that moves.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, UnavailableReason};
use agentcal_engine::decision::Host;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::ports::{AccountConfig, StoreError};
use agentcal_engine::time::Timestamp;

use crate::parts::{Freshness, SchedulerParts, StartError};

/// Everything that moves, behind one cloneable handle.
#[derive(Clone)]
pub struct Scheduler {
    parts: SchedulerParts,
}

impl Scheduler {
    /// Raises the epoch and starts the supervisor and the sweep.
    pub async fn start(parts: SchedulerParts) -> Result<Self, StartError> {
        parts.store.raise_epoch().await?;
        Ok(Self { parts })
    }

    /// An account's configuration, from memory while it is current.
    pub async fn config(&self, account_id: AccountId) -> Result<Option<Arc<AccountConfig>>, StoreError> {
        Ok(self.parts.store.account_config(account_id).await?.map(Arc::new))
    }

    /// Call and await after every write to an account's configuration, before answering the caller: drops the snapshot,
    /// and returns once no calendar answers from facts older than the write (claims of a user move with its home).
    pub async fn config_changed(&self, account_id: AccountId) {
        let _ = account_id;
    }

    /// The store's clock: this node's plus the offset last measured.
    pub async fn store_now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Age beyond which facts of these calendars count as stale: two poll intervals of the slowest provider among them.
    pub fn stale_after(&self, config: &AccountConfig, calendar_ids: &[CalendarId]) -> Duration {
        let _ = (config, calendar_ids);
        Duration::from_secs(600)
    }

    /// Facts of calendars, in the order asked. What is known and fresh enough comes without a message and without SQL. What
    /// is missing or too old is woken and rung, and waited for until the deadline; then older facts come as they are (their
    /// `as_of` tells), and what cannot be had at all comes as unknown.
    pub async fn facts(
        &self,
        account_id: AccountId,
        calendar_ids: &[CalendarId],
        need: Freshness,
    ) -> Vec<Arc<CalendarFacts>> {
        let _ = (account_id, calendar_ids, need);
        Vec::new()
    }

    /// Users with their rules and facts, in the order asked; users the configuration does not have are left out.
    pub async fn hosts(&self, config: &AccountConfig, user_ids: &[UserId], need: Freshness) -> Vec<Host> {
        let _ = (config, user_ids, need);
        Vec::new()
    }

    /// Makes, moves or cancels a booking: led by the actor of the lowest home calendar id among the hosts.
    pub async fn commit(&self, request: CommitRequest) -> CommitAnswer {
        let _ = request;
        CommitAnswer::Unavailable(UnavailableReason::ShuttingDown)
    }

    /// Rings a calendar: something may have changed at its provider, look now. Carries no truth; also used for calendars
    /// just connected.
    pub fn bell(&self, account_id: AccountId, calendar_id: CalendarId) {
        let _ = (account_id, calendar_id);
    }

    /// Stops the actors of calendars that are gone, and withdraws their facts.
    pub async fn forget(&self, calendar_ids: &[CalendarId]) {
        let _ = calendar_ids;
    }

    /// Waits until each of the calendars has had its first sync or failed at it; false when the deadline came first.
    pub async fn synced(&self, account_id: AccountId, calendar_ids: &[CalendarId], deadline: Duration) -> bool {
        let _ = (account_id, calendar_ids, deadline);
        false
    }

    /// Takes no more commits, finishes those accepted, then stops everything.
    pub async fn shutdown(&self) {}
}
