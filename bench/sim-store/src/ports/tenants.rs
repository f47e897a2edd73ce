//! Organizations, keys and accounts.

use agentcal_engine::commit::{IdempotencyKey, IdempotentAnswer};
use agentcal_engine::ids::{AccountId, KeyId, OrganizationId};
use agentcal_engine::model::{Account, ApiKey, Mode, Organization, Tenant};
use agentcal_engine::ports::{ChangeCounters, KeyRecord, ListPage, PageRequest, StoreError, TenantStore, Write};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::frame::{ConfigWrite, tenant_rows};
use crate::state::{Done, answers, config, lists, tenants};
use crate::store::SimStore;

#[async_trait]
impl TenantStore for SimStore {
    async fn create_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        self.write(|work| tenants::create_organization(work, organization)).await
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        self.read(|state, _| state.globals.organizations.get(&id).cloned()).await
    }

    async fn list_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.read(|state, _| {
            let mut all: Vec<Organization> = state.globals.organizations.values().cloned().collect();
            all.sort_by_key(|organization| (organization.created_at, organization.id));
            all
        })
        .await
    }

    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.write(|work| tenants::create_key(work, key)).await
    }

    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|work| Ok(tenants::revoke_key(work, id, now))).await
    }

    async fn list_keys(&self, organization_id: OrganizationId) -> Result<Vec<ApiKey>, StoreError> {
        self.read(|state, _| tenants::keys_of(state, organization_id)).await
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.read(|state, _| tenants::key_by_hash(state, hash)).await
    }

    async fn change_counters(&self) -> Result<ChangeCounters, StoreError> {
        self.read(|state, _| state.globals.changes).await
    }

    async fn create_account(
        &self,
        account: &Account,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.write(|work| tenants::create_account(work, account, idempotency)).await
    }

    async fn account(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        id: AccountId,
    ) -> Result<Option<Account>, StoreError> {
        let tenant = Tenant { organization_id, mode, account_id: id };
        self.read(|state, _| tenant_rows(state, &tenant).map(|rows| rows.account.clone())).await
    }

    async fn list_accounts(
        &self,
        organization_id: OrganizationId,
        mode: Mode,
        page: &PageRequest,
    ) -> Result<ListPage<Account>, StoreError> {
        self.read(|state, _| {
            let all = state.all_rows().map(|(_, rows)| &rows.account);
            let own = all.filter(|account| (account.organization_id, account.mode) == (organization_id, mode));
            lists::newest_first(own.cloned(), page, |account| (account.created_at.as_micros(), account.id.as_uuid()))
        })
        .await
    }

    async fn update_account(
        &self,
        account: &Account,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let tenant = Tenant { organization_id: account.organization_id, mode: account.mode, account_id: account.id };
        let write = ConfigWrite::at(&tenant, idempotency, config_revision);
        self.write(|work| write.perform(work, |work| Ok(config::update_account(work, account)))).await
    }

    async fn delete_account(
        &self,
        tenant: &Tenant,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        self.write(|work| Ok(tenants::delete_account(work, tenant, idempotency))).await
    }

    async fn kept_answer(
        &self,
        organization_id: OrganizationId,
        account_id: Option<AccountId>,
        key: &IdempotencyKey,
    ) -> Result<Write, StoreError> {
        self.read(|state, present| tenants::kept_answer(state, organization_id, account_id, key, present)).await
    }

    async fn forget_old_answers(&self, limit: u32) -> Result<u64, StoreError> {
        self.write(|work| Ok(Done::Keep(answers::forget_old(work, limit)))).await
    }
}
