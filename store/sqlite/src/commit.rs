//! The commit: one transaction, whole or not at all.
//!
//! Order: tenant; idempotency; the commit's id; epoch; revisions that are read; revisions that are raised; then the changes;
//! then the kept answer. `BEGIN IMMEDIATE` has locked everything before the first read, so the store's clock is read once right
//! after it, and nothing that was compared can change before the end.

use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::ids::AccountId;
use agentcal_engine::invariants::holds_are_whole;
use agentcal_engine::model::Tenant;
use agentcal_engine::ports::{CommitStore, StoreError};
use agentcal_engine::shard::{Epoch, Shard};
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;
use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use crate::answers::Kept;
use crate::claims::Changed;
use crate::error::{Result, store_error};
use crate::holds::HoldChanged;
use crate::open::SqliteStore;
use crate::scope::Scope;
use crate::text::{Named, to_u64};
use crate::{booking, claims, decisions, events, expected, holds, used_commits, writeback};

#[async_trait]
impl CommitStore for SqliteStore {
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let outcome = self.perform_in(&mut work, plan).await?;
        if matches!(outcome, Outcome::Committed { .. }) {
            work.commit().await.map_err(store_error)?;
        }
        Ok(outcome)
    }

    /// One wait for the disk for all of them.
    async fn commit_together(&self, plans: &[&CommitPlan]) -> Result<Vec<Outcome>, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let mut outcomes = Vec::with_capacity(plans.len());
        for plan in plans {
            let mut part = work.begin().await.map_err(store_error)?;
            let outcome = self.perform_in(&mut part, plan).await?;
            let is_committed = matches!(outcome, Outcome::Committed { .. });
            outcomes.push(outcome);
            if !is_committed {
                part.rollback().await.map_err(store_error)?;
                break;
            }
            part.commit().await.map_err(store_error)?;
        }
        work.commit().await.map_err(store_error)?;
        Ok(outcomes)
    }

    async fn used_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<Option<bool>, StoreError> {
        used_commits::find(&mut *self.reader(Scope::All).await?, account_id, commit_id).await
    }

    async fn use_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        if used_commits::insert(&mut work, account_id, commit_id, false, self.now()).await? {
            work.commit().await.map_err(store_error)?;
            return Ok(false);
        }
        Ok(used_commits::find(&mut work, account_id, commit_id).await?.unwrap_or(false))
    }
}

/// Uses up the id of a commit that others may be performing; whether it had been performed, where it was used up before.
async fn used_before(work: &mut SqliteConnection, plan: &CommitPlan, now: Timestamp) -> Result<Option<bool>> {
    let (account_id, commit_id) = (plan.tenant.account_id, plan.commit_id);
    if !plan.is_shared || used_commits::insert(work, account_id, commit_id, true, now).await? {
        return Ok(None);
    }
    used_commits::find(work, account_id, commit_id).await
}

impl SqliteStore {
    /// Does what a plan says. With any outcome but [`Outcome::Committed`], what was done up to then must be rolled back.
    async fn perform_in(&self, work: &mut SqliteConnection, plan: &CommitPlan) -> Result<Outcome> {
        debug_assert_eq!(plan.shard, Shard::of(plan.tenant.account_id), "a plan carries its account's shard");
        debug_assert_eq!(holds_are_whole(plan), Ok(()), "{plan:?}");
        let now = self.now();
        let Some(ground) = ground(work, &plan.tenant).await? else { return Ok(Outcome::Stale) };
        if let Some(outcome) = self.answered_before(work, plan, now).await? {
            return Ok(outcome);
        }
        if let Some(is_performed) = used_before(work, plan, now).await? {
            return Ok(Outcome::UsedUp { is_performed });
        }
        if plan.epoch.is_some_and(|held| held != ground.epoch) {
            return Ok(Outcome::Fenced);
        }
        if plan.expired_until.is_some_and(|end| end > now) {
            return Ok(Outcome::Stale);
        }
        let account_id = plan.tenant.account_id;
        if !expected::stand(work, account_id, &plan.expected_revisions, ground.config_revision).await? {
            return Ok(Outcome::Stale);
        }
        let raised = expected::raise_written(work, account_id, &plan.expected_revisions).await?;
        let Some(revisions) = raised else { return Ok(Outcome::Stale) };
        if let Some(outcome) = perform(work, plan, now).await? {
            return Ok(outcome);
        }
        if let Some(idempotent) = &plan.idempotency {
            self.keep(work, KeyOwner::Account(account_id), idempotent, now).await?;
        }
        Ok(Outcome::Committed { revisions })
    }

    /// What the idempotency key already answers.
    async fn answered_before(
        &self,
        work: &mut SqliteConnection,
        plan: &CommitPlan,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        let Some(idempotent) = &plan.idempotency else { return Ok(None) };
        let owner = KeyOwner::Account(plan.tenant.account_id);
        Ok(match self.kept(work, owner, &idempotent.key, now).await? {
            Kept::Nothing => None,
            Kept::Answer(answer) => Some(Outcome::Replayed { answer }),
            Kept::OtherRequest => Some(Outcome::IdempotencyMismatch),
        })
    }
}

/// What every commit stands on, in one read.
struct Ground {
    epoch: Epoch,
    config_revision: u64,
}

/// `None`: the account is not there, or not this organization's and mode's.
async fn ground(work: &mut SqliteConnection, tenant: &Tenant) -> Result<Option<Ground>> {
    let select = sqlx::query_as::<_, (i64, i64)>(
        "SELECT s.epoch, r.revision FROM accounts AS a \
         JOIN revisions AS r ON r.account_id = a.account_id AND r.kind = 0 AND r.id = a.account_id \
         JOIN store_state AS s ON s.id = 1 WHERE a.account_id = $1 AND a.organization_id = $2 AND a.mode = $3",
    );
    let select = select.bind(tenant.account_id.as_uuid()).bind(tenant.organization_id.as_uuid());
    let found = select.bind(tenant.mode.name()).fetch_optional(work).await.map_err(store_error)?;
    let ground = |(epoch, revision)| Ok(Ground { epoch: Epoch(to_u64(epoch)?), config_revision: to_u64(revision)? });
    found.map(ground).transpose()
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
    if let Some(event) = &plan.event {
        events::insert(work, &plan.tenant, event, now).await?;
    }
    for effect in &plan.effects {
        if !writeback::apply(work, account_id, effect, now).await? {
            return Ok(Some(Outcome::Stale));
        }
    }
    Ok(None)
}
