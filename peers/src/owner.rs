//! What the routes ask: this node, as the owner of some shards.

use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::{NotOwner, Scheduler};
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, FactsWanted, NodeRecord, ShardMap};
use agentcal_engine::shard::NodeId;
use async_trait::async_trait;
use futures::future::BoxFuture;

/// What is known here of who owns what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardsPicture {
    /// This node.
    pub node_id: NodeId,
    /// Nodes that live, as far as this one knows.
    pub nodes: Vec<NodeRecord>,
    /// The shard map as last read.
    pub map: Arc<ShardMap>,
}

/// A node, as its peers may use it. Every method does here what is asked or refuses; none passes it on.
#[async_trait]
pub trait Owner: Send + Sync + 'static {
    /// Takes a commit in; its deadline is by this node's clock. What is returned makes it, and may be dropped.
    fn commit(&self, request: CommitRequest) -> Result<BoxFuture<'static, CommitAnswer>, NotOwner>;

    /// Facts of calendars of one account, in the order asked, as known here or renewed within `deadline`.
    async fn facts(
        &self,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, NotOwner>;

    /// Rings a calendar.
    fn bell(&self, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> Result<(), NotOwner>;

    /// Hears that an account's configuration was written; returns once nothing older is answered from.
    async fn config_changed(&self, account_id: AccountId) -> Result<(), NotOwner>;

    /// Hears that beats of another node hold no more.
    fn beats_ended(&self, ended: BeatsEnded);

    /// Hears that shards were given to this node.
    fn shards_given(&self);

    /// Who owns what, for people.
    fn shards(&self) -> ShardsPicture;
}

#[async_trait]
impl Owner for Scheduler {
    fn commit(&self, request: CommitRequest) -> Result<BoxFuture<'static, CommitAnswer>, NotOwner> {
        Ok(Box::pin(self.commit_for_peer(request)?))
    }

    async fn facts(
        &self,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, NotOwner> {
        self.facts_for_peer(account_id, wanted, deadline).await
    }

    fn bell(&self, account_id: AccountId, calendar_id: CalendarId, ring: Ring) -> Result<(), NotOwner> {
        self.bell_for_peer(account_id, calendar_id, ring)
    }

    async fn config_changed(&self, account_id: AccountId) -> Result<(), NotOwner> {
        self.config_changed_for_peer(account_id).await
    }

    fn beats_ended(&self, ended: BeatsEnded) {
        self.beats_ended_for_peer(ended);
    }

    fn shards_given(&self) {
        Self::shards_given(self);
    }

    fn shards(&self) -> ShardsPicture {
        ShardsPicture { node_id: self.node().id, nodes: self.nodes(), map: self.shard_map() }
    }
}
