//! Write transactions, and the frame round every write to an account's configuration.

use agentcal_engine::commit::{IdempotentAnswer, RevisionKey};
use agentcal_engine::ids::AccountId;
use agentcal_engine::model::Tenant;
use agentcal_engine::ports::Write;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;

use crate::answers::Kept;
use crate::db::{DbConnection, DbStore, Work};
use crate::error::{Result, store_error};
use crate::scope::Scope;
use crate::text::Named;
use crate::{locks, revisions};

impl DbStore {
    /// Begins a write to an account's configuration, unless idempotency, the tenant or the revision already answer it.
    pub(crate) async fn begin_config<'a>(
        &'a self,
        tenant: &Tenant,
        idempotency: Option<&'a IdempotentAnswer>,
        expected: Expected,
    ) -> Result<Begun<'a>> {
        let mut work = self.begin_write(Scope::Account(tenant.account_id)).await?;
        if !has_tenant(&mut work, tenant).await? {
            return Ok(Begun::Ended(Write::Missing));
        }
        let revision = locks::config(&mut work, tenant.account_id).await?;
        let now = self.now_on(&mut work).await?;
        let owner = KeyOwner::Account(tenant.account_id);
        if let Some(idempotent) = idempotency
            && let Some(answered) = answered(self.kept(&mut work, owner, &idempotent.key, now).await?)
        {
            return Ok(Begun::Ended(answered));
        }
        match expected {
            Expected::At(expected) if revision != Some(expected) => Ok(Begun::Ended(Write::Stale)),
            _ => Ok(Begun::Fresh(ConfigWork { store: self, work, account_id: tenant.account_id, idempotency, now })),
        }
    }
}

/// Which configuration a write rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// Whatever is there.
    Any,
    /// The one at this revision.
    At(u64),
}

/// How a write to configuration began.
pub(crate) enum Begun<'a> {
    /// It is to be done.
    Fresh(ConfigWork<'a>),
    /// It is answered already.
    Ended(Write),
}

/// A write to configuration under way.
pub(crate) struct ConfigWork<'a> {
    store: &'a DbStore,
    work: Work,
    account_id: AccountId,
    idempotency: Option<&'a IdempotentAnswer>,
    /// The store's clock when the transaction began.
    pub(crate) now: Timestamp,
}

impl ConfigWork<'_> {
    /// The connection to write on.
    pub(crate) fn connection(&mut self) -> &mut DbConnection {
        &mut self.work
    }

    /// Makes a write that was done durable, with its answer and the raised revision; undoes any other.
    pub(crate) async fn finish(mut self, write: Write) -> Result<Write> {
        if write != Write::Done {
            self.work.rollback().await.map_err(store_error)?;
            return Ok(write);
        }
        revisions::raise(&mut self.work, self.account_id, RevisionKey::Config).await?;
        raise_config_changes(&mut self.work).await?;
        self.finish_beside().await
    }

    /// The same for what no decision rests on: the revision stays, and nobody need read the configuration again.
    pub(crate) async fn finish_beside(mut self) -> Result<Write> {
        if let Some(idempotent) = self.idempotency {
            self.store.keep(&mut self.work, KeyOwner::Account(self.account_id), idempotent, self.now).await?;
        }
        self.work.commit().await.map_err(store_error)?;
        Ok(Write::Done)
    }
}

/// What a kept answer means for a write; `None`: go on.
pub(crate) fn answered(kept: Kept) -> Option<Write> {
    match kept {
        Kept::Nothing => None,
        Kept::Answer(answer) => Some(Write::Replayed(answer)),
        Kept::OtherRequest => Some(Write::IdempotencyMismatch),
    }
}

/// Whether the account is there, and of this organization and mode.
pub(crate) async fn has_tenant(connection: &mut DbConnection, tenant: &Tenant) -> Result<bool> {
    let select = sqlx::query_scalar(
        "SELECT count(*) FROM accounts WHERE account_id = $1 AND organization_id = $2 AND mode = $3",
    );
    let select = select.bind(tenant.account_id.as_uuid()).bind(tenant.organization_id.as_uuid());
    let count: i64 = select.bind(tenant.mode.name()).fetch_one(connection).await.map_err(store_error)?;
    Ok(count == 1)
}

/// Tells other processes that an account's configuration changed.
pub(crate) async fn raise_config_changes(connection: &mut DbConnection) -> Result<()> {
    let update = sqlx::query("UPDATE store_state SET config_changes = config_changes + 1 WHERE id = 1");
    update.execute(connection).await.map(drop).map_err(store_error)
}

/// Tells other processes that organizations or keys changed.
pub(crate) async fn raise_keys_changes(connection: &mut DbConnection) -> Result<()> {
    let update = sqlx::query("UPDATE store_state SET keys_changes = keys_changes + 1 WHERE id = 1");
    update.execute(connection).await.map(drop).map_err(store_error)
}
