//! The commit: one transaction, whole or not at all.
//!
//! Order of locks: the shard's epoch, then revisions ascending, each in its final mode. Then the clock, read once. Then
//! claims of expired holds that are in the way go, and everything else is written. What was read beside the locks (a kept
//! answer, a used-up id) may be from before they were had; whoever was faster is found again by what is written: a kept
//! answer or a used id that is there refuses, and the commit that came second looks once more at what the first left.

use agentcal_engine::commit::{Access, CommitPlan, IdempotentAnswer, Outcome};
use agentcal_engine::ids::AccountId;
use agentcal_engine::invariants::holds_are_whole;
use agentcal_engine::ports::{CommitStore, StoreError};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;
use async_trait::async_trait;
use uuid::Uuid;

use crate::answers::{KEPT_FOR, Kept, binding};
use crate::claims::Changed;
use crate::db::DbConnection;
use crate::error::{Result, is_passing, sealed_error, store_error};
use crate::ground::{self, Ground};
use crate::holds::HoldChanged;
use crate::open::{PostgresStore, StoreClock};
use crate::scope::Scope;
use crate::{booking, claims, decisions, holds, revisions, used_commits, writeback};

#[async_trait]
impl CommitStore for PostgresStore {
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError> {
        debug_assert_eq!(plan.shard, Shard::of(plan.tenant.account_id), "a plan carries its account's shard");
        debug_assert_eq!(holds_are_whole(plan), Ok(()), "{plan:?}");
        let outcome = match self.try_commit(plan).await {
            Err(error) if is_passing(&error) => Outcome::Stale,
            tried => tried?,
        };
        match outcome {
            Outcome::Stale | Outcome::Overlap { .. } | Outcome::Fenced | Outcome::HoldLimit { .. } => {
                Ok(self.settled_meanwhile(plan).await?.unwrap_or(outcome))
            }
            settled => Ok(settled),
        }
    }

    async fn used_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<Option<bool>, StoreError> {
        let mut reader = self.reader(Scope::Account(account_id)).await?;
        used_commits::find(&mut reader, account_id, commit_id).await
    }

    async fn use_up(&self, account_id: AccountId, commit_id: Uuid) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        let now = self.now_on(&mut work).await?;
        // Waits for a commit of this id that is under way.
        if used_commits::insert(&mut work, account_id, commit_id, false, now).await? {
            work.commit().await.map_err(store_error)?;
            return Ok(false);
        }
        Ok(used_commits::find(&mut work, account_id, commit_id).await?.unwrap_or(false))
    }
}

impl PostgresStore {
    /// One try. Every way out but the last leaves the transaction to be rolled back.
    async fn try_commit(&self, plan: &CommitPlan) -> Result<Outcome> {
        let account_id = plan.tenant.account_id;
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        let Some(ground) = ground::lock(&mut work, plan).await? else { return Ok(Outcome::Stale) };
        let now = match &self.clock {
            StoreClock::Given(clock) => clock.now(),
            StoreClock::Database => ground.clock,
        };
        if let Some(outcome) = self.judge(plan, &ground, now)? {
            return Ok(outcome);
        }
        let mut raised = Vec::new();
        for expected in plan.expected_revisions.iter().filter(|expected| expected.access == Access::Write) {
            let Some(revision) = revisions::raise(&mut work, account_id, expected.key).await? else {
                return Ok(Outcome::Stale);
            };
            raised.push((expected.key, revision));
        }
        if let Some(outcome) = perform(&mut work, plan, now).await? {
            return Ok(outcome);
        }
        if let Some(idempotent) = &plan.idempotency
            && !self.keep_once(&mut work, account_id, idempotent, &ground, now).await?
        {
            return Ok(Outcome::Stale);
        }
        work.commit().await.map_err(store_error)?;
        Ok(Outcome::Committed { revisions: raised })
    }

    /// What is known before anything is written. `None`: go on.
    fn judge(&self, plan: &CommitPlan, ground: &Ground, now: Timestamp) -> Result<Option<Outcome>> {
        if let Some(idempotent) = &plan.idempotency
            && let Some(kept) = ground.kept.as_ref().filter(|kept| kept.created_at > now - KEPT_FOR)
        {
            let owner = KeyOwner::Account(plan.tenant.account_id);
            if kept.fingerprint != idempotent.key.fingerprint {
                return Ok(Some(Outcome::IdempotencyMismatch));
            }
            let wrapped = ground.data_key.as_ref().ok_or_else(no_data_key)?;
            let key = self.keyring.unwrap(owner, wrapped).map_err(sealed_error)?;
            let plain = key.open(&binding(owner, &idempotent.key.scope), &kept.answer).map_err(sealed_error)?;
            return Ok(Some(Outcome::Replayed { answer: plain.to_vec() }));
        }
        if let Some(is_performed) = ground.used.filter(|_| plan.is_shared) {
            return Ok(Some(Outcome::UsedUp { is_performed }));
        }
        if plan.epoch.is_some() && plan.epoch != ground.epoch {
            return Ok(Some(Outcome::Fenced));
        }
        let is_early = plan.expired_until.is_some_and(|end| end > now);
        Ok((is_early || !ground.stands(&plan.expected_revisions)).then_some(Outcome::Stale))
    }

    /// Keeps the answer; false when another one that counts is there.
    async fn keep_once(
        &self,
        work: &mut DbConnection,
        account_id: AccountId,
        idempotent: &IdempotentAnswer,
        ground: &Ground,
        now: Timestamp,
    ) -> Result<bool> {
        let IdempotentAnswer { key, answer } = idempotent;
        let owner = KeyOwner::Account(account_id);
        let wrapped = ground.data_key.as_ref().ok_or_else(no_data_key)?;
        let data_key = self.keyring.unwrap(owner, wrapped).map_err(sealed_error)?;
        let sealed = data_key.seal(&binding(owner, &key.scope), answer, self.entropy.as_ref());
        let insert = sqlx::query(
            "INSERT INTO account_answers (account_id, scope, fingerprint, answer, created_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, scope) DO UPDATE SET \
             fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at \
             WHERE account_answers.created_at <= $6",
        );
        let insert = insert.bind(account_id.as_uuid()).bind(&key.scope[..]).bind(&key.fingerprint[..]);
        let insert = insert.bind(sealed).bind(now.as_micros()).bind((now - KEPT_FOR).as_micros());
        Ok(insert.execute(work).await.map_err(store_error)?.rows_affected() == 1)
    }

    /// A commit that failed may have failed because the same one was performed beside it.
    async fn settled_meanwhile(&self, plan: &CommitPlan) -> Result<Option<Outcome>> {
        let account_id = plan.tenant.account_id;
        if plan.idempotency.is_none() && !plan.is_shared {
            return Ok(None);
        }
        let mut reader = self.begin_read(Scope::Account(account_id)).await?;
        if let Some(idempotent) = &plan.idempotency {
            let now = self.now_on(&mut reader).await?;
            match self.kept(&mut reader, KeyOwner::Account(account_id), &idempotent.key, now).await? {
                Kept::Nothing => {}
                Kept::Answer(answer) => return Ok(Some(Outcome::Replayed { answer })),
                Kept::OtherRequest => return Ok(Some(Outcome::IdempotencyMismatch)),
            }
        }
        if !plan.is_shared {
            return Ok(None);
        }
        let used = used_commits::find(&mut reader, account_id, plan.commit_id).await?;
        Ok(used.map(|is_performed| Outcome::UsedUp { is_performed }))
    }
}

fn no_data_key() -> StoreError {
    StoreError::Corrupt("a tenant without a data key".to_owned())
}

/// Makes the changes. The booking's row comes first, because claims and effects point to it.
async fn perform(work: &mut DbConnection, plan: &CommitPlan, now: Timestamp) -> Result<Option<Outcome>> {
    let account_id = plan.tenant.account_id;
    if plan.is_shared && !used_commits::insert(work, account_id, plan.commit_id, true, now).await? {
        return Ok(Some(Outcome::Stale));
    }
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
