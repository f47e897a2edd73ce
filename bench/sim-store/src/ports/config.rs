//! Users, rules and event types.

use agentcal_engine::commit::IdempotentAnswer;
use agentcal_engine::ids::{AccountId, EventTypeId, UserId};
use agentcal_engine::model::{AvailabilityRules, EventType, Tenant, User};
use agentcal_engine::ports::{AccountConfig, ConfigStore, ListPage, PageRequest, StoreError, Write};
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::config::{
    account_config, delete_event_type, insert_event_type, put_event_type_rules, put_user_rules, update_event_type,
};
use crate::state::frame::{ConfigWrite, tenant_rows};
use crate::state::{lists, users};
use crate::store::SimStore;

#[async_trait]
impl ConfigStore for SimStore {
    async fn account_config(&self, account_id: AccountId) -> Result<Option<AccountConfig>, StoreError> {
        self.read(|state, _| state.account(account_id).map(account_config)).await
    }

    async fn create_user(
        &self,
        tenant: &Tenant,
        user: &User,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if user.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let write = ConfigWrite::any(tenant, idempotency);
        self.write(|work| write.perform(work, |work| users::insert(work, user, rules))).await
    }

    async fn update_user(
        &self,
        tenant: &Tenant,
        user: &User,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if user.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let write = ConfigWrite::at(tenant, idempotency, config_revision);
        self.write(|work| write.perform(work, |work| Ok(users::update(work, user)))).await
    }

    async fn delete_user(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let write = ConfigWrite::any(tenant, idempotency);
        self.write(|work| write.perform(work, |work| Ok(users::delete(work, tenant.account_id, user_id, now)))).await
    }

    async fn list_users(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<User>, StoreError> {
        self.read(|state, _| {
            let Some(rows) = tenant_rows(state, tenant) else { return lists::nothing() };
            let users = rows.users.values().map(|(user, _)| user.clone());
            lists::newest_first(users, page, |user| (user.created_at.as_micros(), user.id.as_uuid()))
        })
        .await
    }

    async fn put_user_rules(
        &self,
        tenant: &Tenant,
        user_id: UserId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let write = ConfigWrite::any(tenant, idempotency);
        let account_id = tenant.account_id;
        self.write(|work| write.perform(work, |work| Ok(put_user_rules(work, account_id, user_id, rules)))).await
    }

    async fn create_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if event_type.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let write = ConfigWrite::any(tenant, idempotency);
        self.write(|work| write.perform(work, |work| insert_event_type(work, event_type))).await
    }

    async fn update_event_type(
        &self,
        tenant: &Tenant,
        event_type: &EventType,
        config_revision: u64,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        if event_type.account_id != tenant.account_id {
            return Ok(Write::Missing);
        }
        let write = ConfigWrite::at(tenant, idempotency, config_revision);
        self.write(|work| write.perform(work, |work| Ok(update_event_type(work, event_type)))).await
    }

    async fn delete_event_type(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let write = ConfigWrite::any(tenant, idempotency);
        let account_id = tenant.account_id;
        self.write(|work| write.perform(work, |work| Ok(delete_event_type(work, account_id, event_type_id)))).await
    }

    async fn list_event_types(&self, tenant: &Tenant, page: &PageRequest) -> Result<ListPage<EventType>, StoreError> {
        self.read(|state, _| {
            let Some(rows) = tenant_rows(state, tenant) else { return lists::nothing() };
            let event_types = rows.event_types.values().map(|(event_type, _)| event_type.clone());
            let place = |event_type: &EventType| (event_type.created_at.as_micros(), event_type.id.as_uuid());
            lists::newest_first(event_types, page, place)
        })
        .await
    }

    async fn put_event_type_rules(
        &self,
        tenant: &Tenant,
        event_type_id: EventTypeId,
        rules: &AvailabilityRules,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let write = ConfigWrite::any(tenant, idempotency);
        let account_id = tenant.account_id;
        self.write(|work| write.perform(work, |work| Ok(put_event_type_rules(work, account_id, event_type_id, rules))))
            .await
    }
}
