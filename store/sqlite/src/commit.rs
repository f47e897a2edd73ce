//! The commit: one transaction, whole or not at all.
//!
//! Order: tenant; idempotency; epoch; revisions as the plan lists them; then the changes; then the raised revisions; then
//! the kept answer. `BEGIN IMMEDIATE` has locked everything before the first read, so the store's clock is read once
//! right after it, and nothing that was compared can change before the end.

use agentcal_engine::commit::{Access, CommitPlan, Outcome, RevisionKey};
use agentcal_engine::ports::{CommitStore, StoreError};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;
use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::answers::Kept;
use crate::claims::Changed;
use crate::error::{Result, store_error};
use crate::facts::epoch;
use crate::holds::HoldChanged;
use crate::open::SqliteStore;
use crate::work::has_tenant;
use crate::{booking, claims, decisions, holds, revisions, writeback};

#[async_trait]
impl CommitStore for SqliteStore {
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError> {
        debug_assert_eq!(plan.shard, Shard::of(plan.tenant.account_id), "a plan carries its account's shard");
        let mut work = self.begin_write().await?;
        let now = self.now();
        let owner = KeyOwner::Account(plan.tenant.account_id);
        if let Some(outcome) = self.answered_before(&mut work, plan, now).await? {
            return Ok(outcome);
        }
        if let Some(outcome) = refusal(&mut work, plan).await? {
            return Ok(outcome);
        }
        if let Some(outcome) = perform(&mut work, plan, now).await? {
            return Ok(outcome);
        }
        let Some(revisions) = raise(&mut work, plan).await? else { return Ok(Outcome::Stale) };
        if let Some(idempotent) = &plan.idempotency {
            self.keep(&mut work, owner, idempotent, now).await?;
        }
        work.commit().await.map_err(store_error)?;
        Ok(Outcome::Committed { revisions })
    }
}

impl SqliteStore {
    /// What the idempotency key already answers.
    async fn answered_before(
        &self,
        work: &mut SqliteConnection,
        plan: &CommitPlan,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        if !has_tenant(work, &plan.tenant).await? {
            return Ok(Some(Outcome::Stale));
        }
        let Some(idempotent) = &plan.idempotency else { return Ok(None) };
        let owner = KeyOwner::Account(plan.tenant.account_id);
        Ok(match self.kept(work, owner, &idempotent.key, now).await? {
            Kept::Nothing => None,
            Kept::Answer(answer) => Some(Outcome::Replayed { answer }),
            Kept::OtherRequest => Some(Outcome::IdempotencyMismatch),
        })
    }
}

/// Why the plan may not begin: its leader was superseded, or what it was decided on has changed.
async fn refusal(work: &mut SqliteConnection, plan: &CommitPlan) -> Result<Option<Outcome>> {
    if let Some(held) = plan.epoch
        && epoch(work).await? != held
    {
        return Ok(Some(Outcome::Fenced));
    }
    for expected in &plan.expected_revisions {
        let present = revisions::read(work, plan.tenant.account_id, expected.key).await?;
        let stands = present.is_some() && (expected.revision.is_none() || expected.revision == present);
        if !stands {
            return Ok(Some(Outcome::Stale));
        }
    }
    Ok(None)
}

/// Makes the changes. The booking's row comes first, because claims and effects point to it.
async fn perform(work: &mut SqliteConnection, plan: &CommitPlan, now: Timestamp) -> Result<Option<Outcome>> {
    let account_id = plan.tenant.account_id;
    if let Some(change) = &plan.booking
        && !booking::apply(work, account_id, change).await?
    {
        return Ok(Some(Outcome::Stale));
    }
    for change in &plan.claims {
        match claims::apply(work, account_id, plan.shard, change, now).await? {
            Changed::Done => {}
            Changed::Stale => return Ok(Some(Outcome::Stale)),
            Changed::Overlap(user_id) => return Ok(Some(Outcome::Overlap { user_id })),
        }
    }
    for change in &plan.holds {
        match holds::apply(work, &plan.tenant, change, now).await? {
            HoldChanged::Done => {}
            HoldChanged::Stale => return Ok(Some(Outcome::Stale)),
            HoldChanged::Limit(limit) => return Ok(Some(Outcome::HoldLimit { limit })),
        }
    }
    if let Some(record) = &plan.decision {
        decisions::insert(work, record).await?;
    }
    for effect in &plan.effects {
        if !writeback::apply(work, account_id, effect, now).await? {
            return Ok(Some(Outcome::Stale));
        }
    }
    Ok(None)
}

/// Raises every revision the plan writes.
async fn raise(work: &mut SqliteConnection, plan: &CommitPlan) -> Result<Option<Vec<(RevisionKey, u64)>>> {
    let mut raised = Vec::new();
    for expected in plan.expected_revisions.iter().filter(|expected| expected.access == Access::Write) {
        match revisions::raise(work, plan.tenant.account_id, expected.key).await? {
            Some(revision) => raised.push((expected.key, revision)),
            None => return Ok(None),
        }
    }
    Ok(Some(raised))
}
