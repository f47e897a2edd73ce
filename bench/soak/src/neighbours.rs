//! How nodes ask each other: in this process, and in vain once either of them is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentcal_actors::{NotOwner, Scheduler};
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest};
use agentcal_engine::calendar::watch::Ring;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::ports::{BeatsEnded, FactsWanted, NodeRecord, PeerError, Peers};
use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest time a peer may take over anything but a commit, of which its caller says how long it may take.
const NOTICE_MAX: Duration = Duration::from_secs(5);

/// All that live, by their address. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(Arc<Mutex<BTreeMap<String, Neighbour>>>);

#[derive(Clone)]
struct Neighbour {
    scheduler: Scheduler,
    death: CancellationToken,
}

impl Neighbours {
    /// A life begins at an address, in the place of the one before.
    pub(crate) fn add(&self, scheduler: Scheduler, death: CancellationToken) {
        self.lock().insert(scheduler.node().address, Neighbour { scheduler, death });
    }

    /// The way of one life to the others.
    pub(crate) fn seen_from(&self, death: CancellationToken) -> Arc<dyn Peers> {
        Arc::new(Way { all: self.clone(), death })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Neighbour>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Way {
    all: Neighbours,
    /// Of the one that asks.
    death: CancellationToken,
}

impl Way {
    /// Whoever listens at an address now; it may be another one than was meant, and says so then.
    fn find(&self, node: &NodeRecord) -> Result<Neighbour, PeerError> {
        let found = self.all.lock().get(&node.address).cloned();
        let found = found.filter(|found| !found.death.is_cancelled() && !self.death.is_cancelled());
        found.ok_or_else(|| PeerError::Silent("nobody is there".to_owned()))
    }

    async fn ask<T, F>(
        &self,
        node: &NodeRecord,
        patience: Duration,
        question: impl FnOnce(Scheduler) -> F,
    ) -> Result<T, PeerError>
    where
        F: Future<Output = Result<T, NotOwner>>,
    {
        let Neighbour { scheduler, death } = self.find(node)?;
        let answered = timeout(patience, question(scheduler));
        tokio::select! {
            biased;
            () = death.cancelled() => Err(PeerError::Lost("it died over it".to_owned())),
            () = self.death.cancelled() => Err(PeerError::Lost("nobody is left to hear it".to_owned())),
            answer = answered => match answer {
                Ok(answer) => answer.map_err(|_refused| PeerError::NotOwner),
                Err(_late) => Err(PeerError::Lost("the deadline passed".to_owned())),
            },
        }
    }
}

#[async_trait]
impl Peers for Way {
    async fn commit(
        &self,
        owner: &NodeRecord,
        request: &CommitRequest,
        _receipt_within: Duration,
    ) -> Result<CommitAnswer, PeerError> {
        // Who is there acknowledges receipt at once, and keeps to the request's own deadline.
        let request = request.clone();
        let question = |scheduler: Scheduler| async move {
            match scheduler.commit_for_peer(request) {
                Ok(made) => Ok(made.await),
                Err(refused) => Err(refused),
            }
        };
        self.ask(owner, Duration::MAX, question).await
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
        self.ask(owner, deadline, question).await
    }

    async fn bell(
        &self,
        owner: &NodeRecord,
        account_id: AccountId,
        calendar_id: CalendarId,
        ring: Ring,
    ) -> Result<(), PeerError> {
        let question = |scheduler: Scheduler| async move { scheduler.bell_for_peer(account_id, calendar_id, ring) };
        self.ask(owner, NOTICE_MAX, question).await
    }

    async fn config_changed(&self, owner: &NodeRecord, account_id: AccountId) -> Result<(), PeerError> {
        let question = |scheduler: Scheduler| async move { scheduler.config_changed_for_peer(account_id).await };
        self.ask(owner, NOTICE_MAX, question).await
    }

    async fn beats_ended(&self, reader: &NodeRecord, ended: BeatsEnded) -> Result<(), PeerError> {
        let question = |scheduler: Scheduler| async move {
            scheduler.beats_ended_for_peer(ended);
            Ok(())
        };
        self.ask(reader, NOTICE_MAX, question).await
    }

    async fn shards_given(&self, receiver: &NodeRecord) -> Result<(), PeerError> {
        let question = |scheduler: Scheduler| async move {
            scheduler.shards_given();
            Ok(())
        };
        self.ask(receiver, NOTICE_MAX, question).await
    }
}
