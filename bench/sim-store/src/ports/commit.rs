//! The commit: one transaction, whole or not at all.
//!
//! Order, the same as in every store: tenant; idempotency; epoch; revisions that are read; revisions that are raised; then
//! the changes, the booking's row first, because claims and effects point to it; then the kept answer.

use agentcal_engine::commit::{Access, CommitPlan, Outcome, RevisionKey};
use agentcal_engine::ids::AccountId;
use agentcal_engine::invariants::holds_are_whole;
use agentcal_engine::ports::{CommitStore, StoreError};
use agentcal_engine::shard::Shard;
use async_trait::async_trait;
use uuid::Uuid;

use crate::settings::Planted;
use crate::state::answers::{Keeper, Kept, keep, kept};
use crate::state::claims::Changed;
use crate::state::frame::tenant_rows;
use crate::state::holds::HoldChanged;
use crate::state::{AccountRows, Done, UsedCommit, Work, bookings, claims, holds, note_commit, writebacks};
use crate::store::SimStore;

#[async_trait]
impl CommitStore for SimStore {
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError> {
        debug_assert_eq!(plan.shard, Shard::of(plan.tenant.account_id), "a plan carries its account's shard");
        debug_assert_eq!(holds_are_whole(plan), Ok(()), "{plan:?}");
        if !self.is_held() {
            return perform_on(self, plan).await;
        }
        let (store, plan) = (self.clone(), plan.clone());
        let sent = tokio::spawn(async move { perform_on(&store, &plan).await });
        // A task ends without an answer only with its runtime, and then nobody waits here any more.
        sent.await.unwrap_or_else(|error| Err(StoreError::Unavailable(Box::new(error))))
    }

    async fn used_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<Option<bool>, StoreError> {
        let used = |rows: &AccountRows| rows.used_commits.get(&commit_id).map(|used| used.is_performed);
        self.read(|state, _| state.account(account_id).and_then(used)).await
    }

    async fn use_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<bool, StoreError> {
        self.write(|work| Ok(Done::Keep(use_up(work, account_id, commit_id, false).unwrap_or(false)))).await
    }
}

async fn perform_on(store: &SimStore, plan: &CommitPlan) -> Result<Outcome, StoreError> {
    store
        .write(|work| {
            let outcome = commit(work, plan)?;
            Ok(Done::keep_if(matches!(outcome, Outcome::Committed { .. }), outcome))
        })
        .await
}

fn commit(work: &mut Work<'_>, plan: &CommitPlan) -> Result<Outcome, StoreError> {
    if let Some(outcome) = answered_before(work, plan) {
        return Ok(outcome);
    }
    if let Some(is_performed) = used_before(work, plan) {
        return Ok(Outcome::UsedUp { is_performed });
    }
    if let Some(outcome) = refusal(work, plan) {
        return Ok(outcome);
    }
    let Some(revisions) = raise(work, plan) else { return Ok(Outcome::Stale) };
    if let Some(outcome) = perform(work, plan)? {
        return Ok(outcome);
    }
    if let Some(idempotent) = &plan.idempotency {
        keep(work, Keeper::Account(plan.tenant.account_id), idempotent);
    }
    let now = work.now();
    if plan.epoch.is_none()
        && let Some(rows) = work.account_mut(plan.tenant.account_id)
    {
        rows.touched_at = Some(now);
    }
    note_commit(work, plan);
    Ok(Outcome::Committed { revisions })
}

/// What the tenant or the idempotency key already answer.
fn answered_before(work: &Work<'_>, plan: &CommitPlan) -> Option<Outcome> {
    if tenant_rows(work.state(), &plan.tenant).is_none() {
        return Some(Outcome::Stale);
    }
    let key = &plan.idempotency.as_ref()?.key;
    match kept(work.state(), Keeper::Account(plan.tenant.account_id), key, work.present()) {
        Kept::Nothing => None,
        Kept::Answer(answer) => Some(Outcome::Replayed { answer }),
        Kept::OtherRequest => Some(Outcome::IdempotencyMismatch),
    }
}

/// Uses up the id of a commit that others may be performing; whether it had been performed, where it was used up before.
fn used_before(work: &mut Work<'_>, plan: &CommitPlan) -> Option<bool> {
    if !plan.is_shared {
        return None;
    }
    use_up(work, plan.tenant.account_id, plan.commit_id, true)
}

fn use_up(work: &mut Work<'_>, account_id: AccountId, commit_id: Uuid, is_performed: bool) -> Option<bool> {
    let used_at = work.now();
    let rows = work.account_mut(account_id)?;
    if let Some(used) = rows.used_commits.get(&commit_id) {
        return Some(used.is_performed);
    }
    rows.used_commits.insert(commit_id, UsedCommit { is_performed, used_at });
    None
}

/// Why the plan may not begin: its leader was superseded, or what it was decided on has changed.
fn refusal(work: &Work<'_>, plan: &CommitPlan) -> Option<Outcome> {
    let is_over = plan.epoch.is_some_and(|held| held != work.state().globals.epoch_of(plan.tenant.account_id));
    if is_over && !work.is_planted(Planted::NoFence) {
        return Some(Outcome::Fenced);
    }
    if plan.expired_until.is_some_and(|end| end > work.now()) {
        return Some(Outcome::Stale);
    }
    let rows = work.account(plan.tenant.account_id)?;
    let stands = plan.expected_revisions.iter().all(|expected| {
        let present = rows.revision(expected.key);
        let as_seen = expected.revision.is_none() || expected.revision == present;
        present.is_some() && (as_seen || work.is_planted(Planted::SkipRevisionCheck))
    });
    (!stands).then_some(Outcome::Stale)
}

/// Raises every revision the plan writes.
fn raise(work: &mut Work<'_>, plan: &CommitPlan) -> Option<Vec<(RevisionKey, u64)>> {
    let rows = work.account_mut(plan.tenant.account_id)?;
    let written = plan.expected_revisions.iter().filter(|expected| expected.access == Access::Write);
    written.map(|expected| Some((expected.key, rows.raise(expected.key)?))).collect()
}

/// Makes the changes; says what stood in the way.
fn perform(work: &mut Work<'_>, plan: &CommitPlan) -> Result<Option<Outcome>, StoreError> {
    let present = work.present().clone();
    let account_id = plan.tenant.account_id;
    let Some(rows) = work.account_mut(account_id) else { return Ok(Some(Outcome::Stale)) };
    if plan.booking.as_ref().is_some_and(|change| !bookings::apply(rows, change)) {
        return Ok(Some(Outcome::Stale));
    }
    for change in &plan.claims {
        match claims::apply(rows, change, &present)? {
            Changed::Done => {}
            Changed::Stale => return Ok(Some(Outcome::Stale)),
            Changed::Overlap(user_id) => return Ok(Some(Outcome::Overlap { user_id })),
        }
    }
    for change in &plan.holds {
        match holds::apply(work, &plan.tenant, change) {
            HoldChanged::Done => {}
            HoldChanged::Stale => return Ok(Some(Outcome::Stale)),
            HoldChanged::Limit(limit) => return Ok(Some(Outcome::HoldLimit { limit })),
        }
    }
    if let Some(record) = &plan.decision {
        holds::record_decision(work, record);
    }
    let Some(rows) = work.account_mut(account_id) else { return Ok(Some(Outcome::Stale)) };
    if plan.event.as_deref().is_some_and(|event| rows.events.insert(event.id, event.clone())) {
        return Ok(Some(Outcome::Stale));
    }
    let all_noted = plan.effects.iter().all(|effect| writebacks::apply(rows, effect, present.now));
    Ok((!all_noted).then_some(Outcome::Stale))
}
