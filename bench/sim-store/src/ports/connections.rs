//! Connections, their credentials and calendars.

use agentcal_engine::commit::IdempotentAnswer;
use agentcal_engine::ids::{AccountId, CalendarId, ConnectionId, UserId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, Tenant};
use agentcal_engine::ports::{
    ConnectionStore, Credentials, KeptCredentials, ListPage, Mailbox, PageRequest, StoreError, Write,
};
use agentcal_engine::shard::Epoch;
use agentcal_engine::time::Timestamp;
use async_trait::async_trait;

use crate::state::frame::{ConfigWrite, tenant_rows};
use crate::state::{AccountRows, Done, calendars, lists, mailboxes};
use crate::store::SimStore;

type WithCalendars = (Connection, Vec<Calendar>);

fn with_calendars(rows: &AccountRows, connection: &Connection) -> WithCalendars {
    (connection.clone(), calendars::of_connection(rows, connection.id))
}

#[async_trait]
impl ConnectionStore for SimStore {
    async fn create_connection(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        credentials: &Credentials,
        calendars: &[Calendar],
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let is_own = |calendar: &Calendar| {
            calendar.account_id == tenant.account_id && calendar.connection_id == Some(connection.id)
        };
        if connection.account_id != tenant.account_id || !calendars.iter().all(is_own) {
            return Ok(Write::Missing);
        }
        let write = ConfigWrite::any(tenant, idempotency);
        self.write(|work| {
            write.perform(work, |work| calendars::create_connection(work, connection, credentials, calendars))
        })
        .await
    }

    async fn connection(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<WithCalendars>, StoreError> {
        self.read(|state, _| {
            let rows = state.account(account_id)?;
            let (connection, _) = rows.connections.get(&connection_id)?;
            Some(with_calendars(rows, connection))
        })
        .await
    }

    async fn list_connections(
        &self,
        tenant: &Tenant,
        page: &PageRequest,
    ) -> Result<ListPage<WithCalendars>, StoreError> {
        self.read(|state, _| {
            let Some(rows) = tenant_rows(state, tenant) else { return lists::nothing() };
            let all = rows.connections.values().map(|(connection, _)| with_calendars(rows, connection));
            let place = |(connection, _): &WithCalendars| (connection.created_at.as_micros(), connection.id.as_uuid());
            lists::newest_first(all, page, place)
        })
        .await
    }

    async fn credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
    ) -> Result<Option<KeptCredentials>, StoreError> {
        self.read(|state, _| {
            let (_, kept) = state.account(account_id)?.connections.get(&connection_id)?;
            Some(kept.kept.clone())
        })
        .await
    }

    async fn connect_mailbox(&self, tenant: &Tenant, mailbox: &Mailbox) -> Result<Option<WithCalendars>, StoreError> {
        self.write(|work| mailboxes::connect(work, tenant, mailbox)).await
    }

    async fn replace_credentials(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        version: u64,
        credentials: &Credentials,
    ) -> Result<bool, StoreError> {
        self.write(|work| Ok(mailboxes::replace_credentials(work, account_id, connection_id, version, credentials)))
            .await
    }

    async fn set_connection_status(
        &self,
        account_id: AccountId,
        connection_id: ConnectionId,
        epoch: Epoch,
        status: ConnectionStatus,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write(|work| {
            if work.state().globals.epoch_of(account_id) != epoch {
                return Ok(Done::Undo(()));
            }
            Ok(calendars::set_status(work, account_id, connection_id, status, reason))
        })
        .await
    }

    async fn delete_connection(
        &self,
        tenant: &Tenant,
        connection_id: ConnectionId,
        internal_homes: &[(UserId, CalendarId)],
        now: Timestamp,
        idempotency: Option<&IdempotentAnswer>,
    ) -> Result<Write, StoreError> {
        let write = ConfigWrite::any(tenant, idempotency);
        self.write(|work| {
            write.perform(work, |work| {
                Ok(calendars::delete_connection(work, tenant, connection_id, internal_homes, now))
            })
        })
        .await
    }
}
