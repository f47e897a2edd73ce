//! What a node does for another one that asks it as the owner. Nothing here is passed on: one hop, no more.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, UnavailableReason};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, FactsWanted, NodeRecord, ShardMap};
use agentcal_engine::shard::Shard;

use crate::Scheduler;
use crate::commit::Footing;
use crate::questions::Wanted;

/// This node does not own the shard. Nothing was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not own the shard")]
pub struct NotOwner;

impl Scheduler {
    /// Takes a commit of another node in. What is returned makes it; its answer says
    /// [`UnavailableReason::ShuttingDown`] when the shard was lost meanwhile, and then nothing was done.
    pub fn commit_for_peer(
        &self,
        request: CommitRequest,
    ) -> Result<impl Future<Output = CommitAnswer> + Send + use<>, NotOwner> {
        let context = Arc::clone(&self.context);
        let shard = Shard::of(request.tenant.account_id);
        let epoch = context.ownership.epoch_of(shard).filter(|_| context.takes_commits()).ok_or(NotOwner)?;
        let tracker = context.routes.clone();
        Ok(tracker.track_future(async move {
            let answer = context.commit_here(&Arc::new(request), Footing::Owner { epoch, is_shared: true }).await;
            answer.unwrap_or(CommitAnswer::Unavailable(UnavailableReason::ShuttingDown))
        }))
    }

    /// Facts of calendars of one account, in the order asked, as known here or renewed within `deadline`.
    pub async fn facts_for_peer(
        &self,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, NotOwner> {
        let context = &self.context;
        let shard = Shard::of(account_id);
        let epoch = context.ownership.serves(shard).ok_or(NotOwner)?;
        let wanted: Vec<Wanted> =
            wanted.iter().map(|wanted| Wanted::up_to(wanted.calendar_id, wanted.max_age)).collect();
        let facts = context.facts_here(account_id, &wanted, deadline).await;
        if context.ownership.serves(shard) != Some(epoch) {
            return Err(NotOwner);
        }
        // Who asks found nothing in the cache that it may trust.
        facts.iter().for_each(|facts| context.missed.add(facts.calendar_id));
        Ok(facts)
    }

    /// Rings a calendar.
    pub fn bell_for_peer(&self, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> Result<(), NotOwner> {
        if self.context.ring(account_id, calendar_id, ring) { Ok(()) } else { Err(NotOwner) }
    }

    /// Hears that an account was written, its configuration or by a commit of another node; returns once nothing older is
    /// answered from.
    pub async fn config_changed_for_peer(&self, account_id: AccountId) -> Result<(), NotOwner> {
        self.context.configs.forget(account_id);
        self.context.ownership.epoch_of(Shard::of(account_id)).ok_or(NotOwner)?;
        self.context.catch_up_account_or_warn(account_id).await;
        Ok(())
    }

    /// Hears that beats of another node hold no more, and trusts none of them from now on.
    pub fn beats_ended_for_peer(&self, ended: BeatsEnded) {
        self.context.untrusted.add(ended);
    }

    /// Hears that shards were given to this node, and looks at once.
    pub fn shards_given(&self) {
        self.context.ownership.look.notify_one();
    }

    /// This node.
    pub fn node(&self) -> NodeRecord {
        self.context.ownership.node()
    }

    /// The nodes that live, as far as this one knows, ascending by id.
    pub fn nodes(&self) -> Vec<NodeRecord> {
        self.context.ownership.nodes()
    }

    /// The shard map as last read. A node that is alone owns all of it.
    pub fn shard_map(&self) -> Arc<ShardMap> {
        self.context.ownership.map()
    }
}
