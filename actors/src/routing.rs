//! Where a commit goes: to the actor that leads it here, to the node that owns its shard, or past a silent owner.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, UnavailableReason};
use agentcal_engine::ports::{NodeRecord, PeerError};
use agentcal_engine::shard::{Epoch, Shard};
use tokio::time::timeout;

use crate::commit::{Before, Footing, Led};
use crate::context::Context;
use crate::directory::Cause;
use crate::ownership::Place;
use crate::shown::heard_of;
use crate::slot::NotSent;
use crate::{commit, ownerless};

/// Longest wait until an owner says that it has a request in hand.
const RECEIPT_WITHIN: Duration = Duration::from_millis(300);
/// Part of the caller's patience kept back for going past an owner that took a request in and fell silent.
const KEPT_FOR_OWNERLESS: Duration = Duration::from_millis(500);
/// Longest wait for a look at the shard map.
const LOOK_DEADLINE: Duration = Duration::from_millis(500);

/// Most times a request waits for a shard that is being handed over.
const WAITS_MAX: u32 = 3;

/// Whom a request has been with.
#[derive(Default)]
struct Journey {
    /// The highest ownership that refused it, having begun nothing.
    refused_under: Option<Epoch>,
    /// How often it waited for a shard that was being handed over.
    waits: u32,
}

impl Journey {
    fn may_ask(&self, epoch: Epoch) -> bool {
        self.refused_under.is_none_or(|refused| epoch > refused)
    }
}

impl Context {
    /// Has a commit made by whoever may. One performer's no counts: another owner is asked only under a higher epoch, and
    /// nobody else once the owner-less path was begun.
    pub(crate) async fn route(self: &Arc<Self>, request: Arc<CommitRequest>) -> CommitAnswer {
        let shard = Shard::of(request.tenant.account_id);
        let mut journey = Journey::default();
        loop {
            if !self.takes_commits() {
                return CommitAnswer::Unavailable(UnavailableReason::ShuttingDown);
            }
            if self.left_until(request.deadline).is_zero() {
                return CommitAnswer::Unavailable(UnavailableReason::Deadline);
            }
            match self.ownership.place(shard) {
                Place::Here(epoch) if journey.may_ask(epoch) => {
                    let is_shared = journey.refused_under.is_some();
                    if let Some(answer) = self.commit_here(&request, Footing::Owner { epoch, is_shared }).await {
                        return answer;
                    }
                    journey.refused_under = Some(epoch);
                    self.look_now().await;
                }
                Place::There(owner, epoch) if journey.may_ask(epoch) => match self.commit_there(&owner, &request).await
                {
                    There::Answer(answer) => return *answer,
                    There::Refused => {
                        journey.refused_under = Some(epoch);
                        self.look_now().await;
                    }
                    There::Silent => {
                        self.ownership.note_silence(owner.id);
                        return ownerless::commit(self, &request).await;
                    }
                },
                Place::Moving if journey.waits < WAITS_MAX => {
                    journey.waits += 1;
                    self.look_now().await;
                }
                _ if self.ownership.is_alone() => {
                    return CommitAnswer::Unavailable(UnavailableReason::ShuttingDown);
                }
                _ => return ownerless::commit(self, &request).await,
            }
        }
    }

    /// Looks at the map, if the store answers soon.
    pub(crate) async fn look_now(self: &Arc<Self>) {
        if self.ownership.is_alone() {
            return;
        }
        // A task of its own: what it began to hand over, it must hear the end of.
        let context = Arc::clone(self);
        match timeout(LOOK_DEADLINE, self.tasks.spawn(async move { context.look_round().await })).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the shard map could not be looked at"),
            Ok(Err(error)) => tracing::error!(%error, "a look at the shards failed inside"),
            Err(_late) => tracing::warn!("the shard map could not be looked at in time"),
        }
    }

    async fn commit_there(&self, owner: &NodeRecord, request: &Arc<CommitRequest>) -> There {
        let Some(peers) = &self.parts.peers else { return There::Silent };
        let left = self.left_until(request.deadline);
        let kept = if left > KEPT_FOR_OWNERLESS * 2 { KEPT_FOR_OWNERLESS } else { Duration::ZERO };
        let passed = CommitRequest { deadline: request.deadline - kept, ..CommitRequest::clone(request) };
        let asked = peers.commit(owner, &passed, RECEIPT_WITHIN);
        match timeout(left.saturating_sub(kept), asked).await {
            // It stopped, or was fenced, with the request in hand: nothing was done.
            Ok(Ok(CommitAnswer::Unavailable(UnavailableReason::ShuttingDown)) | Err(PeerError::NotOwner)) => {
                There::Refused
            }
            Ok(Ok(answer)) => There::Answer(Box::new(answer)),
            Ok(Err(error @ (PeerError::Silent(_) | PeerError::Lost(_)))) => {
                if self.silence.may_be_repeated(self.store_now()) {
                    tracing::warn!(node = %owner.id.0, %error, "an owner is silent; committing without it");
                }
                There::Silent
            }
            Err(_late) => There::Silent,
        }
    }

    /// Makes a commit as the owner. `None`: this node is it no longer, and nothing was done.
    pub(crate) async fn commit_here(
        self: &Arc<Self>,
        request: &Arc<CommitRequest>,
        footing: Footing,
    ) -> Option<CommitAnswer> {
        let mut again = false;
        loop {
            let left = self.left_until(request.deadline);
            if !self.may_act(footing, request) {
                return None;
            }
            if left.is_zero() {
                return Some(CommitAnswer::Unavailable(UnavailableReason::Deadline));
            }
            let Led { calendar_id, stored } = match commit::leader(self, request).await {
                Ok(led) => led,
                Err(answer) => return Some(heard_of(self, request, footing, *answer).await.answer),
            };
            let before = if again { Before::HandedOver } else { Before::Read(Box::new(stored)) };
            let Some(calendar_id) = calendar_id else { return commit::lead(self, request, before, footing).await };
            let slot = self.wake(request.tenant.account_id, calendar_id, Cause::Question)?;
            let mut changes = slot.watch();
            match slot.commit(Arc::clone(request), before, footing) {
                Ok(answer) => match timeout(left, answer).await {
                    Ok(Ok(answer)) => return Some(answer),
                    // The actor died with it, or was fenced. Perhaps it was made: whoever makes it now looks first.
                    Ok(Err(_dropped)) => again = true,
                    Err(_late) => return Some(CommitAnswer::Unavailable(UnavailableReason::Deadline)),
                },
                Err(NotSent::Full) => return Some(CommitAnswer::Unavailable(UnavailableReason::MailboxFull)),
                Err(NotSent::Shut) => tokio::select! {
                    biased;
                    _ = timeout(left, changes.changed()) => {}
                    () = self.stopping.cancelled() => {}
                },
                Err(NotSent::Gone) => self.directory.remove(&slot),
            }
        }
    }

    /// Whether this node still owns what a commit was begun under.
    fn may_act(&self, footing: Footing, request: &CommitRequest) -> bool {
        let epoch = self.ownership.epoch_of(Shard::of(request.tenant.account_id));
        self.takes_commits() && epoch.is_some() && epoch == footing.epoch()
    }
}

/// What another node made of a commit.
enum There {
    Answer(Box<CommitAnswer>),
    /// It does not own the shard, or not any more. Nothing was done.
    Refused,
    /// Nobody knows whether it has begun.
    Silent,
}
