//! The way between nodes, in one process: it can be cut, and it can lose what comes back.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentcal_actors::{NotOwner, Scheduler};
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, FactsWanted, NodeRecord, PeerError, Peers};
use async_trait::async_trait;
use tokio::time::timeout;

/// How a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Everything arrives.
    Open,
    /// Nothing arrives.
    Cut,
    /// What is asked arrives, and what is answered does not.
    Mute,
}

/// All nodes by their address, and how each is reached.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<BTreeMap<String, Reach>>>);

#[derive(Clone)]
struct Reach {
    scheduler: Scheduler,
    way: Way,
}

impl Links {
    pub(crate) fn add(&self, scheduler: &Scheduler) {
        let address = scheduler.node().address;
        self.0.lock().unwrap().insert(address, Reach { scheduler: scheduler.clone(), way: Way::Open });
    }

    pub(crate) fn set(&self, scheduler: &Scheduler, way: Way) {
        self.0.lock().unwrap().get_mut(&scheduler.node().address).unwrap().way = way;
    }

    fn find(&self, node: &NodeRecord) -> Option<(Scheduler, Way)> {
        self.0.lock().unwrap().get(&node.address).map(|reach| (reach.scheduler.clone(), reach.way))
    }

    /// Asks a node something; nothing comes back over a way that is not open.
    async fn ask<T, F>(&self, node: &NodeRecord, question: impl FnOnce(Scheduler) -> F) -> Result<T, PeerError>
    where
        F: Future<Output = Result<T, NotOwner>>,
    {
        match self.find(node) {
            Some((scheduler, Way::Open)) => question(scheduler).await.map_err(|_refused| PeerError::NotOwner),
            Some((scheduler, Way::Mute)) => {
                let _ = question(scheduler).await;
                pending().await
            }
            Some((_, Way::Cut)) | None => pending().await,
        }
    }
}

#[async_trait]
impl Peers for Links {
    async fn commit(
        &self,
        owner: &NodeRecord,
        request: &CommitRequest,
        receipt_within: Duration,
    ) -> Result<CommitAnswer, PeerError> {
        let Some((scheduler, way)) = self.find(owner).filter(|(_, way)| *way != Way::Cut) else {
            tokio::time::sleep(receipt_within).await;
            return Err(PeerError::Silent("cut off".into()));
        };
        let taken = scheduler.commit_for_peer(request.clone()).map_err(|_refused| PeerError::NotOwner)?;
        let made = tokio::spawn(taken);
        if way == Way::Mute {
            tokio::time::sleep(receipt_within).await;
            return Err(PeerError::Silent("no receipt".into()));
        }
        made.await.map_err(|error| PeerError::Lost(error.to_string()))
    }

    async fn facts(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        wanted: &[FactsWanted],
        deadline: Duration,
    ) -> Result<Vec<Arc<CalendarFacts>>, PeerError> {
        let wanted = wanted.to_vec();
        let question =
            |scheduler: Scheduler| async move { scheduler.facts_for_peer(account_id, &wanted, deadline).await };
        let answer = timeout(deadline, self.ask(owner, question)).await;
        answer.unwrap_or_else(|_late| Err(PeerError::Silent("no facts".into())))
    }

    async fn bell(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        calendar_id: CalendarId,
        ring: Ring,
    ) -> Result<(), PeerError> {
        self.ask(owner, |scheduler| async move { scheduler.bell_for_peer(account_id, calendar_id, ring) }).await
    }

    async fn config_changed(&self, owner: &NodeRecord, account_id: AccountId) -> Result<(), PeerError> {
        self.ask(owner, |scheduler| async move { scheduler.config_changed_for_peer(account_id).await }).await
    }

    async fn beats_ended(&self, reader: &NodeRecord, ended: BeatsEnded) -> Result<(), PeerError> {
        let tell = |scheduler: Scheduler| async move {
            scheduler.beats_ended_for_peer(ended);
            Ok(())
        };
        self.ask(reader, tell).await
    }

    async fn shards_given(&self, receiver: &NodeRecord) -> Result<(), PeerError> {
        let tell = |scheduler: Scheduler| async move {
            scheduler.shards_given();
            Ok(())
        };
        self.ask(receiver, tell).await
    }
}
