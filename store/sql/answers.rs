//! Answers kept under idempotency keys: written in the transaction they guard, sealed with their tenant's data key.

use std::time::Duration;

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ports::StoreError;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::{Binding, KeyOwner, Purpose};
use uuid::Uuid;

use crate::db::{DbConnection, DbStore};
use crate::error::{Result, sealed_error, store_error};
use crate::scope::Scope;
use crate::{used_commits, words};

/// How long an answer is kept.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept under a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing, or nothing that still counts.
    Nothing,
    /// The answer to the same request.
    Answer(Vec<u8>),
    /// The answer to another request.
    OtherRequest,
}

/// The statements of one of the two answer tables.
struct AnswerTable {
    select: &'static str,
    replace: &'static str,
    forget: &'static str,
}

const ACCOUNT_ANSWERS: AnswerTable = AnswerTable {
    select: "SELECT fingerprint, answer FROM account_answers WHERE account_id = $1 AND scope = $2 AND created_at > $3",
    replace: "INSERT INTO account_answers (account_id, scope, fingerprint, answer, created_at) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, scope) DO UPDATE SET \
              fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at",
    forget: words::FORGET_ACCOUNT_ANSWERS,
};

const ORGANIZATION_ANSWERS: AnswerTable = AnswerTable {
    select: "SELECT fingerprint, answer FROM organization_answers \
             WHERE organization_id = $1 AND scope = $2 AND created_at > $3",
    replace: "INSERT INTO organization_answers (organization_id, scope, fingerprint, answer, created_at) \
              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, scope) DO UPDATE SET \
              fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at",
    forget: words::FORGET_ORGANIZATION_ANSWERS,
};

fn table_of(owner: KeyOwner) -> (&'static AnswerTable, Uuid) {
    match owner {
        KeyOwner::Account(id) => (&ACCOUNT_ANSWERS, id.as_uuid()),
        KeyOwner::Organization(id) => (&ORGANIZATION_ANSWERS, id.as_uuid()),
    }
}

/// What a sealed answer is bound to.
pub(crate) fn binding(owner: KeyOwner, scope: &[u8; 32]) -> Binding<'_> {
    Binding { owner, purpose: Purpose::KeptAnswer, row: scope }
}

impl DbStore {
    /// What is kept under a key by its owner.
    pub(crate) async fn kept(
        &self,
        connection: &mut DbConnection,
        owner: KeyOwner,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Kept> {
        let (table, id) = table_of(owner);
        let select = sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>(table.select)
            .bind(id)
            .bind(&key.scope[..])
            .bind((now - KEPT_FOR).as_micros());
        let Some((fingerprint, sealed)) = select.fetch_optional(&mut *connection).await.map_err(store_error)? else {
            return Ok(Kept::Nothing);
        };
        if fingerprint != key.fingerprint {
            return Ok(Kept::OtherRequest);
        }
        let data_key = self.data_key(connection, owner).await?.ok_or_else(no_data_key)?;
        let plain = data_key.open(&binding(owner, &key.scope), &sealed).map_err(sealed_error)?;
        Ok(Kept::Answer(plain.to_vec()))
    }

    /// Keeps an answer; one too old to count makes room.
    pub(crate) async fn keep(
        &self,
        connection: &mut DbConnection,
        owner: KeyOwner,
        idempotent: &IdempotentAnswer,
        now: Timestamp,
    ) -> Result<()> {
        let IdempotentAnswer { key, answer } = idempotent;
        let data_key = self.data_key(connection, owner).await?.ok_or_else(no_data_key)?;
        let sealed = data_key.seal(&binding(owner, &key.scope), answer, self.entropy.as_ref());
        let (table, id) = table_of(owner);
        let replace = sqlx::query(table.replace).bind(id).bind(&key.scope[..]).bind(&key.fingerprint[..]);
        replace.bind(sealed).bind(now.as_micros()).execute(connection).await.map(drop).map_err(store_error)
    }

    /// Deletes answers that no longer count and ids of commits as old, at most `limit` of each.
    pub(crate) async fn forget_answers(&self, limit: u32) -> Result<u64> {
        let mut work = self.begin_write(Scope::All).await?;
        let until = self.now_on(&mut work).await? - KEPT_FOR;
        let mut forgotten = 0;
        for table in [&ACCOUNT_ANSWERS, &ORGANIZATION_ANSWERS] {
            let left = i64::from(limit).saturating_sub(forgotten);
            let done = sqlx::query(table.forget).bind(until.as_micros()).bind(left).execute(&mut *work).await;
            forgotten += i64::try_from(done.map_err(store_error)?.rows_affected()).unwrap_or(i64::MAX);
        }
        let used = used_commits::forget(&mut work, until, limit).await?;
        work.commit().await.map_err(store_error)?;
        Ok(forgotten.unsigned_abs().max(used))
    }
}

/// Every tenant has one from the beginning.
pub(crate) fn no_data_key() -> StoreError {
    StoreError::Corrupt("a tenant without a data key".to_owned())
}
