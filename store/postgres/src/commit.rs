//! The commit: one transaction, whole or not at all. One that makes a booking is one call (`crate::book`); what is said
//! here of the order holds for both.
//!
//! Order of locks: the shard's epoch, then revisions ascending, each in its final mode. Then the clock, read once. Then
//! claims of expired holds that are in the way go, and everything else is written. What was read beside the locks (a kept
//! answer, a used-up id) may be from before they were had; whoever was faster is found again by what is written: a kept
//! answer or a used id that is there refuses, and the commit that came second looks once more at what the first left.

use agentcal_engine::commit::{ClaimChange, CommitPlan, IdempotentAnswer, Outcome};
use agentcal_engine::ids::AccountId;
use agentcal_engine::invariants::{CLAIM_US_MAX, holds_are_whole};
use agentcal_engine::model::Claim;
use agentcal_engine::planted;
use agentcal_engine::ports::{CommitStore, StoreError, commit_in_turn};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;
use async_trait::async_trait;
use uuid::Uuid;

use crate::answers::{KEPT_FOR, Kept, binding, no_data_key};
use crate::batch::{self, SealedAnswer};
use crate::book::Book;
use crate::claims::Changed;
use crate::db::DbConnection;
use crate::error::{Result, Violation, is_passing, sealed_error, store_error, violation};
use crate::ground::{self, Ground};
use crate::holds::HoldChanged;
use crate::open::PostgresStore;
use crate::scope::Scope;
use crate::{booking, claims, holds, used_commits, writeback};

#[async_trait]
impl CommitStore for PostgresStore {
    async fn commit(&self, plan: &CommitPlan) -> Result<Outcome, StoreError> {
        debug_assert_eq!(plan.shard, Shard::of(plan.tenant.account_id), "a plan carries its account's shard");
        debug_assert_eq!(holds_are_whole(plan), Ok(()), "{plan:?}");
        planted!(EffectsOutside => { return self.commit_and_then_effects(plan).await });
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

    /// All of them in one transaction where nothing is in the way; else one after the other, which says what is.
    async fn commit_together(&self, plans: &[&CommitPlan]) -> Result<Vec<Outcome>, StoreError> {
        let is_of_one_account = plans.windows(2).all(|pair| pair[0].tenant == pair[1].tenant);
        // Bugs are planted in the steps of a commit of its own.
        let may_be_one = plans.len() > 1 && is_of_one_account && !cfg!(feature = "planted");
        let books: Option<Vec<Book<'_>>> = plans.iter().map(|plan| Book::of(plan)).collect();
        if let Some(books) = books.filter(|_| may_be_one)
            && let Some(outcomes) = self.book_together(&books).await?
        {
            return Ok(outcomes);
        }
        commit_in_turn(self, plans).await
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
    /// What must never be: a transaction for the booking, and another for what follows from it.
    #[cfg(feature = "planted")]
    async fn commit_and_then_effects(&self, plan: &CommitPlan) -> Result<Outcome> {
        let outcome = self.try_commit(&CommitPlan { effects: Vec::new(), ..plan.clone() }).await?;
        let mut work = self.begin_write(Scope::Account(plan.tenant.account_id)).await?;
        let now = self.now_on(&mut work).await?;
        for effect in &plan.effects {
            writeback::apply(&mut work, plan.tenant.account_id, effect, now).await?;
        }
        work.commit().await.map_err(store_error)?;
        Ok(outcome)
    }

    async fn try_commit(&self, plan: &CommitPlan) -> Result<Outcome> {
        // Bugs are planted in the steps, which can do everything.
        match Book::of(plan).filter(|_| !cfg!(feature = "planted")) {
            Some(book) => match self.book(&book).await? {
                Ok(outcome) => Ok(outcome),
                Err(error) => self.refused(plan, error).await,
            },
            None => self.commit_in_steps(plan).await,
        }
    }

    /// One try, statement by statement. Every way out but the last leaves the transaction to be rolled back.
    async fn commit_in_steps(&self, plan: &CommitPlan) -> Result<Outcome> {
        let account_id = plan.tenant.account_id;
        let mut work = self.begin_write(Scope::Account(account_id)).await?;
        let locked = ground::lock(&mut work, plan).await?;
        let Some(ground) = locked else { return Ok(Outcome::Stale) };
        // Read after the last lock, like the database's.
        let now = self.given_clock().unwrap_or(ground.clock);
        if let Some(outcome) = self.judge(plan, &ground, now)? {
            return Ok(outcome);
        }
        let answer = self.sealed_on(plan, &ground, now)?;
        if let Some(outcome) = perform(&mut work, plan, now).await? {
            return Ok(outcome);
        }
        match batch::write_frame(&mut work, plan, answer.as_ref(), now).await {
            Ok(true) => {}
            Ok(false) => return Ok(Outcome::Stale),
            Err(error) => {
                // Undone, and the connection given back, before another is asked for.
                work.rollback().await.map_err(store_error)?;
                return self.refused(plan, error).await;
            }
        }
        work.commit().await.map_err(store_error)?;
        Ok(Outcome::Committed { revisions: ground.raised(&plan.expected_revisions) })
    }

    /// What it means that a constraint refused what was to be written. It does not say whose time it was about; and time
    /// that nobody takes any more is free the next time.
    async fn refused(&self, plan: &CommitPlan, error: sqlx::Error) -> Result<Outcome> {
        match violation(&error) {
            None => return Err(store_error(error)),
            Some(Violation::Unique | Violation::ForeignKey) => return Ok(Outcome::Stale),
            Some(Violation::Overlap) => {}
        }
        let mut reader = self.reader(Scope::Account(plan.tenant.account_id)).await?;
        let now = self.now_on(&mut reader).await?;
        for claim in inserted(plan) {
            if is_taken(&mut reader, claim, now).await? {
                return Ok(Outcome::Overlap { user_id: claim.user_id });
            }
        }
        Ok(Outcome::Stale)
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
        if let Some(is_performed) = ground.used.filter(|_| plan.is_shared && !planted!(IdNotUsedUp)) {
            return Ok(Some(Outcome::UsedUp { is_performed }));
        }
        if plan.epoch.is_some() && plan.epoch != ground.epoch && !planted!(NoFence) {
            return Ok(Some(Outcome::Fenced));
        }
        let is_early = plan.expired_until.is_some_and(|end| end > now);
        let stands = ground.stands(&plan.expected_revisions) || planted!(NoRevisionCheck);
        Ok((is_early || !stands).then_some(Outcome::Stale))
    }

    /// The answer as it is to be kept.
    fn sealed_on(&self, plan: &CommitPlan, ground: &Ground, now: Timestamp) -> Result<Option<SealedAnswer>> {
        let Some(IdempotentAnswer { key, answer }) = &plan.idempotency else { return Ok(None) };
        let owner = KeyOwner::Account(plan.tenant.account_id);
        let wrapped = ground.data_key.as_ref().ok_or_else(no_data_key)?;
        let data_key = self.keyring.unwrap(owner, wrapped).map_err(sealed_error)?;
        let sealed = data_key.seal(&binding(owner, &key.scope), answer, self.entropy.as_ref());
        Ok(Some(SealedAnswer { key: *key, sealed, forgotten_until: now - KEPT_FOR }))
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

/// The claims a plan inserts.
fn inserted(plan: &CommitPlan) -> impl Iterator<Item = &Claim> {
    plan.claims.iter().filter_map(|change| match change {
        ClaimChange::Insert(claim) => Some(claim),
        _ => None,
    })
}

/// Makes changes that build on each other, one by one. The booking's row comes first, because claims and effects point to it.
async fn perform(work: &mut DbConnection, plan: &CommitPlan, now: Timestamp) -> Result<Option<Outcome>> {
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
    for effect in &plan.effects {
        if !writeback::apply(work, account_id, effect, now).await? {
            return Ok(Some(Outcome::Stale));
        }
    }
    Ok(None)
}

/// Whether somebody has, by now, taken time that a claim wants.
async fn is_taken(reader: &mut DbConnection, claim: &Claim, now: Timestamp) -> Result<bool> {
    let select = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM claims WHERE account_id = $1 AND user_id = $2 AND start_at > $3 AND start_at < $4 \
         AND end_at > $5 AND (expires_at IS NULL OR expires_at > $6))",
    );
    let select = select.bind(claim.account_id.as_uuid()).bind(claim.user_id.as_uuid());
    let select = select.bind(claim.range.start.plus_micros(-CLAIM_US_MAX).as_micros());
    let select = select.bind(claim.range.end.as_micros()).bind(claim.range.start.as_micros()).bind(now.as_micros());
    select.fetch_one(reader).await.map_err(store_error)
}
