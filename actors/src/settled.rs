//! From a commit that is made to the caller who hears of it: facts go to decisions here, then to the cache, then the answer.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::plan::Planned;
use agentcal_engine::calendar::request::CommitAnswer;
use agentcal_engine::commit::{ClaimChange, Effect, RevisionKey};
use agentcal_engine::ids::CalendarId;
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::calendar::Msg;
use crate::context::Context;
use crate::jobs::Change;
use crate::slot::Slot;

/// Longest wait for a calendar to publish a commit; then its facts are withdrawn, so that nobody reads the old ones.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(2);

/// A commit that is made or refused, and what must yet happen before anybody hears of it.
pub(crate) struct Settled {
    pub(crate) answer: CommitAnswer,
    pub(crate) publishing: Vec<Publishing>,
}

impl Settled {
    /// Nothing need happen first.
    pub(crate) fn plain(answer: CommitAnswer) -> Self {
        Self { answer, publishing: Vec::new() }
    }

    /// The answer, once it may be heard.
    pub(crate) async fn heard(self) -> CommitAnswer {
        join_all(self.publishing.into_iter().map(Publishing::finish)).await;
        self.answer
    }
}

/// A calendar's facts on their way to the cache: decisions here rest on them already.
pub(crate) struct Publishing {
    context: Arc<Context>,
    slot: Arc<Slot>,
    published: oneshot::Receiver<()>,
    until: Instant,
}

impl Publishing {
    pub(crate) async fn finish(self) {
        if !matches!(timeout_at(self.until, self.published).await, Ok(Ok(()))) {
            give_up(&self.context, &self.slot).await;
        }
    }
}

/// Nobody shall read a calendar's old facts, here or at another node: its actor is slow, or ended, as its shard went to another
/// node while the commit was made. It reads the store.
async fn give_up(context: &Arc<Context>, slot: &Arc<Slot>) {
    context.withdraw(slot).await;
    slot.ring();
}

/// Publishes a commit in every awake calendar it changed. It counts for decisions here when this returns; what is returned
/// is on its way to the cache.
pub(crate) async fn publish(
    context: &Arc<Context>,
    planned: &Planned,
    revisions: &[(RevisionKey, u64)],
) -> Vec<Publishing> {
    let changed = planned.changed_calendars();
    let raised = revisions.iter().filter_map(|&(key, revision)| match key {
        RevisionKey::Calendar(calendar_id) => Some((calendar_id, revision)),
        RevisionKey::Config | RevisionKey::User(_) => None,
    });
    let publications = raised.filter_map(|(calendar_id, revision)| {
        changed.get(&calendar_id).map(|claims| publish_in(context, planned, calendar_id, revision, claims.clone()))
    });
    join_all(publications).await.into_iter().flatten().collect()
}

async fn publish_in(
    context: &Arc<Context>,
    planned: &Planned,
    calendar_id: CalendarId,
    revision: u64,
    claims: Option<Vec<ClaimChange>>,
) -> Option<Publishing> {
    let Some(slot) = context.directory.peek(calendar_id) else {
        // A calendar that sleeps reads the commit from the store when it wakes; until then nobody else shall read of before.
        context.withdraw_from_cache(planned.plan.tenant.account_id, calendar_id).await;
        return None;
    };
    let is_here = |effect: &Effect| matches!(effect, Effect::Writeback { calendar_id: id, .. } if *id == calendar_id);
    let write_wanted = planned.plan.effects.iter().any(is_here);
    let (applied, is_applied) = oneshot::channel();
    let (done, published) = oneshot::channel();
    let until = Instant::now() + PUBLISH_DEADLINE;
    let is_sent = slot.send(Msg::Changed(Change { revision, claims, write_wanted, applied, done }));
    let publishing = Publishing { context: Arc::clone(context), slot, published, until };
    match timeout_at(until, is_applied).await {
        Ok(Ok(true)) if is_sent => return Some(publishing),
        // It is read from the store: the next decision waits as long as the caller.
        Ok(Ok(false)) if is_sent => publishing.finish().await,
        _ => give_up(context, &publishing.slot).await,
    }
    None
}
