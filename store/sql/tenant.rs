//! Organizations, keys and accounts.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer, RevisionKey};
use agentcal_engine::ids::{AccountId, KeyId, OrganizationId};
use agentcal_engine::model::{Account, ApiKey, Mode, Organization, Tenant};
use agentcal_engine::ports::{ChangeCounters, KeyRecord, ListPage, PageRequest, StoreError, TenantStore, Write};
use agentcal_engine::shard::Shard;
use agentcal_engine::time::Timestamp;
use agentcal_store_vault::KeyOwner;
use async_trait::async_trait;

use crate::answers::Kept;
use crate::db::{DbConnection, DbStore};
use crate::error::{Result, Violation, store_error, violation};
use crate::rows::{AccountRow, KeyRow, OrganizationRow, before, into_page, probe};
use crate::scope::Scope;
use crate::text::{Named, to_json, to_u64};
use crate::work::{Begun, Expected, answered, has_tenant, raise_config_changes, raise_keys_changes};
use crate::{locks, revisions, words};

const SELECT_ORGANIZATION: &str =
    "SELECT organization_id, name, created_at FROM organizations WHERE organization_id = $1";

#[async_trait]
impl TenantStore for DbStore {
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let insert = sqlx::query("INSERT INTO organizations (organization_id, name, created_at) VALUES ($1, $2, $3)");
        let insert = insert.bind(organization.id.as_uuid()).bind(&organization.name);
        insert.bind(organization.created_at.as_micros()).execute(&mut *work).await.map_err(store_error)?;
        self.create_data_key(&mut work, KeyOwner::Organization(organization.id)).await?;
        raise_keys_changes(&mut work).await?;
        work.commit().await.map_err(store_error)
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, OrganizationRow>(SELECT_ORGANIZATION).bind(id.as_uuid());
        let row = select.fetch_optional(&mut *reader).await.map_err(store_error)?;
        Ok(row.map(OrganizationRow::into_engine))
    }

    async fn list_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, OrganizationRow>(
            "SELECT organization_id, name, created_at FROM organizations ORDER BY created_at, organization_id",
        );
        let rows = select.fetch_all(&mut *reader).await.map_err(store_error)?;
        Ok(rows.into_iter().map(OrganizationRow::into_engine).collect())
    }

    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        insert_key(&mut work, key).await?;
        raise_keys_changes(&mut work).await?;
        work.commit().await.map_err(store_error)
    }

    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let mut work = self.begin_write(Scope::All).await?;
        let update = sqlx::query("UPDATE api_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL");
        let done = update.bind(id.as_uuid()).bind(now.as_micros()).execute(&mut *work).await.map_err(store_error)?;
        raise_keys_changes(&mut work).await?;
        work.commit().await.map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn list_keys(&self, organization_id: OrganizationId) -> Result<Vec<ApiKey>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as::<_, KeyRow>(
            "SELECT key_id, organization_id, kind, mode, hash, hint, allowed_origins, created_at, revoked_at \
             FROM api_keys WHERE organization_id = $1 ORDER BY created_at DESC, key_id DESC",
        );
        let rows = select.bind(organization_id.as_uuid()).fetch_all(&mut *reader).await.map_err(store_error)?;
        rows.into_iter().map(KeyRow::into_engine).collect()
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        let mut reader = self.begin_read(Scope::All).await?;
        let select = sqlx::query_as::<_, KeyRow>(
            "SELECT key_id, organization_id, kind, mode, hash, hint, allowed_origins, created_at, revoked_at \
             FROM api_keys WHERE hash = $1 AND revoked_at IS NULL",
        );
        let Some(row) = select.bind(&hash[..]).fetch_optional(&mut *reader).await.map_err(store_error)? else {
            return Ok(None);
        };
        let key = row.into_engine()?;
        let select = sqlx::query_as::<_, OrganizationRow>(SELECT_ORGANIZATION).bind(key.organization_id.as_uuid());
        let organization = select.fetch_one(&mut *reader).await.map_err(store_error)?.into_engine();
        Ok(Some(KeyRecord { key, organization }))
    }

    async fn change_counters(&self) -> Result<ChangeCounters, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let select = sqlx::query_as("SELECT keys_changes, config_changes FROM store_state WHERE id = 1");
        let (keys, config): (i64, i64) = select.fetch_one(&mut *reader).await.map_err(store_error)?;
        Ok(ChangeCounters { keys: to_u64(keys)?, config: to_u64(config)? })
    }

    async fn create_account(
        &self,
        account: &Account,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut work = self.begin_write(Scope::Account(account.id)).await?;
        locks::organization(&mut work, account.organization_id).await?;
        let (owner, now) = (KeyOwner::Organization(account.organization_id), self.now_on(&mut work).await?);
        if let Some(idempotent) = idempotency
            && let Some(answered) = answered(self.kept(&mut work, owner, &idempotent.key, now).await?)
        {
            return Ok(answered);
        }
        if !insert_account(&mut work, account).await? {
            return Ok(Write::Missing);
        }
        self.create_data_key(&mut work, KeyOwner::Account(account.id)).await?;
        revisions::create(&mut work, account.id, RevisionKey::Config).await?;
        raise_config_changes(&mut work).await?;
        if let Some(idempotent) = idempotency {
            self.keep(&mut work, owner, idempotent, now).await?;
        }
        work.commit().await.map_err(store_error)?;
        Ok(Write::Done)
    }

    async fn account(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        let mut reader = self.reader(Scope::Account(id)).await?;
        let select = sqlx::query_as::<_, AccountRow>(
            "SELECT account_id, organization_id, mode, name, timezone, metadata, created_at FROM accounts \
             WHERE account_id = $1 AND organization_id = $2 AND mode = $3",
        );
        let select = select.bind(id.as_uuid()).bind(organization_id.as_uuid()).bind(mode.name());
        let row = select.fetch_optional(&mut *reader).await.map_err(store_error)?;
        row.map(AccountRow::into_engine).transpose()
    }

    async fn list_accounts(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        page: &PageRequest,
    ) -> Result<ListPage<Account>, StoreError> {
        let mut reader = self.reader(Scope::All).await?;
        let (created_at, id) = before(page);
        let select = sqlx::query_as::<_, AccountRow>(
            "SELECT account_id, organization_id, mode, name, timezone, metadata, created_at FROM accounts \
             WHERE organization_id = $1 AND mode = $2 AND (created_at, account_id) < ($3, $4) \
             ORDER BY created_at DESC, account_id DESC LIMIT $5",
        );
        let select = select.bind(organization_id.as_uuid()).bind(mode.name()).bind(created_at).bind(id);
        let rows = select.bind(probe(page)).fetch_all(&mut *reader).await.map_err(store_error)?;
        let accounts = rows.into_iter().map(AccountRow::into_engine).collect::<Result<Vec<_>>>()?;
        Ok(into_page(accounts, page, |account| (account.created_at.as_micros(), account.id.as_uuid())))
    }

    async fn update_account(
        &self,
        account: &Account,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let tenant = Tenant { organization_id: account.organization_id, mode: account.mode, account_id: account.id };
        let begun = self.begin_config(&tenant, idempotency, Expected::At(config_revision)).await?;
        let mut work = match begun {
            Begun::Fresh(work) => work,
            Begun::Ended(write) => return Ok(write),
        };
        let update = sqlx::query("UPDATE accounts SET name = $2, timezone = $3, metadata = $4 WHERE account_id = $1");
        let update = update.bind(account.id.as_uuid()).bind(&account.name).bind(account.timezone.map(|tz| tz.name()));
        update.bind(to_json(&account.metadata)).execute(work.connection()).await.map_err(store_error)?;
        work.finish(Write::Done).await
    }

    async fn delete_account(
        &self,
        tenant: &Tenant,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let mut work = self.begin_write(Scope::Account(tenant.account_id)).await?;
        // The answer is kept above the account, because nothing in the account outlives it.
        locks::organization(&mut work, tenant.organization_id).await?;
        let (owner, now) = (KeyOwner::Organization(tenant.organization_id), self.now_on(&mut work).await?);
        if let Some(idempotent) = idempotency
            && let Some(answered) = answered(self.kept(&mut work, owner, &idempotent.key, now).await?)
        {
            return Ok(answered);
        }
        if !has_tenant(&mut work, tenant).await? {
            return Ok(Write::Missing);
        }
        locks::account(&mut work, tenant.account_id).await?;
        self.give_back_all(&mut work, tenant).await?;
        for delete in words::DELETE_ACCOUNT {
            let delete = sqlx::query(delete).bind(tenant.account_id.as_uuid());
            delete.execute(&mut *work).await.map_err(store_error)?;
        }
        raise_config_changes(&mut work).await?;
        if let Some(idempotent) = idempotency {
            self.keep(&mut work, owner, idempotent, now).await?;
        }
        work.commit().await.map_err(store_error)?;
        self.after_deletion().await;
        Ok(Write::Done)
    }

    async fn kept_answer(
        &self,
        organization_id: OrganizationId,
        account_id: Option<AccountId>,
        key: &IdempotencyKey,
    ) -> Result<Write, StoreError> {
        let mut reader = self.begin_read(account_id.map_or(Scope::All, Scope::Account)).await?;
        let now = self.now_on(&mut reader).await?;
        let owners = [account_id.map(KeyOwner::Account), Some(KeyOwner::Organization(organization_id))];
        for owner in owners.into_iter().flatten() {
            if !owns(&mut reader, organization_id, owner).await? {
                continue;
            }
            match self.kept(&mut reader, owner, key, now).await? {
                Kept::Nothing => {}
                Kept::Answer(answer) => return Ok(Write::Replayed(answer)),
                Kept::OtherRequest => return Ok(Write::IdempotencyMismatch),
            }
        }
        Ok(Write::Missing)
    }

    async fn forget_old_answers(&self, limit: u32) -> Result<u64, StoreError> {
        self.forget_answers(limit).await
    }
}

/// Whether the owner is the organization or one of its accounts.
async fn owns(connection: &mut DbConnection, organization_id: OrganizationId, owner: KeyOwner) -> Result<bool> {
    let KeyOwner::Account(account_id) = owner else { return Ok(true) };
    let select = sqlx::query_scalar("SELECT count(*) FROM accounts WHERE account_id = $1 AND organization_id = $2");
    let select = select.bind(account_id.as_uuid()).bind(organization_id.as_uuid());
    let count: i64 = select.fetch_one(connection).await.map_err(store_error)?;
    Ok(count == 1)
}

async fn insert_key(connection: &mut DbConnection, key: &ApiKey) -> Result<()> {
    let insert = sqlx::query(
        "INSERT INTO api_keys (key_id, organization_id, kind, mode, hash, hint, allowed_origins, created_at, revoked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let insert = insert.bind(key.id.as_uuid()).bind(key.organization_id.as_uuid());
    let insert = insert.bind(key.kind.name()).bind(key.mode.name()).bind(&key.hash[..]).bind(&key.hint);
    let insert = insert.bind(to_json(&key.allowed_origins)).bind(key.created_at.as_micros());
    let insert = insert.bind(key.revoked_at.map(Timestamp::as_micros));
    insert.execute(connection).await.map(drop).map_err(store_error)
}

/// False when there is no such organization.
async fn insert_account(connection: &mut DbConnection, account: &Account) -> Result<bool> {
    let insert = sqlx::query(words::INSERT_ACCOUNT);
    let insert = insert.bind(account.id.as_uuid()).bind(account.organization_id.as_uuid()).bind(account.mode.name());
    let insert = insert.bind(&account.name).bind(account.timezone.map(|tz| tz.name()));
    let insert = insert.bind(to_json(&account.metadata)).bind(account.created_at.as_micros());
    let insert = insert.bind(i32::from(Shard::of(account.id).number()));
    match insert.execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) if violation(&error) == Some(Violation::ForeignKey) => Ok(false),
        Err(error) => Err(store_error(error)),
    }
}
