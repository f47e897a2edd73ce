//! A commit without its owner: the same decision and the same transaction, from the store's facts and without an epoch.
//!
//! The commit's id, used up by whoever settles it first, keeps the owner from performing what was refused here, and this
//! node from refusing what the owner performed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::plan::Planned;
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, Intent, UnavailableReason};
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::planted;
use agentcal_engine::ports::{BeatsEnded, NodeRecord, PeerError};
use agentcal_engine::shard::{Epoch, Shard};
use futures::future::join_all;
use tokio::time::timeout;

use crate::commit::{Before, Footing, STORE_UNAVAILABLE, lead, settled_before};
use crate::context::Context;
use crate::metrics;
use crate::ownership::Place;

/// Longest wait for the facts of the changed calendars to reach the cache.
const PUBLISH_DEADLINE: Duration = Duration::from_millis(200);
/// Longest wait for the owner to hear of it. It hears by its next renewal anyway.
const TELL_DEADLINE: Duration = Duration::from_secs(1);

/// Makes a commit whose owner does not answer.
pub(crate) async fn commit(context: &Arc<Context>, request: &CommitRequest) -> CommitAnswer {
    ::metrics::counter!(metrics::OWNERLESS_COMMITS).increment(1);
    let turn = context.turns.take(Shard::of(request.tenant.account_id));
    let Ok(_turn) = timeout(context.left_until(request.deadline), turn).await else {
        return CommitAnswer::Unavailable(UnavailableReason::Deadline);
    };
    let answer = lead(context, request, Before::HandedOver, Footing::Ownerless).await;
    answer.unwrap_or(STORE_UNAVAILABLE)
}

/// A no is only said of a commit that nobody else will say yes to.
pub(crate) async fn last_word(context: &Context, request: &CommitRequest, answer: CommitAnswer) -> CommitAnswer {
    if request.intent == Intent::DryRun || !is_no(&answer) || planted!(RefusalUsesNothing) {
        return answer;
    }
    match context.parts.store.use_up(request.tenant.account_id, request.commit_id).await {
        Ok(false) => answer,
        Ok(true) => settled_before(context, request, true).await,
        Err(error) => {
            tracing::warn!(commit_id = %request.commit_id, %error, "a refused commit could not be used up");
            STORE_UNAVAILABLE
        }
    }
}

/// Whether an answer says that the commit is not made and will not be.
fn is_no(answer: &CommitAnswer) -> bool {
    match answer {
        CommitAnswer::Committed(_) | CommitAnswer::WouldCommit(_) | CommitAnswer::Replayed(_) => false,
        CommitAnswer::IdempotencyMismatch
        | CommitAnswer::Refused(_)
        | CommitAnswer::Rejected(_)
        | CommitAnswer::HoldLimit(_) => true,
        // These leave open whether it was made.
        CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable | UnavailableReason::Deadline) => false,
        CommitAnswer::Unavailable(_) => true,
    }
}

/// Publishes what was committed to the cache, and lets the owner know.
pub(crate) async fn publish(context: &Arc<Context>, planned: &Planned) {
    publish_calendars(context, planned.plan.tenant.account_id, planned.changed_calendars().into_keys().collect()).await;
}

/// Publishes calendars as the store has them, and has their owner take that in. Where the cache does not take it, nobody trusts
/// the owner's last word any more.
pub(crate) async fn publish_calendars(context: &Arc<Context>, account_id: AccountId, changed: BTreeSet<CalendarId>) {
    if changed.is_empty() {
        return;
    }
    let published = changed.iter().map(|&calendar_id| publish_one(context, account_id, calendar_id));
    let published = timeout(PUBLISH_DEADLINE, join_all(published)).await.unwrap_or_else(|_late| {
        tracing::warn!("a commit without its owner did not reach the cache in time");
        Vec::new()
    });
    let epoch = published.iter().filter_map(|one| one.epoch).max();
    if published.is_empty() || published.iter().any(|one| !one.is_in_cache) {
        // Nobody shall read what stands there. The owner's beats are true again once it has renewed its lease and heard.
        let shard = Shard::of(account_id);
        let epoch = epoch.max(Some(context.ownership.row_epoch(shard))).unwrap_or(Epoch(0));
        context.tell_beats_ended(BeatsEnded { shard, epoch, said_until: context.store_now() }).await;
    }
    tell_owner(context, account_id, epoch).await;
}

/// What became of a calendar after a commit without its owner.
struct Published {
    /// The shard's epoch as the store had it afterwards, if it served.
    epoch: Option<Epoch>,
    /// The cache has nothing older.
    is_in_cache: bool,
}

async fn publish_one(context: &Context, account_id: AccountId, calendar_id: CalendarId) -> Published {
    let shard = Shard::of(account_id);
    let cache = &context.parts.cache;
    let source = context.parts.store.load_facts(account_id, calendar_id).await;
    let epoch = source.as_ref().ok().and_then(|source| source.as_ref().map(|source| source.epoch));
    let result = match source {
        Ok(Some(source)) => cache.publish(shard, Arc::new(CalendarFacts::assemble(source))).await,
        Ok(None) => cache.withdraw(shard, calendar_id).await,
        Err(error) => {
            tracing::warn!(%calendar_id, %error, "facts could not be read after a commit without their owner");
            cache.withdraw(shard, calendar_id).await
        }
    };
    if let Err(error) = &result {
        tracing::warn!(%calendar_id, %error, "a commit without its owner did not reach the cache");
    }
    Published { epoch, is_in_cache: result.is_ok() }
}

/// Has the owner take the commit in. `seen` is the shard's epoch as it was after the commit: above the map's, somebody was
/// given the shard whom this node went past without knowing. An owner that can be reached is waited for, since it may be
/// answering from what it read before; one whose silence made this node commit hears of it by its next renewal.
async fn tell_owner(context: &Arc<Context>, account_id: AccountId, seen: Option<Epoch>) {
    let shard = Shard::of(account_id);
    if seen.is_none_or(|seen| seen > context.ownership.row_epoch(shard)) && !planted!(HeirNotTold) {
        context.look_now().await;
    }
    match context.ownership.place(shard) {
        Place::There(owner, _) if context.ownership.is_silent(owner.id) => {
            let told = Arc::clone(context);
            context.tasks.spawn(async move { tell(&told, &owner, account_id, TELL_DEADLINE).await });
        }
        Place::There(owner, _) => tell(context, &owner, account_id, PUBLISH_DEADLINE).await,
        Place::Here(_) => context.catch_up_account_or_warn(account_id).await,
        Place::Moving | Place::Nowhere => {}
    }
}

async fn tell(context: &Context, owner: &NodeRecord, account_id: AccountId, within: Duration) {
    let Some(peers) = &context.parts.peers else { return };
    match timeout(within, peers.config_changed(owner, account_id)).await {
        // It does not act as the owner, and reads from the store before it does.
        Ok(Ok(()) | Err(PeerError::NotOwner)) => {}
        Ok(Err(PeerError::Silent(_) | PeerError::Lost(_))) | Err(_) => context.ownership.note_silence(owner.id),
    }
}
