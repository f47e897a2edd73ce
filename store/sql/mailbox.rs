//! Mailboxes that their owners consented to: a new connection, or one that is mended.

use agentcal_engine::ids::{AccountId, ConnectionId};
use agentcal_engine::model::{Calendar, Connection, ConnectionStatus, Tenant};
use agentcal_engine::ports::{Credentials, Mailbox, Write};
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::connection::{calendars_of, insert_calendar, insert_connection, lookup, refuses_credentials};
use crate::db::{DbConnection, DbStore};
use crate::error::{Result, corrupt, store_error};
use crate::text::{Named, to_json};
use crate::work::{Begun, ConfigWork, Expected};
use crate::{locks, revisions};

impl DbStore {
    /// Keeps what the owner of a mailbox consented to; `None`: there is no such account.
    pub(crate) async fn connect(
        &self,
        tenant: &Tenant,
        mailbox: &Mailbox,
    ) -> Result<Option<(Connection, Vec<Calendar>)>> {
        let mut work = match self.begin_config(tenant, None, Expected::Any).await? {
            Begun::Fresh(work) => work,
            Begun::Ended(_) => return Ok(None),
        };
        let account_id = tenant.account_id;
        let id = match find(work.connection(), account_id, mailbox).await? {
            Some(id) => {
                self.heal(&mut work, account_id, id, mailbox).await?;
                id
            }
            None => {
                self.connect_anew(&mut work, account_id, mailbox).await?;
                mailbox.connection.id
            }
        };
        let note = sqlx::query(
            "UPDATE connections SET provider_subject = $3, oauth_client_id = $4 \
             WHERE account_id = $1 AND connection_id = $2",
        );
        let note = note.bind(account_id.as_uuid()).bind(id.as_uuid()).bind(&mailbox.subject);
        note.bind(&mailbox.grant.client_id).execute(work.connection()).await.map_err(store_error)?;
        let Some(connection) = lookup(work.connection(), account_id, id).await? else { return Ok(None) };
        let calendars = calendars_of(work.connection(), account_id, id).await?;
        let write = work.finish(Write::Done).await?;
        Ok((write == Write::Done).then_some((connection, calendars)))
    }

    async fn connect_anew(&self, work: &mut ConfigWork<'_>, account_id: AccountId, mailbox: &Mailbox) -> Result<()> {
        let new = &mailbox.connection;
        let credentials = Credentials::Oauth(mailbox.grant.clone());
        let sealed = self.seal_credentials(work.connection(), account_id, new.id, &credentials).await?;
        insert_connection(work.connection(), new, sealed).await?;
        insert_all(work.connection(), new.id, mailbox.calendars.iter(), new.created_at).await
    }

    /// The connection takes the new grant, and its calendars are asked about at once. Those that the mailbox does not list
    /// any more are left to their syncs, which find out what became of them.
    async fn heal(
        &self,
        work: &mut ConfigWork<'_>,
        account_id: AccountId,
        id: ConnectionId,
        mailbox: &Mailbox,
    ) -> Result<()> {
        let now = work.now;
        let known = calendars_of(work.connection(), account_id, id).await?;
        for calendar in &known {
            locks::calendar(work.connection(), account_id, calendar.id).await?;
        }
        let old = lookup(work.connection(), account_id, id).await?;
        let was_refused = old.is_some_and(|old| refuses_credentials(old.status));
        let credentials = Credentials::Oauth(mailbox.grant.clone());
        let sealed = self.seal_credentials(work.connection(), account_id, id, &credentials).await?;
        let update = sqlx::query(
            "UPDATE connections SET credentials = $3, credentials_version = credentials_version + 1, display_name = $4, \
             owner_addresses = $5, status = $6, status_reason = NULL WHERE account_id = $1 AND connection_id = $2",
        );
        let update = update.bind(account_id.as_uuid()).bind(id.as_uuid()).bind(sealed);
        let update = update.bind(&mailbox.connection.display_name).bind(to_json(&mailbox.connection.owner_addresses));
        let update = update.bind(ConnectionStatus::Active.name());
        update.execute(work.connection()).await.map_err(store_error)?;
        for calendar in &known {
            let is_same = |found: &&Calendar| found.provider_calendar_id == calendar.provider_calendar_id;
            let found = mailbox.calendars.iter().find(is_same);
            refresh(work.connection(), calendar, found, now).await?;
            if was_refused {
                revisions::raise_calendar(work.connection(), account_id, calendar.id).await?;
            }
        }
        let is_known =
            |found: &Calendar| known.iter().any(|calendar| calendar.provider_calendar_id == found.provider_calendar_id);
        let new = mailbox.calendars.iter().filter(|found| !is_known(found));
        insert_all(work.connection(), id, new, now).await
    }
}

/// The connection of the same mailbox: the provider says it is the same person's, or it goes by the same
/// address, as when the client changed, to which the person is called otherwise.
async fn find(connection: &mut DbConnection, account_id: AccountId, mailbox: &Mailbox) -> Result<Option<ConnectionId>> {
    let provider = mailbox.connection.provider.name();
    let by_subject = "SELECT connection_id FROM connections \
                      WHERE account_id = $1 AND provider = $2 AND provider_subject = $3";
    let by_name = "SELECT connection_id FROM connections \
                   WHERE account_id = $1 AND provider = $2 AND display_name = $3";
    let name = &mailbox.connection.display_name;
    let has_address = mailbox.connection.owner_addresses.contains(&name.to_lowercase());
    let ways = [Some((by_subject, &mailbox.subject)), has_address.then_some((by_name, name))];
    for (select, value) in ways.into_iter().flatten() {
        let select = sqlx::query_scalar(select).bind(account_id.as_uuid()).bind(provider).bind(value);
        let found: Vec<Uuid> = select.fetch_all(&mut *connection).await.map_err(store_error)?;
        // Ids tell their age: should there ever be several, it is the oldest.
        if let Some(id) = found.into_iter().min() {
            return Ok(Some(ConnectionId::from_uuid(id)));
        }
    }
    Ok(None)
}

/// A calendar that was there is due at once, and called as it now is.
async fn refresh(
    connection: &mut DbConnection,
    calendar: &Calendar,
    found: Option<&Calendar>,
    now: Timestamp,
) -> Result<()> {
    if let Some(found) = found {
        let update =
            sqlx::query("UPDATE calendars SET name = $3, writable = $4 WHERE account_id = $1 AND calendar_id = $2");
        let update = update.bind(calendar.account_id.as_uuid()).bind(calendar.id.as_uuid());
        let update = update.bind(&found.name).bind(found.writable);
        update.execute(&mut *connection).await.map_err(store_error)?;
    }
    let update =
        sqlx::query("UPDATE sync_states SET due_at = $3 WHERE account_id = $1 AND calendar_id = $2 AND due_at > $3");
    let update = update.bind(calendar.account_id.as_uuid()).bind(calendar.id.as_uuid()).bind(now.as_micros());
    update.execute(connection).await.map(drop).map_err(store_error)
}

async fn insert_all(
    connection: &mut DbConnection,
    id: ConnectionId,
    calendars: impl Iterator<Item = &Calendar>,
    due_at: Timestamp,
) -> Result<()> {
    for calendar in calendars {
        let calendar = Calendar { connection_id: Some(id), ..calendar.clone() };
        if !insert_calendar(connection, &calendar, due_at).await? {
            return Err(corrupt("a calendar's fresh id is taken", calendar.id));
        }
    }
    Ok(())
}
